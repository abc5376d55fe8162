"""The writer and a store that forgets: settled is only what no end of a process can have taken."""

import asyncio
from collections import Counter

import pytest

from ledger.backends.rocksdb_folder import Folder
from ledger.errors import LedgerError
from ledger.trail_store import MarkKind, Row
from tests.faults.known import all_rows
from tests.faulty_store import FaultyStore
from tests.folders import PARTITIONS
from tests.writing import (
    BUSY,
    PATIENCE_S,
    caught_up,
    fill,
    ledger,
    marks,
    rows_of_the_log,
    running,
    writer,
)

__all__ = ["ledger"]  # A fixture, taken by its name.


@pytest.fixture(autouse=True)
def _quick_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.settling.SETTLE_TICK_S", 0.02)


class _Forgets:
    """A process of the store that ends at some time: what it was given before is gone."""

    def __init__(self, store: FaultyStore) -> None:
        self._store = store
        self.forgotten: set[bytes] = set()
        store.lives_are = {"node": "first life"}
        store.forgets = self._forget

    def _forget(self, row: Row) -> bool:
        self.forgotten.add(row.order)
        return True

    def ends_and_comes_back(self) -> None:
        self._store.forgets = lambda _: False
        self._store.lives_are = {"node": "second life"}


async def test_what_an_ended_process_forgot_is_written_again(ledger: Folder) -> None:
    """Rows that were put, marked readable and then lost are written again, and settle only then."""
    store = FaultyStore(ledger.store, settle_after_s=0.5)
    node = _Forgets(store)
    await fill(ledger, range(40))
    async with running(ledger.log, ledger.quarantine, store):
        await caught_up(ledger)
        assert len(node.forgotten) == 40
        assert await all_rows(ledger.store) == set()

        node.ends_and_comes_back()
        await caught_up(ledger, MarkKind.SETTLED)

        assert await all_rows(ledger.store) == await rows_of_the_log(ledger)


async def test_nothing_settles_before_the_lives_were_seen(ledger: Folder) -> None:
    """A store that cannot say whether it forgot settles nothing, and then all."""
    store = FaultyStore(ledger.store, settle_after_s=0)
    await fill(ledger, range(10))
    asked: Counter[str] = Counter()

    def silent(method: str) -> LedgerError | None:
        asked[method] += 1
        return BUSY if method == "lives" and 1 < asked[method] < 4 else None

    async with running(ledger.log, ledger.quarantine, store):
        store.fails_unwritten = silent
        await caught_up(ledger)
        if asked["lives"] < 4:
            assert await marks(ledger.store, MarkKind.SETTLED) == {}
        await caught_up(ledger, MarkKind.SETTLED)

    assert asked["lives"] >= 4


async def test_a_process_that_comes_back_unseen_counts_as_ended(ledger: Folder) -> None:
    """A node that was away and is there may have ended in between, and everything is put again."""
    store = FaultyStore(ledger.store, settle_after_s=60)
    await fill(ledger, range(20))
    async with running(ledger.log, ledger.quarantine, store):
        await caught_up(ledger)
        puts = store.puts
        store.lives_are = {"node": "came"}
        async with asyncio.timeout(PATIENCE_S):
            while store.puts < puts + 20:  # noqa: ASYNC110 - nothing tells.
                await asyncio.sleep(0.005)


async def test_partitions_that_come_back_go_on_where_they_were(ledger: Folder) -> None:
    """What passes through a rebalance and stays is not written again from its settled mark."""
    store = FaultyStore(ledger.store, settle_after_s=60)
    one = writer(ledger.log, ledger.quarantine, store)
    await fill(ledger, range(30))
    running_one = asyncio.create_task(one.run())
    await caught_up(ledger)
    reached = await marks(ledger.store, MarkKind.READABLE)

    await one.given_up(range(PARTITIONS))
    start = await one.taken(range(PARTITIONS))

    assert {partition: index for partition, index in start.items() if index} == reached
    running_one.cancel()
    await asyncio.wait([running_one])


