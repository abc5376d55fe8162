"""The progress history on the embedded engine: what was settled when never changes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from ledger.errors import Busy, LedgerError, Uncertain
from ledger.marks import TRAIL_READER
from ledger.progress import QUIET_S, append_entry, keep_history
from ledger.trail_store import MarkCell, MarkKind, ProgressCell, TrailStore
from ledger.v1.progress_pb2 import ProgressEntry, SettledIndex
from tests.faulty_store import FaultyStore
from tests.folders import opened

NOON_NS = 1_790_000_000 * 1_000_000_000
SECOND_NS = 1_000_000_000
MISSING = ProgressCell(0, 0, b"")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[TrailStore]:
    """A store whose history is empty."""
    async with opened(tmp_path) as ledger:
        yield ledger.store


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.ns = NOON_NS

    def __call__(self) -> int:
        """The time."""
        return self.ns

    def pass_s(self, seconds: float) -> None:
        """Move it."""
        self.ns += int(seconds * SECOND_NS)


async def settle(
    store: TrailStore, index: int, *, partition: int = 0, kind: MarkKind = MarkKind.SETTLED
) -> None:
    """Put a mark."""
    await store.put_marks(TRAIL_READER, [MarkCell(kind, "scans", 1, partition, index, b"mark")])


async def last(store: TrailStore) -> ProgressEntry:
    """The last entry."""
    cell = await store.progress_at()
    assert cell is not None
    entry = ProgressEntry.FromString(cell.entry)
    assert (entry.number, entry.time_ns) == (cell.number, cell.time_ns)
    return entry


async def test_an_entry_holds_what_is_settled(store: TrailStore) -> None:
    """The first entry has number 1 and every settled index, in order; none that is readable."""
    for partition, index in ((3, 7), (0, 5), (11, 1)):
        await settle(store, index, partition=partition)
    await settle(store, 99, partition=5, kind=MarkKind.READABLE)

    assert await append_entry(store, now_ns=Clock())

    assert await last(store) == ProgressEntry(
        number=1,
        time_ns=NOON_NS,
        settled=[
            SettledIndex(log="scans", generation=1, partition=partition, next_index=index)
            for partition, index in ((0, 5), (3, 7), (11, 1))
        ],
    )


async def test_there_is_an_entry_while_anything_moves(store: TrailStore) -> None:
    """Something moved: an entry. Nothing moved: none, until the quiet has lasted a minute."""
    clock = Clock()
    made = []
    for index, wait_s in ((1, 1), (2, 1), (2, 1), (2, QUIET_S - 2), (2, 1), (2, 1), (3, 0.001)):
        await settle(store, index)
        clock.pass_s(wait_s)
        made.append(await append_entry(store, now_ns=clock))

    assert made == [True, True, False, False, True, False, True]


@pytest.mark.parametrize("back_s", [0, 0.000001, 3_600])
async def test_a_clock_that_goes_back_makes_no_entry(store: TrailStore, back_s: float) -> None:
    """An entry is later than the one before; where the clock says otherwise there is none."""
    clock = Clock()
    await settle(store, 1)
    assert await append_entry(store, now_ns=clock)
    await settle(store, 2)
    clock.pass_s(-back_s)

    assert not await append_entry(store, now_ns=clock)
    assert (await last(store)).number == 1

    clock.pass_s(back_s + 1)
    assert await append_entry(store, now_ns=clock)
    assert (await last(store)).number == 2


async def test_many_processes_make_one_history(store: TrailStore) -> None:
    """Several that try at once decide each number once, and no entry says less than the last."""
    clock = Clock()
    decided = 0
    for index in range(1, 15):
        await settle(store, index)
        clock.pass_s(1)
        decided += sum(await asyncio.gather(*(append_entry(store, now_ns=clock) for _ in range(4))))

    assert decided == (await last(store)).number == 14
    assert (await last(store)).settled[0].next_index == 14


async def test_a_past_answer_never_changes(store: TrailStore) -> None:
    """What the history says of a time, once that time is covered, it says for ever."""
    clock = Clock()
    answers: dict[int, object] = {}
    for index in range(1, 30):
        await settle(store, index)
        clock.pass_s(0.3 * (index % 5))
        await append_entry(store, now_ns=clock)
        newest = (await last(store)).time_ns
        for time_ns in range(NOON_NS - SECOND_NS, newest + 1, SECOND_NS // 4):
            answer = await store.progress_at(time_ns)
            assert answers.setdefault(time_ns, answer) == answer

    assert len(set(map(str, answers.values()))) > 10


@pytest.mark.parametrize(
    "error",
    [
        Busy("busy", reason="TEST", retry_after_s=0.01),
        Uncertain("uncertain", reason="TEST"),
    ],
    ids=["busy", "uncertain"],
)
@pytest.mark.parametrize("when", ["unwritten", "written"])
async def test_the_history_goes_on_after_trouble(
    store: TrailStore, monkeypatch: pytest.MonkeyPatch, when: str, error: LedgerError
) -> None:
    """A store that fails, with the entry kept or not, leaves no gap and no double."""
    monkeypatch.setattr("ledger.progress.TICK_S", 0.001)
    faulty = FaultyStore(store)
    calls = 0

    def fault(method: str) -> LedgerError | None:
        nonlocal calls
        calls += method == "decide_progress"
        return error if method == "decide_progress" and calls % 2 else None

    if when == "unwritten":
        faulty.fails_unwritten = fault
    else:
        faulty.fails_written = fault
    clock = Clock()
    keeping = asyncio.create_task(keep_history(faulty, now_ns=clock))
    for index in range(1, 6):
        await settle(store, index)
        clock.pass_s(1)
        async with asyncio.timeout(10):
            while (await store.progress_at() or MISSING).time_ns < clock.ns:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
    keeping.cancel()
    await asyncio.wait([keeping])

    assert (await last(store)).number == 5
    assert calls >= 5


class _CountedStore(FaultyStore):
    """A store that one process uses, and what that costs."""

    decided = looks = 0

    async def progress_at(self, time_ns: int | None = None) -> ProgressCell | None:
        """Read the history."""
        self.looks += 1
        return await super().progress_at(time_ns)

    async def decide_progress(self, cell: ProgressCell) -> bool:
        """Decide."""
        self.decided += 1
        return await super().decide_progress(cell)


async def test_one_of_many_makes_the_entries_and_another_goes_on(
    store: TrailStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one does, the others only look now and then; when it ends, one of them takes over."""
    monkeypatch.setattr("ledger.progress.TICK_S", 0.01)
    monkeypatch.setattr("ledger.progress.LOOK_LEAST_S", 0.1)
    monkeypatch.setattr("ledger.progress.LOOK_MOST_S", 0.2)
    clock = Clock()
    counted = [_CountedStore(store) for _ in range(4)]
    keeping = [asyncio.create_task(keep_history(each, now_ns=clock)) for each in counted]
    index = 0

    async def move(entries: int) -> None:
        nonlocal index
        for _ in range(entries):
            index += 1
            await settle(store, index)
            clock.pass_s(1)
            async with asyncio.timeout(10):
                while (await store.progress_at() or MISSING).time_ns < clock.ns:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)

    await move(20)  # Until then they have found their places.
    before = [(each.decided, each.looks) for each in counted]
    await move(50)
    made = [each.decided - was for each, (was, _) in zip(counted, before, strict=True)]
    looks = [each.looks - was for each, (_, was) in zip(counted, before, strict=True)]
    keeping[made.index(max(made))].cancel()
    await move(5)
    for task in keeping:
        task.cancel()
    await asyncio.wait(keeping)

    assert (await last(store)).number == 75
    # A busy machine may hold one up for so long that another takes its turn.
    assert 50 <= sum(made) < 60
    assert sum(looks) - max(looks) < max(looks)


async def test_an_entry_never_says_less_than_the_one_before(store: TrailStore) -> None:
    """A store that forgot a young mark shows an older one; the history stays where it was."""
    clock = Clock()
    await settle(store, 7)
    await settle(store, 5, partition=1)
    assert await append_entry(store, now_ns=clock)
    forgetful = _ForgotMarks(store)
    forgetful.shown = [MarkCell(MarkKind.SETTLED, "scans", 1, 1, 9, b"mark")]
    clock.pass_s(1)

    assert await append_entry(forgetful, now_ns=clock)

    settled = (await last(store)).settled
    assert [(each.partition, each.next_index) for each in settled] == [(0, 7), (1, 9)]


class _ForgotMarks(FaultyStore):
    """A store that shows other marks than it was given."""

    shown: Sequence[MarkCell] = ()

    async def marks(self, reader: str) -> Sequence[MarkCell]:
        """What it still knows."""
        return self.shown
