"""A state machine: a spool on a disk that fails and dies at any file call, against an oracle."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ingest import spool as spool_module
from ingest.spool_limits import SpoolFull, SpoolLimits
from ingest.spool_opening import spool_on
from ingest.spool_refused import REFUSED, RefusedScan, parse_refused
from ledger.errors import Closed, LedgerError, NotPossibleNow, Uncertain
from tests.scale import is_soak, scaled
from tests.virtual_disk import Crash, VirtualDisk

if TYPE_CHECKING:
    from collections.abc import Callable

    from ingest.spool import Spool

LIMITS = SpoolLimits(bytes_max=200_000)
"""Its list of refused scans has room for some 70, in two files."""
PADDING = b"." * 400
FAULTS = ("before", "after", "torn", "full", "fails")
DEADLY = frozenset({"before", "after", "torn"})


async def inline(work: Callable[..., object], *args: object) -> object:
    """Do it here: nothing on a disk in memory blocks."""
    return work(*args)


class SpoolMachine(RuleBasedStateMachine):
    """Scans go in, are settled and refused; the process dies, the power is cut, the disk fails."""

    def __init__(self, dice: random.Random | None = None) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.disk = VirtualDisk(dice or random.Random(7))
        self.minted = 0
        self.kept: dict[int, bytes] = {}
        """Scans that the spool has said it has, or has shown: by place."""

        self.settled: set[int] = set()
        self.refused: set[int] = set()
        self.spool_id = b""
        self.stack = AsyncExitStack()
        self.spool: Spool | None = None
        self.open()

    def teardown(self) -> None:
        self.stop()
        self.loop.close()

    # --- the life of a process

    def open(self) -> None:
        """Open the spool, as often as it takes: the disk may fail, and the process die, again."""
        while self.spool is None:
            stack = AsyncExitStack()
            try:
                self.spool = self.loop.run_until_complete(
                    stack.enter_async_context(
                        spool_on(
                            self.disk,
                            limits=LIMITS,
                            now_ns=lambda: 1,
                            random_bytes=lambda count: random.Random(count).randbytes(count),
                            worker=inline,
                        )
                    )
                )
            except NotPossibleNow:
                continue
            except Crash:
                self.disk.cut_power()
                continue
            self.stack = stack
        self.spool_id = self.spool_id or self.spool.spool_id
        assert self.spool.spool_id == self.spool_id
        self.look()

    def look(self) -> None:
        """Compare all that the spool shows with what it has to have."""
        spool = self.spool
        assert spool is not None
        shown: dict[int, bytes] = {}
        for first, end in spool.unsettled_between(1, spool.next_place):
            place = first
            while place < end:
                frames = spool.frames(place, 1)
                assert frames, place
                for frame in frames:
                    scans = enumerate(frame.scans, frame.first_place)
                    shown |= {at: scan for at, scan in scans if first <= at < end}
                    place = max(place, frame.first_place + len(frame.scans))
        gone = self.kept.keys() - shown.keys() - self.settled - self.refused
        assert not gone, f"spooled and gone: {sorted(gone)}"
        for place, scan in shown.items():
            assert self.kept.get(place, scan) == scan, f"place {place} was given twice"
        assert spool.unsettled == len(shown)
        # It may be sent from here on, so nothing else may ever have its place.
        self.kept |= shown
        # A crash may have taken the note that they are settled; they are sent once more.
        self.settled -= shown.keys()
        self.refused -= shown.keys()

    def stop(self) -> None:
        """End the process, whatever it is about."""
        self.spool = None
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        tasks = asyncio.all_tasks(self.loop)
        self.disk.plan.clear()
        if tasks:
            self.loop.run_until_complete(asyncio.wait(tasks))
            for task in tasks:
                if not task.cancelled():
                    task.exception()

    def do(self, work: Callable[[Spool], object]) -> bool:
        """Do something; after a crash open the spool again. Tells whether it lived."""
        assert self.spool is not None
        spool = self.spool

        async def act() -> None:
            result = work(spool)
            if asyncio.iscoroutine(result):
                await result
            for _ in range(8):  # Time passes: notes are written, segments removed.
                await asyncio.sleep(0)
                await asyncio.sleep(0.0001)

        try:
            self.loop.run_until_complete(act())
        except (SpoolFull, Uncertain, Closed):
            pass
        except Crash:
            return False
        return not (self.disk.fell and self.disk.fell[-1].split()[0] in DEADLY)

    def after(self, *, lived: bool, power: bool) -> None:
        """Open the spool again, where it died."""
        self.disk.fell.clear()
        if not lived:
            self.stop()
            if power:
                self.disk.cut_power()
            self.open()
        self.disk.plan.clear()

    # --- what happens

    @rule(
        appends=st.lists(st.integers(1, 30), min_size=1, max_size=4),
        calls=st.integers(0, 14),
        fault=st.sampled_from((*FAULTS, "")),
        power=st.booleans(),
    )
    def append(self, appends: list[int], calls: int, fault: str, power: bool) -> None:
        """Some appends at once; a fault may come at any call."""
        told: list[tuple[int, list[bytes]]] = []

        async def one(spool: Spool, scans: list[bytes]) -> None:
            first = await spool.append(scans)
            told.append((first, scans))

        async def all_of_them(spool: Spool) -> None:
            done = await asyncio.gather(
                *(one(spool, self.mint(count)) for count in appends), return_exceptions=True
            )
            for error in done:
                if error is not None and not isinstance(error, LedgerError):
                    raise error

        if fault:
            self.disk.in_calls(calls, fault)
        lived = self.do(all_of_them)
        for first, scans in told:
            for place, scan in enumerate(scans, first):
                assert place not in self.kept, f"place {place} was given twice"
                self.kept[place] = scan
        self.after(lived=lived, power=power)

    def mint(self, count: int) -> list[bytes]:
        """Scans that are like no others."""
        self.minted += count
        return [b"scan %d " % (self.minted - n) + PADDING for n in range(count)]

    @precondition(lambda self: self.kept)
    @rule(
        at=st.floats(0, 1),
        share=st.floats(0, 1),
        refuse=st.booleans(),
        calls=st.integers(0, 14),
        fault=st.sampled_from((*FAULTS, "", "")),
        power=st.booleans(),
    )
    def settle(
        self, *, at: float, share: float, refuse: bool, calls: int, fault: str, power: bool
    ) -> None:  # By name.
        """A result names scans anywhere as durable, or as refused."""
        last = max(self.kept)
        first = 1 + int(at * (last - 1))
        end = min(first + 1 + int(share * 60), last + 1)
        places = [place for place in range(first, end) if place in self.kept]
        if fault:
            self.disk.in_calls(calls, fault)
        if refuse:
            places = [place for place in places if place not in self.settled | self.refused]
            self.refused |= set(places)
            lived = self.do(lambda spool: spool.refuse([refused(place) for place in places]))
        else:
            self.settled |= set(places)
            lived = self.do(lambda spool: settle_all(spool, places))
        self.after(lived=lived, power=power)

    @rule()
    def end_and_begin(self) -> None:
        """The process ends as told: then nothing that is settled comes back."""
        self.loop.run_until_complete(self.stack.aclose())
        self.stop()
        self.disk.cut_power()
        self.open()
        assert self.spool is not None
        for first, end in self.spool.unsettled_between(1, self.spool.next_place):
            for place in range(first, end):
                assert place not in self.settled, place

    @invariant()
    def bounded(self) -> None:
        """Its scans keep to their bytes, the list of refused ones aside."""
        if self.spool is not None:
            listed = sum(self.disk.size(name) for name in self.list_files())
            assert self.spool.size_bytes - listed <= LIMITS.bytes_max + LIMITS.segment_bytes

    @invariant()
    def refused_are_listed(self) -> None:
        """What the spool forgot as refused stands in its list."""
        if self.spool is None:
            return
        unsettled = {
            place
            for first, end in self.spool.unsettled_between(1, self.spool.next_place)
            for place in range(first, end)
        }
        missing = self.refused - unsettled - self.settled - self.listed()
        assert len(missing) <= self.spool.let_go

    def listed(self) -> set[int]:
        """The places in the list of refused scans."""
        lines = [
            line
            for name in self.list_files()
            for line in self.disk.read(name, 0, 1 << 30).splitlines(keepends=True)
        ]
        return {scan.place for scan in parse_refused(lines)}

    def list_files(self) -> list[str]:
        """The files of the list of refused scans, oldest first."""
        return sorted(name for name in self.disk.names() if name.startswith(REFUSED))


def settle_all(spool: Spool, places: list[int]) -> None:
    """Settle one by one."""
    for place in places:
        spool.settle(place, place + 1)


def refused(place: int) -> RefusedScan:
    """A scan that the ledger refused."""
    return RefusedScan(place, 1, "gate-1", bytes(16), place, "event", "REQUIRED", "why", b"scan")


@pytest.fixture(autouse=True, scope="module")
def quick_notes() -> object:
    """Notes wait for nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool_module, "TIDY_S", 0.0)
        yield


