"""One seed: a ledger with its engines, senders and readers, faults while it works, and the end.

First everything works and fails; then it heals, and runs until all that was sent has its result and
is settled; then every trail is compared with what was acknowledged.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from contextlib import contextmanager
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import Counter, Gauge, Histogram

from ledger.marks import TRAIL_READER
from ledger.position import QUARANTINE_LOG, RECEIPTS_LOG, REFUSALS_LOG
from ledger.trail_store import MarkKind
from ledger.v1.ingest_service_pb2 import Durability
from tests.simulation.auditors import Auditor
from tests.simulation.beside import BesideHistory
from tests.simulation.devices import NUMBERS, Device
from tests.simulation.faults import Faults
from tests.simulation.history import History
from tests.simulation.loop import SimLoop
from tests.simulation.network import Network
from tests.simulation.plan import Plan
from tests.simulation.programs import Programs
from tests.simulation.sim_log import LogCluster
from tests.simulation.sim_store import StoreCluster
from tests.simulation.spooled_devices import SpooledDevice
from tests.simulation.twists import SHARE, TWISTS, Twist

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulation.process import Process
    from tests.simulation.programs import Role

PARTITIONS = 3
SCANS = 210
"""Scans of one seed, a few more or less."""

ACTIVE_S = 9.0
"""Seconds in which faults fall."""

BAGS_EVERY = 7
"""Of so many seeds one has bags, into which items go. All others are as they were before there were
any, and so are the seeds that are written down for planted bugs.
"""

HEAL_MOST_S = 150.0
"""Longest time until a healed world has done all its work: far beyond every back-off."""

END_MOST_S = 8.0
"""Longest time that a program takes to end, without the time in which it stands still: a writer
waits so long for the store, and some more.
"""


COUNTING = (
    (Counter, "inc"),
    (Gauge, "inc"),
    (Gauge, "dec"),
    (Gauge, "set"),
    (Histogram, "observe"),
)
"""What roles call for their metrics: a thirtieth of a seed's time."""


class Result(NamedTuple):
    """What came of one seed."""

    seed: int
    broken: list[str]
    fell: dict[str, int]
    """How often each fault fell."""
    scans: int
    answers: int
    signature: int
    """Equal for equal schedules."""
    steps: int


