"""What only the embedded engine promises: group commit, bounded memory, nothing shown unsynced."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ledger.backends import log_rocksdb, rocksdb_committer
from ledger.backends.rocksdb_folder import Folder
from ledger.backends.rocksdb_options import trail_family
from ledger.errors import Busy, Closed, Diverged
from ledger.scan_log import APPEND_BYTES_MAX, RECORD_BYTES_MAX, Bounds, Follower, Run
from tests.contracts.patience import Starting, append, follow_until, records
from tests.folders import PARTITIONS, opened

STALL_TRIGGERS = ("level0_stop_writes_trigger", "level0_slowdown_writes_trigger")
FROM_THE_START = Starting(dict.fromkeys(range(PARTITIONS), 0))
LARGEST_APPEND = APPEND_BYTES_MAX // RECORD_BYTES_MAX - 1


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Folder]:
    """An open folder."""
    async with opened(tmp_path) as folder:
        yield folder


async def test_appends_at_once_share_a_sync(tmp_path: Path) -> None:
    """A hundred appends that come together are a few commits, not a hundred."""
    steps: list[str] = []
    async with opened(tmp_path, on_step=steps.append) as ledger:
        await asyncio.gather(*(append(ledger.log, n % PARTITIONS, records(3)) for n in range(100)))

    assert 1 <= steps.count("log: after the sync") <= 5


async def test_what_is_not_synced_is_not_shown(tmp_path: Path) -> None:
    """Between write and sync neither bounds nor followers show a record."""
    seen: list[tuple[Bounds, int]] = []
    followed: list[Run] = []
    came = asyncio.Event()
    folder: list[Folder] = []

    def look(step: str) -> None:
        if step in {"log: after the write", "log: after the sync"}:
            bounds = folder[0].log.bounds(0)
            # It ends without waiting, so it can be run from here.
            with pytest.raises(StopIteration) as end:
                bounds.send(None)
            seen.append((end.value.value, len(followed)))

    async def follow(follower: Follower) -> None:
        followed.extend(await follower.next(10))
        came.set()

    async with (
        opened(tmp_path, on_step=look) as ledger,
        ledger.log.follow("reader", FROM_THE_START) as follower,
        asyncio.TaskGroup() as tasks,
    ):
        folder.append(ledger)
        tasks.create_task(follow(follower))
        await append(ledger.log, 0, records(5))
        await came.wait()

    assert seen == [(Bounds(0, 0), 0)] * 2
    assert [len(run.values) for run in followed] == [5]


async def test_too_much_at_once_is_refused_as_busy(ledger: Folder) -> None:
    """What waits is bounded: beyond it appends are refused whole, with a time to wait, and the
    others go through.
    """
    appends = [
        append(ledger.log, n % PARTITIONS, records(LARGEST_APPEND, RECORD_BYTES_MAX))
        for n in range(40)
    ]
    results = await asyncio.gather(*appends, return_exceptions=True)

    busy = [result for result in results if isinstance(result, Busy)]
    most = log_rocksdb.PENDING_BYTES_MAX // (LARGEST_APPEND * RECORD_BYTES_MAX)
    assert len(results) - len(busy) == most
    assert all(0 < error.retry_after_s <= 1 for error in busy)
    ends = [(await ledger.log.bounds(p)).next for p in range(PARTITIONS)]
    assert sum(ends) == most * LARGEST_APPEND
    await append(ledger.log, 0, records(1))


async def test_appends_that_wait_at_the_end_are_written(tmp_path: Path) -> None:
    """What was queued when the folder is closed is acknowledged, and there afterwards."""
    async with opened(tmp_path) as ledger:
        appends = [asyncio.create_task(append(ledger.log, 1, records(3))) for _ in range(30)]
        await asyncio.sleep(0)
    firsts = await asyncio.gather(*appends)

    async with opened(tmp_path) as ledger:
        assert sorted(firsts) == list(range(0, 90, 3))
        assert (await ledger.log.bounds(1)).next == 90


async def test_a_follower_that_waits_learns_of_the_end(tmp_path: Path) -> None:
    """Closing the folder wakes who waits for records."""
    async with (
        opened(tmp_path) as ledger,
        ledger.log.follow("reader", FROM_THE_START) as follower,
    ):
        waiting = asyncio.create_task(follower.next(1))
        await asyncio.sleep(0.01)
        ledger.log._committer.stop()
        with pytest.raises(Closed):
            await waiting


async def test_a_reader_beyond_the_tail_is_served_from_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With hardly any tail in memory a follower still gets everything, in order."""
    monkeypatch.setattr(log_rocksdb, "TAIL_BYTES_MAX", 3_000)
    values = records(3_000, 300)
    appends = [(at // 100 % 2, values[at : at + 100]) for at in range(0, 3_000, 100)]
    async with (
        opened(tmp_path) as ledger,
        ledger.log.follow("reader", FROM_THE_START) as follower,
    ):
        for partition, part in appends:
            await append(ledger.log, partition, part)
        seen = await follow_until(follower, 3_000, max_records=130)

    for partition in (0, 1):
        wanted = [value for p, part in appends if p == partition for value in part]
        assert list(seen[partition].values()) == wanted


async def test_a_disk_that_does_not_keep_up_is_waited_for(
    ledger: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where RocksDB would stop every writer, appends say Busy after a while, the process lives,
    and everything goes on when there is room again.
    """
    monkeypatch.setattr("ledger.backends.rocksdb_engine.STALL_MOST_S", 0.05)
    family = ledger.store._engine.family(trail_family(1))
    family.set_options(dict.fromkeys(STALL_TRIGGERS, "1"))
    family.set_options({"level0_file_num_compaction_trigger": "100"})
    family.put(b"key", b"a row")
    family.flush()

    with pytest.raises(Busy) as busy:
        await append(ledger.log, 0, records(1))
    assert busy.value.reason == "ENGINE_STALLED"
    assert (await ledger.log.bounds(0)).next == 0

    waiting = asyncio.create_task(append(ledger.log, 0, records(1)))
    await asyncio.sleep(0.01)
    family.set_options(dict.fromkeys(STALL_TRIGGERS, "30"))
    assert await waiting == 0


async def test_an_error_of_our_own_does_not_hang_anybody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should a commit fail in a way that nobody thought of, all who wait are told."""
    failures: list[Exception] = []

    def break_down(_: object) -> bytes:
        raise RuntimeError("nobody thought of it")

    monkeypatch.setattr(rocksdb_committer, "join_block", break_down)

    async def use(ledger: Folder) -> list[object]:
        results = await asyncio.gather(
            *(append(ledger.log, 0, records(1)) for _ in range(5)), return_exceptions=True
        )
        with pytest.raises(Diverged):
            await append(ledger.log, 0, records(1))
        with pytest.raises(Diverged):
            await ledger.store.put_marks("reader", [])
        return list(results)

    results: list[object] = []
    # An error of ours is not swallowed either: closing the folder raises it.
    with pytest.raises(RuntimeError, match="nobody thought"):
        async with opened(tmp_path, on_fatal=failures.append) as ledger:
            results += await use(ledger)

    assert len(results) == 5
    assert all(isinstance(result, Diverged) for result in results)
    assert len(failures) == 1