QUICK = (Phase.explicit, Phase.generate)
"""Making a failure shorter takes minutes, in which it is not told; a soak has them."""

SpoolMachine.TestCase.settings = settings(
    max_examples=scaled(100, soak=5_000),
    stateful_step_count=30,
    phases=tuple(Phase) if is_soak() else QUICK,
    deadline=None,
)


@pytest.mark.slow
class TestSpoolMachine(SpoolMachine.TestCase):  # type: ignore[misc, valid-type]
    """Nothing that was spooled is lost or altered, and no place is given twice."""


@pytest.mark.parametrize("seed", range(12))
def test_a_segment_that_a_crash_left_half_made_is_not_relied_on(seed: int) -> None:
    """It was in the page cache alone; the one before it, all settled, says which place is next."""
    machine = SpoolMachine(random.Random(seed))
    machine.append(appends=[1], calls=0, fault="", power=False)
    machine.end_and_begin()
    machine.settle(at=0.0, share=0.0, refuse=False, calls=0, fault="", power=False)
    machine.append(appends=[1], calls=1, fault="before", power=False)  # Made, and not yet synced.
    machine.end_and_begin()
    machine.append(appends=[1], calls=0, fault="", power=False)

    assert machine.spool is not None
    assert machine.spool.next_place == 3
    machine.teardown()