async def test_a_new_writer_starts_at_the_settled_mark(ledger: Folder) -> None:
    """Another process knows nothing of what the last one put and did not settle."""
    store = FaultyStore(ledger.store, settle_after_s=60)
    await fill(ledger, range(30))
    async with running(ledger.log, ledger.quarantine, store):
        await caught_up(ledger)

    start = await writer(ledger.log, ledger.quarantine, store).taken(range(PARTITIONS))

    assert set(start.values()) == {0}


async def test_a_writer_that_is_told_to_end_while_the_store_forgot_ends(ledger: Folder) -> None:
    """An end that comes in the moment in which the writer goes back is not overheard."""
    store = FaultyStore(ledger.store, settle_after_s=60)
    asked: Counter[str] = Counter()

    def forgets_and_ends(method: str) -> LedgerError | None:
        asked[method] += 1
        if method == "lives" and asked[method] == 2:
            store.lives_are = {"node": "second life"}
            task.cancel()
        return None

    store.fails_unwritten = forgets_and_ends
    task = asyncio.create_task(writer(ledger.log, ledger.quarantine, store).run())

    ended, _ = await asyncio.wait([task], timeout=1.0)

    task.cancel()
    assert ended
    assert task.cancelled()
    assert asked["lives"] == 2


class TestStepsAtOnce:
    async def test_marks_come_in_order(
        self, ledger: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A later step whose rows are put marks only after the earlier one has marked."""
        monkeypatch.setattr("ledger.writer.RUN_RECORDS_MAX", 8)
        monkeypatch.setattr("ledger.writer.STEP_RECORDS_ENOUGH", 1)
        store = FaultyStore(ledger.store)
        puts: Counter[str] = Counter()

        def first_put_fails(method: str) -> LedgerError | None:
            puts[method] += 1
            return BUSY if (method, puts[method]) == ("put", 1) else None

        store.fails_unwritten = first_put_fails
        await fill(ledger, range(40))
        seen: list[dict[int, int]] = []
        async with running(ledger.log, ledger.quarantine, store, steps_at_once=3):
            async with asyncio.timeout(PATIENCE_S):
                while puts["put"] < 3:
                    await asyncio.sleep(0)
                    seen.append(await marks(ledger.store, MarkKind.READABLE))
            await caught_up(ledger)

        assert seen[-1] == {}, "a step was marked before an earlier one"
        assert await all_rows(ledger.store) == await rows_of_the_log(ledger)

    async def test_giving_up_waits_for_what_is_on_its_way(self, ledger: Folder) -> None:
        """Rows on their way are put and marked before another writer gets the partitions."""
        store = FaultyStore(ledger.store)
        tries: Counter[str] = Counter()

        def slow(method: str) -> LedgerError | None:
            tries[method] += 1
            return BUSY if method == "put" and tries[method] < 3 else None

        store.fails_unwritten = slow
        await fill(ledger, range(20))
        async with running(ledger.log, ledger.quarantine, store, steps_at_once=2):
            async with asyncio.timeout(PATIENCE_S):
                while not tries["put"]:  # noqa: ASYNC110 - nothing tells.
                    await asyncio.sleep(0)
        # Cancelled: it has left, and what it had begun is there.
        assert sum((await marks(ledger.store, MarkKind.READABLE)).values()) == 20

    async def test_a_store_that_is_away_does_not_hold_partitions(
        self, ledger: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Giving up ends after a time, whatever the store does."""
        monkeypatch.setattr("ledger.writer.FINISH_S", 0.1)
        store = FaultyStore(ledger.store)
        store.fails_unwritten = lambda method: BUSY if method == "put" else None
        await fill(ledger, range(20))
        async with asyncio.timeout(PATIENCE_S):
            async with running(ledger.log, ledger.quarantine, store):
                await asyncio.sleep(0.2)

        assert await marks(ledger.store, MarkKind.READABLE) == {}
