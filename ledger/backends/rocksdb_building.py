"""A generation of the embedded store while it is being built."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from ledger.backends.rocksdb_marks import Marks
from ledger.backends.rocksdb_options import META, trail_family
from ledger.backends.rocksdb_rows import fill, page_behind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from rocksdict import WriteBatch

    from ledger.backends.rocksdb_engine import Engine
    from ledger.trail_store import KeptRow, MarkCell, Row

PUT_BITE_ROWS: Final = 250
"""Rows that are written at once, while nothing else runs: some 1 ms, beside live traffic."""


class FolderBuilding:
    """A `Building`, and the `AllRows` of it."""

    def __init__(self, engine: Engine, generation: int) -> None:
        """`generation` has its column family."""
        self._engine = engine
        self._generation = generation
        self._family = trail_family(generation)
        # A number is used once, so nobody else's marks are under this name.
        self._reader = f"rebuild_s{generation}"
        self._marks = Marks(engine.family(META))

    @property
    def generation(self) -> int:
        """Its number."""
        return self._generation

    @property
    def rows(self) -> FolderBuilding:
        """All of its rows."""
        return self

    @property
    def settle_after_s(self) -> float:
        """A mark lies behind its rows in the one write-ahead log."""
        return 0.0

    async def put(self, rows: Sequence[Row]) -> None:
        """Write in bites."""
        for start in range(0, len(rows), PUT_BITE_ROWS):
            bite = rows[start : start + PUT_BITE_ROWS]
            await self._engine.write(partial(self._fill, bite), "rebuild rows")
            await asyncio.sleep(0)

    async def marks(self) -> Sequence[MarkCell]:
        """All marks lie in memory."""
        self._engine.check()
        return self._marks.of(self._reader)

    async def put_marks(self, marks: Sequence[MarkCell]) -> None:
        """Write them behind their rows in the one write-ahead log."""
        handle = self._engine.handle(META)
        await self._engine.write(
            lambda batch: self._marks.add(batch, handle, self._reader, marks), "rebuild marks"
        )
        self._marks.show(self._reader, marks)

    async def all_rows(self) -> AsyncIterator[Sequence[KeptRow]]:
        """Read as the store does."""
        last: KeptRow | None = None
        while page := page_behind(self._engine.family(self._family), last):
            last = page[-1]
            yield page

    def _fill(self, rows: Sequence[Row], batch: WriteBatch) -> None:
        fill(batch, self._engine.handle(self._family), rows)
