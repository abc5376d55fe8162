"""What the engines are asked again and again, on the embedded engine with faults."""

import asyncio
import math
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from ledger.app.wiring.asking import (
    PARTITIONS_ASKED,
    Unread,
    asking_log,
    asking_store,
    count_unread,
    marked,
    unread_records,
)
from ledger.backends.rocksdb_folder import Folder
from ledger.errors import Busy, Diverged, LedgerError, Refused, Uncertain
from ledger.marks import TRAIL_READER, encode_mark
from ledger.metrics import REGISTRY
from ledger.scan_log import Bounds
from ledger.trail_store import MarkKind
from tests.faulty_log import FaultyLog
from tests.faulty_store import FaultyStore
from tests.folders import opened

AWAY = Uncertain("This leader is away.", reason="R")


class Leaders(FaultyLog):
    """A log some of whose partitions answer with an error, or never."""

    def __init__(self, folder: Folder) -> None:
        super().__init__(folder.log)
        self.errors: dict[int, LedgerError] = {}
        self.hanging: set[int] = set()
        self.asked: list[int] = []

    async def bounds(self, partition: int) -> Bounds:
        """Answer for a partition."""
        self.asked.append(partition)
        if partition in self.hanging:
            await asyncio.Event().wait()
        if error := self.errors.get(partition):
            raise error
        return await super().bounds(partition)


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Folder]:
    """An empty ledger of eight partitions."""
    async with opened(tmp_path, partitions=8) as found:
        yield found


async def test_a_log_is_there_while_any_leader_answers(folder: Folder) -> None:
    """Others are asked each time; one that hangs or is away keeps nobody waiting."""
    log = Leaders(folder)
    log.hanging, log.errors = {0, 4}, {1: AWAY, 2: AWAY, 5: AWAY}
    ask = asking_log(log)
    async with asyncio.timeout(5):
        await ask()
        await ask()

    assert log.asked == list(range(2 * PARTITIONS_ASKED))


async def test_a_log_without_leaders_is_away(folder: Folder) -> None:
    """The error of the last one comes out."""
    log = Leaders(folder)
    log.errors = dict.fromkeys(range(8), AWAY)

    with pytest.raises(Uncertain, match="leader"):
        await asking_log(log)()


async def test_what_is_no_absence_comes_out_at_once(folder: Folder) -> None:
    """Others may hang meanwhile."""
    log = Leaders(folder)
    log.hanging, log.errors = {0, 1, 2}, {3: Diverged("The log was cut.", reason="R")}

    async with asyncio.timeout(5):
        with pytest.raises(Diverged):
            await asking_log(log)()


async def test_a_log_of_one_partition_is_asked_for_it(tmp_path: Path) -> None:
    """And for no other."""
    async with opened(tmp_path, partitions=1) as found:
        log = Leaders(found)
        await asking_log(log)()

    assert log.asked == [0]


async def test_a_store_is_asked_for_the_marks(folder: Folder) -> None:
    """They are what every query needs."""
    store = FaultyStore(folder.store)
    asked: list[str] = []
    store.fails_unwritten = asked.append
    await asking_store(store)()

    assert asked == ["marks"]


async def test_unread_is_what_lies_behind_the_marks(folder: Folder) -> None:
    """Of all partitions; a settled mark counts where the readable one is older or missing."""
    for partition, count in ((0, 5), (1, 4), (2, 3)):
        await folder.log.append(partition, [b"k"] * count, [b"v"] * count)
    reached = marked(folder.store, folder.log.identity)
    assert await unread_records(folder.log, reached) == 12

    def mark(partition: int, next_index: int, kind: MarkKind) -> None:
        cells.append(
            encode_mark(
                folder.log.identity,
                partition,
                next_index=next_index,
                last_record=b"v",
                last_record_time_ns=1,
            )._replace(kind=kind)
        )

    cells: list = []  # type: ignore[type-arg]
    mark(0, 5, MarkKind.READABLE)
    mark(0, 2, MarkKind.SETTLED)
    mark(1, 3, MarkKind.SETTLED)
    await folder.store.put_marks(TRAIL_READER, cells)

    assert await unread_records(folder.log, reached) == 0 + 1 + 3


async def test_unread_records_are_counted_again_and_again(
    folder: Folder,
) -> None:
    """Also after the store was away; the last count can be asked for."""
    store = FaultyStore(folder.store)
    asked = 0

    def fault(_: str) -> LedgerError | None:
        nonlocal asked
        asked += 1
        return Busy("busy", reason="R", retry_after_s=1) if asked < 3 else None

    store.fails_unwritten = fault
    await folder.log.append(6, [b"k"] * 7, [b"v"] * 7)
    unread = Unread()
    assert unread.records() is None
    reached = marked(store, folder.log.identity)
    counting = asyncio.create_task(count_unread(folder.log, reached, unread, every_s=0.001))
    async with asyncio.timeout(10):
        while REGISTRY.get_sample_value("ledger_log_unread_records") != 7:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    counting.cancel()

    assert asked >= 3
    assert unread.records() == 7


async def test_who_may_not_ask_has_no_count(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    """Who does not answer leaves the last count as it is. A right that was taken away leaves none:
    it would hold senders back for ever. Each is logged once, and the count comes back with it.
    """
    await folder.log.append(6, [b"k"] * 7, [b"v"] * 7)
    right = Refused("Give us the right.", reason="KAFKA_NO_RIGHT")
    told: list[Mapping[int, int] | LedgerError] = [{}, AWAY, AWAY, right, right, {6: 5}, {6: 7}]
    answers = iter(told)
    counted: list[int | None] = []
    shown: list[float | None] = []
    unread, over = Unread(), asyncio.Event()

    async def reached() -> Mapping[int, int]:
        counted.append(unread.records())
        shown.append(REGISTRY.get_sample_value("ledger_log_unread_records"))
        answer = next(answers, None)
        if isinstance(answer, LedgerError):
            raise answer
        if answer is None:
            over.set()
        return answer or {}

    counting = asyncio.create_task(count_unread(folder.log, reached, unread, every_s=0))
    async with asyncio.timeout(10):
        await over.wait()
    counting.cancel()

    assert counted == [None, 7, 7, 7, None, None, 2, 0]
    assert [at for at, records in enumerate(shown) if math.isnan(records or 0)] == [4, 5]
    assert [record.error for record in caplog.records] == [AWAY.message, right.message]  # type: ignore[attr-defined]
