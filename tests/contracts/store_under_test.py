"""Which store a suite looks at, and what suites write into it."""

import os
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from ledger.event import order_key
from ledger.trail_store import (
    MarkCell,
    MarkKind,
    Row,
    StoredRow,
    TrailStore,
)

ALL = 1_000_000
"""A limit that no test reaches."""

DAY_NS = 86_400 * 1_000_000_000


def row(key: bytes, time_ns: int, *, index: int = 0, size: int = 100) -> Row:
    """A row at a scan time; the same arguments do not give the same row."""
    position = 1 << 56 | index
    return Row(key, order_key(time_ns, os.urandom(16), position), os.urandom(size), time_ns // 1000)


def stored(rows: list[Row]) -> list[StoredRow]:
    """What a read of these rows gives."""
    return sorted(StoredRow(row.order, row.record) for row in rows)


async def everything(store: TrailStore, key: bytes) -> list[StoredRow]:
    """The whole trail."""
    return list((await store.read(key, max_rows=ALL, max_bytes=1 << 40)).rows)


def mark(
    log: str, index: int, *, kind: MarkKind = MarkKind.READABLE, partition: int = 3
) -> MarkCell:
    """A mark whose bytes say its index."""
    return MarkCell(kind, log, 1, partition, index, b"mark %d" % index)


class StoreUnderTest(ABC):
    """A subclass says how its store is opened; twice with one folder opens the same store."""

    @abstractmethod
    def open_store(self, folder: Path) -> AbstractAsyncContextManager[TrailStore]:
        """Open the store; `folder` is an empty one, or was used for it before."""

    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[TrailStore]:
        """The store under test."""
        async with self.open_store(tmp_path) as store:
            yield store
