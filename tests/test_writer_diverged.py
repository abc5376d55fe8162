"""A log that is not what the trails were written from: the writer stops, and says which records."""

import asyncio
from collections.abc import Sequence

import pytest

from ledger.backends.rocksdb_folder import Folder
from ledger.errors import Diverged
from ledger.marks import TRAIL_READER, check_mark
from ledger.scan_log import Bounds
from ledger.trail_store import MarkKind
from tests.faults.known import all_rows, append, known
from tests.faulty_log import FaultyLog
from tests.faulty_store import FaultyStore
from tests.folders import PARTITIONS
from tests.writing import (
    PATIENCE_S,
    caught_up,
    fill,
    ledger,
    mark_at,
    marks,
    running,
    why_it_stops,
    writer,
)

__all__ = ["ledger"]  # A fixture, taken by its name.


class TestDivergedLog:
    async def test_a_record_in_the_wrong_partition_stops_it(self, ledger: Folder) -> None:
        """A record whose key belongs elsewhere is not written, and neither is what follows."""
        one = known(3, partitions=PARTITIONS)
        wrong = (one.partition + 1) % PARTITIONS
        await ledger.log.append(wrong, [one.key], [one.value])

        error = await why_it_stops(ledger.log, ledger.store)

        assert error.reason == "RECORD_IN_WRONG_PARTITION"
        assert error.metadata == {"partition": str(wrong), "index": "0"}
        assert await all_rows(ledger.store) == set()
        assert await marks(ledger.store, MarkKind.READABLE) == {}

    async def test_a_record_that_is_none_stops_it(self, ledger: Folder) -> None:
        """Bytes that no ingest wrote are not skipped."""
        await ledger.log.append(0, [b"K"], [b"\xff\xff"])

        assert (await why_it_stops(ledger.log, ledger.store)).reason == "RECORD_UNREADABLE"

    @pytest.mark.parametrize("kind", MarkKind)
    async def test_a_log_that_was_cut_stops_it(self, ledger: Folder, kind: MarkKind) -> None:
        """A log shorter than a mark is named, with the indexes that are gone."""
        one = known(0, partitions=PARTITIONS)
        await append(ledger.log, one)
        mark = mark_at(ledger.log, 4, b"gone", partition=one.partition)
        await ledger.store.put_marks(TRAIL_READER, [mark._replace(kind=kind)])

        error = await why_it_stops(ledger.log, ledger.store)

        assert error.reason == "LOG_SHORTER_THAN_MARK"
        assert "indexes 1 to 3 are gone" in error.message
        assert await all_rows(ledger.store) == set()

    async def test_a_log_that_was_cut_and_grew_again_stops_it(self, ledger: Folder) -> None:
        """A log that is long enough, with other bytes before the mark, would mix two histories."""
        one = known(0, partitions=PARTITIONS)
        for number in (0, 7, 14):
            await append(ledger.log, known(number, partitions=PARTITIONS))
        mark = mark_at(ledger.log, 2, b"another record", partition=one.partition)
        await ledger.store.put_marks(TRAIL_READER, [mark])

        error = await why_it_stops(ledger.log, ledger.store)

        assert error.reason == "LOG_DIFFERS_FROM_MARK"
        assert error.metadata["index"] == "1"

    async def test_a_cut_below_a_running_writer_is_found(
        self, ledger: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """While it runs the writer reads its last record again, and stops when it is another."""
        monkeypatch.setattr("ledger.writer.VERIFY_EVERY_S", 0.02)
        log = _CutLog(ledger.log)
        await fill(ledger, range(10))
        async with running(log, ledger.store) as task:
            await caught_up(ledger)
            log.is_cut = True
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.wait([task])

        shorter = pytest.RaisesExc(Diverged, match="shorter")
        with pytest.RaisesGroup(shorter, flatten_subgroups=True):
            task.result()

    async def test_a_cut_below_partitions_that_came_back_is_found(
        self, ledger: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After a rebalance the newest mark is looked at, though nothing new was read and nothing
        has settled.
        """
        monkeypatch.setattr("ledger.writer.VERIFY_EVERY_S", 0.02)
        log, store = _CutLog(ledger.log), FaultyStore(ledger.store, settle_after_s=60)
        one = writer(log, store)
        await fill(ledger, range(10))
        task = asyncio.create_task(one.run())
        await caught_up(ledger)
        await one.given_up(range(PARTITIONS))
        await one.taken(range(PARTITIONS))

        log.is_cut = True
        ended, _ = await asyncio.wait([task], timeout=1.0)

        task.cancel()
        assert ended
        with pytest.RaisesGroup(Diverged, flatten_subgroups=True):
            task.result()

    async def test_a_mark_at_the_end_of_the_log_is_fine(self, ledger: Folder) -> None:
        """A mark behind the last record, with its hash, is what a healthy log has."""
        one = known(0, partitions=PARTITIONS)
        await append(ledger.log, one)

        await check_mark(ledger.log, mark_at(ledger.log, 1, one.value, partition=one.partition))


class _CutLog(FaultyLog):
    """A log that comes back shorter."""

    is_cut = False

    async def bounds(self, partition: int) -> Bounds:
        """Say less than before."""
        return Bounds(0, 0) if self.is_cut else await super().bounds(partition)

    async def read(self, partition: int, index: int, max_records: int) -> Sequence[bytes]:
        """Hold less than before."""
        assert not self.is_cut
        return await super().read(partition, index, max_records)