class World:
    """Everything of one seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random = Random(seed)
        self.loop = loop = SimLoop(Random(random.random()))  # type: ignore[abstract]
        self.faults = Faults()
        self.network = Network(loop, Random(random.random()), self.faults)
        self.log = LogCluster(
            loop,
            Random(random.random()),
            self.faults,
            partitions=PARTITIONS,
            durability=random.choice(
                [Durability.DURABILITY_SYNCED, Durability.DURABILITY_REPLICATED]
            ),
        )
        self.beside = {
            name: LogCluster(
                loop,
                Random(random.random()),
                self.faults,
                name=name,
                partitions=2,
                durability=self.log.identity.durability,
            )
            for name in (REFUSALS_LOG, RECEIPTS_LOG, QUARANTINE_LOG)
        }
        self.store = StoreCluster(
            loop, Random(random.random()), self.faults, nodes=random.randint(1, 3)
        )
        self.history = History(loop, self.log, self.store)
        self.beside_history = BesideHistory(self.history, self.log, self.beside, self.store)
        self.network.on_window = lambda what: self.history.breaks("windows are respected", what)
        self.items = random.sample(NUMBERS, 10)
        self.devices = [self._device(f"gate-{n}") for n in range(3)]
        self.auditor = Auditor(
            loop=loop,
            random=Random(random.random()),
            history=self.history,
            log=self.log,
            store=self.store,
            items=self.items,
        )
        programs = Programs(self)
        self.roles = programs.roles()
        self.by_process: dict[Process, Role] = {}
        self.twist = Twist(random.choice(TWISTS), self) if random.random() < SHARE else None
        self.plan = Plan(self)

    def _device(self, source: str) -> Device:
        kind = self.random.choice([Device, SpooledDevice])
        return kind(
            source,
            loop=self.loop,
            random=Random(self.random.random()),
            history=self.history,
            items=self.items,
            scans=SCANS // 3,
            gap_s=ACTIVE_S / (SCANS / 3 / 5) / 1.3,
            has_bags=self.seed % BAGS_EVERY == 0,
        )

    # --- the run ----------------------------------------------------------------------------------

    def run(self) -> Result:
        """Run the seed to its end."""
        loop, history = self.loop, self.history
        for role in self.roles:
            self.start(role)
        self.plan.begin()
        loop.run(ACTIVE_S)
        if not history.broken:
            self.plan.heal()
            finishing = loop.spawn(loop.outside, self._finish())
            if not loop.run(ACTIVE_S + HEAL_MOST_S):
                history.breaks("a healed world does its work", self._what_is_left())
            if finishing.done():
                finishing.result()
        result = Result(
            self.seed,
            [*history.broken, *(f"nobody caught: {what}" for what in loop.unhandled)],
            dict(self.faults.fell),
            history.scans,
            self.auditor.answers,
            loop.signature,
            loop.steps,
        )
        loop.take_apart()
        return result

    async def _finish(self) -> None:
        """Wait until all is done, and look at every trail."""
        while not self._is_done():  # noqa: ASYNC110 - nothing tells.
            await asyncio.sleep(0.1)
        self.history.check_log()
        self.beside_history.check_refusals()
        self.beside_history.check_quarantine()
        channel = self.network.channel(self.loop.outside, "query")
        await self.auditor.final(channel)
        if self.twist is not None:
            await self.twist.play()
        self.loop.stop()

    def _is_done(self) -> bool:
        """Whether every device has its results, and all of them are settled."""
        return all(device.is_done for device in self.devices) and self.is_settled()

    def is_settled(self) -> bool:
        """Whether everything in the log is settled."""
        settled = {
            cell.partition: cell.next_index
            for cell in self.store.marks_of(TRAIL_READER)
            if cell.kind is MarkKind.SETTLED
        }
        return all(
            settled.get(number, 0) == partition.durable
            for number, partition in enumerate(self.log.partitions)
        )

    def _what_is_left(self) -> str:
        devices = {
            device.source: sum(not scan.fate for scan in device.scans) for device in self.devices
        }
        marks = {
            (cell.kind.value, cell.partition): cell.next_index
            for cell in self.store.marks_of(TRAIL_READER)
        }
        ends = [partition.durable for partition in self.log.partitions]
        return f"without result {devices}, marks {marks}, log {ends}"

    # --- processes --------------------------------------------------------------------------------

    def start(self, role: Role) -> None:
        """Begin a new life of a role."""
        role.process = process = self.loop.process(role.name)
        self.by_process[process] = role
        task = role.task = self.loop.spawn(process, role.main(process))
        self.loop.later(process, 0, task.add_done_callback, self._ended)

    def _ended(self, task: asyncio.Task[object]) -> None:
        """A role's program ended by itself: start it again, unless its work is done."""
        if self.loop.is_over:
            return
        role = next(role for role in self.roles if role.task is task)
        if not task.cancelled() and (error := task.exception()) is not None:
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            if self.twist is None or not self.twist.failed(role, error):
                self.history.breaks("nothing fails by itself", f"{role.name}: {error!r}")
            return
        process = role.process
        assert process is not None
        self.network.unlisten(role.name)
        self.network.gone(process)
        is_done = role.name == "auditor" or any(
            device.source == role.name and device.is_done for device in self.devices
        )
        if not is_done:
            delay_s = 0.1 + self.random.random()
            self.loop.later(self.loop.outside, delay_s, self.start, role)

    def kill(self, role: Role, *, silent: bool) -> None:
        """End a program between two steps; it comes back later."""
        process = role.process
        assert process is not None
        if not process.is_alive:
            return
        self.loop.kill(process)
        self.network.unlisten(role.name, silent=silent)
        self.network.gone(process, silent=silent)
        for group in self.log.groups.values():
            self.loop.later(self.loop.outside, 2.0, group.expire, process)
        for follower in [f for f in self.log.followers if f.process is process]:
            del self.log.followers[follower]
        self.loop.later(self.loop.outside, 0.1 + 1.5 * self.random.random(), self.start, role)

    def end(self, role: Role) -> None:
        """Tell a program to end, as SIGTERM does: it must not take long."""
        process, task = role.process, role.task
        assert process is not None
        assert task is not None
        self.loop.later(process, 0, task.cancel)
        self.loop.later(process, END_MOST_S, self._check_ended, process, task, process.stood_s)

    def _check_ended(
        self, process: Process, task: asyncio.Task[object], stood_before_s: float
    ) -> None:
        if task.done():
            return
        # A program that stands still cannot end, nor see that its own wait is over: seed 25855
        # paused a writer in the middle of its wait for the store, until after END_MOST_S.
        if (stood_s := process.stood_s - stood_before_s) > 0:
            self.loop.later(process, stood_s, self._check_ended, process, task, process.stood_s)
        else:
            self.history.breaks("who is told to end ends", repr(task))


def simulate(seed: int) -> Result:
    """Run one seed."""
    with _quiet():
        return World(seed).run()


@contextmanager
def _quiet() -> Iterator[None]:
    """Let nobody log or count, which no promise is about. And nothing is collected meanwhile: it
    would come when memory says, and what ends with an object would happen then.
    """
    logging.disable(logging.CRITICAL)
    was_enabled = gc.isenabled()
    gc.disable()
    counting = {(kind, name): getattr(kind, name) for kind, name in COUNTING}
    for kind, name in counting:
        setattr(kind, name, bool)  # It takes one value or none, and does nothing with it.
    try:
        yield
    finally:
        for (kind, name), real in counting.items():
            setattr(kind, name, real)
        logging.disable(logging.NOTSET)
        if was_enabled:
            gc.enable()
