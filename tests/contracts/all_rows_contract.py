"""What every store that can be compared does: the contract of `ledger.trail_store.AllRows`.

A store may be shared and is never assumed to be empty: of all its rows a test looks at its own.
"""

import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

import pytest

from ledger.errors import Closed
from ledger.trail_store import AllRows, KeptRow, Row, TrailStore
from tests.contracts.patience import unique
from tests.contracts.store_under_test import row


class WholeStore(TrailStore, AllRows, Protocol):
    """A store of which all rows can be read."""


async def pages_of(store: AllRows, begin: bytes) -> list[list[KeptRow]]:
    """The rows whose keys begin so, page by page."""
    pages = [page async for page in store.all_rows()]
    assert all(pages)
    return [[kept for kept in page if kept.tracking_key.startswith(begin)] for page in pages]


async def rows_in(store: AllRows, begin: bytes) -> list[KeptRow]:
    """The rows whose keys begin so, sorted."""
    return sorted(kept for page in await pages_of(store, begin) for kept in page)


def kept(rows: list[Row]) -> list[KeptRow]:
    """What is to come of these rows."""
    return sorted(KeptRow(*row[:3]) for row in rows)


class AllRowsContract:
    """A subclass says how its store is opened."""

    def open_store(self, folder: Path) -> AbstractAsyncContextManager[WholeStore]:
        """Open the store; `folder` is an empty one, or was used for it before."""
        raise NotImplementedError

    @pytest.fixture
    async def whole(self, tmp_path: Path) -> AsyncIterator[WholeStore]:
        """The store under test."""
        async with self.open_store(tmp_path) as store:
            yield store

    async def test_every_row_comes_once(self, whole: WholeStore) -> None:
        """Rows of many keys, short and long ones and such that begin alike, come once each."""
        base = unique()
        keys = [base + b"%d" % number for number in range(700)]
        keys += [base, base + b"\x01", base + b"\xff", base.ljust(128, b"\xff")]
        rows = [row(key, time, size=40) for key in keys for time in range(3)]
        await whole.put(rows)

        assert await rows_in(whole, base) == kept(rows)

    async def test_a_long_trail_comes_whole(self, whole: WholeStore) -> None:
        """A trail that is longer than several pages, between others, comes once and whole."""
        base = unique()
        rows = [row(base + b"long", time, size=10) for time in range(2_300)]
        rows += [row(base + b"%d" % number, 1, size=10) for number in range(50)]
        await whole.put(rows)

        assert await rows_in(whole, base) == kept(rows)

    async def test_what_is_put_meanwhile_does_no_harm(self, whole: WholeStore) -> None:
        """Between any two pages rows are put, new ones and old ones again: all that were there
        before come exactly once.
        """
        base = unique()
        rows = [row(base + os.urandom(4), time, size=10) for time in range(1_500)]
        await whole.put(rows)
        found: list[KeptRow] = []

        async for page in whole.all_rows():
            found += [one for one in page if one.tracking_key.startswith(base)]
            await whole.put([row(base + b"new" + os.urandom(4), 1), *rows[:20]])

        old = set(kept(rows))
        assert sorted(one for one in found if one in old) == kept(rows)
        assert len(found) == len(set(found))

    async def test_it_may_be_left_at_any_point(self, whole: WholeStore) -> None:
        """Who stops after the first page may begin again, and gets everything."""
        base = unique()
        rows = [row(base + b"%d" % number, 1, size=10) for number in range(600)]
        await whole.put(rows)

        async for _ in whole.all_rows():
            break

        assert await rows_in(whole, base) == kept(rows)

    async def test_a_closed_store_gives_nothing(self, tmp_path: Path) -> None:
        """After the store was closed, rows are refused, also in the middle."""
        async with self.open_store(tmp_path) as store:
            await store.put([row(unique(), time, size=10) for time in range(1_200)])
            pages = store.all_rows()
            await anext(pages)

        with pytest.raises(Closed):
            await anext(pages)
        with pytest.raises(Closed):
            await anext(store.all_rows())
