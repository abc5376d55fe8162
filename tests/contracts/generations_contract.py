"""What the generations of every store do: the contract in `ledger.generations`.

A store may be shared and is never assumed to be empty: numbers and keys are a test's own.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

import pytest

from ledger.errors import NotPossibleNow
from ledger.generations import Building, Generations
from ledger.marks import TRAIL_READER
from ledger.trail_store import AllRows, KeptRow, Row, TrailStore
from tests.contracts.patience import unique
from tests.contracts.store_under_test import everything, mark, row, stored


class RebuiltStore(TrailStore, AllRows, Protocol):
    """A store with its generations."""

    @property
    def generations(self) -> Generations:
        """Those of the store."""


async def of_key(rows: AllRows, key: bytes) -> list[KeptRow]:
    """All rows of one trail, of some generation."""
    return sorted([each async for page in rows.all_rows() for each in page if each[0] == key])


def kept(rows: list[Row]) -> list[KeptRow]:
    """What is found of them."""
    return sorted(KeptRow(*each[:3]) for each in rows)


class GenerationsContract(ABC):
    """A subclass says how its store is opened; twice with one folder opens the same store."""

    @abstractmethod
    def open_store(self, folder: Path) -> AbstractAsyncContextManager[RebuiltStore]:
        """Open the store; `folder` is an empty one, or was used for it before."""

    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[RebuiltStore]:
        """The store under test; no generation of it is half built."""
        async with self.open_store(tmp_path) as store:
            yield store
            if building := (await store.generations.standing()).building:
                await store.generations.drop(building)

    async def test_what_is_put_from_the_beginning_on_is_in_both(self, store: RebuiltStore) -> None:
        """What was put before is in the one that serves alone, and may be put to the new one, which
        nobody sees.
        """
        key = unique()
        rows = [row(key, time) for time in range(30)]
        await store.put(rows[:10])
        before = await store.generations.standing()

        building = await store.generations.begin()
        await store.put(rows[10:20])
        assert await of_key(building.rows, key) == kept(rows[10:20])
        await building.put(rows[20:])
        await building.put(rows[15:])

        assert await of_key(building.rows, key) == kept(rows[10:])
        assert await of_key(store, key) == kept(rows[:20])
        assert await everything(store, key) == stored(rows[:20])
        standing = await store.generations.standing()
        assert standing == before._replace(building=building.generation)
        assert store.generation == before.serving

    async def test_one_that_was_begun_is_gone_on_with(self, tmp_path: Path) -> None:
        """Also after a start: the same number, its rows and marks, and every row goes to both."""
        key = unique()
        rows = [row(key, time) for time in range(9)]
        async with self.open_store(tmp_path) as store:
            begun = await store.generations.begin()
            await begun.put(rows[:3])
            await begun.put_marks([mark("scans", 7)])
            again = await store.generations.begin()
            assert await again.marks() == [mark("scans", 7)]
        async with self.open_store(tmp_path) as store:
            await store.put(rows[3:6])
            building = await store.generations.begin()
            await store.put(rows[6:])

            assert begun.generation == again.generation == building.generation
            assert await building.marks() == [mark("scans", 7)]
            assert await of_key(building.rows, key) == kept(rows)
            await store.generations.drop(building.generation)

    async def test_the_new_one_serves(self, store: RebuiltStore, tmp_path: Path) -> None:
        """Every way to read is from it, what is put goes to it, marks and history are as they
        were, and the one before is kept.
        """
        keys = [unique(), unique()]
        old, new = [row(keys[0], 1)], [row(key, 2) for key in keys]
        await store.put(old)
        await store.put_marks(TRAIL_READER, [mark("scans", 70)])
        marks, last = await store.marks(TRAIL_READER), await store.progress_at()
        before = await store.generations.standing()

        building = await store.generations.begin()
        await building.put(new)
        await store.generations.serve(building.generation)

        standing = await store.generations.standing()
        assert (standing.serving, standing.building) == (building.generation, 0)
        assert before.serving in standing.kept
        assert store.generation == building.generation
        newer = row(keys[1], 3)
        await store.put([newer])
        assert await everything(store, keys[0]) == stored(new[:1])
        many = await store.read_many(keys, max_rows=10, max_bytes=1 << 20)
        assert [list(each.rows) for each in many] == [stored(new[:1]), stored([new[1], newer])]
        assert await of_key(store, keys[1]) == kept([new[1], newer])
        assert (await store.marks(TRAIL_READER), await store.progress_at()) == (marks, last)

    async def test_one_that_does_not_serve_can_be_dropped(self, store: RebuiltStore) -> None:
        """Kept or half built; its number is never used again, and its marks are nobody else's."""
        first = await store.generations.begin()
        await first.put_marks([mark("scans", 7)])
        await store.generations.drop(first.generation)
        second = await store.generations.begin()
        assert second.generation > first.generation
        assert await second.marks() == []
        served = store.generation
        await store.generations.serve(second.generation)
        await store.generations.drop(served)

        standing = await store.generations.standing()
        assert standing.serving == second.generation
        assert {first.generation, served}.isdisjoint(standing.kept)
        rows = [row(unique(), 5)]
        await store.put(rows)
        assert await everything(store, rows[0].tracking_key) == stored(rows)

    async def test_two_rebuildings_without_a_drop(self, store: RebuiltStore) -> None:
        """What served two before is kept too, and can be dropped while the next is built."""
        served = [store.generation]
        for _ in range(2):
            building = await store.generations.begin()
            await store.generations.serve(building.generation)
            served.append(building.generation)
        standing = await store.generations.standing()
        assert standing.serving == served.pop()
        assert set(served) <= set(standing.kept)

        key = unique()
        third = await store.generations.begin()
        for generation in served:
            await store.generations.drop(generation)
        rows = [row(key, 1)]
        await store.put(rows)

        assert await of_key(third.rows, key) == await of_key(store, key) == kept(rows)
        assert (await store.generations.standing()).kept == standing.kept[:-2]

    async def test_what_cannot_be_is_refused(self, store: RebuiltStore) -> None:
        """To drop what serves, or is not there; to let serve what is not being built."""
        serving = store.generation
        building: Building = await store.generations.begin()
        for call in (
            store.generations.drop(serving),
            store.generations.drop(building.generation + 5),
            store.generations.serve(serving),
            store.generations.serve(building.generation + 5),
        ):
            with pytest.raises(NotPossibleNow) as refused:
                await call
            assert refused.value.reason == "GENERATION_NOT_FIT"
        await store.generations.drop(building.generation)
        for again in (store.generations.drop, store.generations.serve):
            with pytest.raises(NotPossibleNow):
                await again(building.generation)
        assert store.generation == serving
