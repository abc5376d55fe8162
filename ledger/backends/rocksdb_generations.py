"""The generations of the store in one RocksDB: a column family of rows for each.

One row says which of them serves and which is being built. Marks and progress history are of the
log's prefix and hold for every generation, since what is built gets each row in the same write as
the one that serves: there is no moment at which only one of them has it.
"""

from __future__ import annotations

import logging
import struct
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.backends.rocksdb_building import FolderBuilding
from ledger.backends.rocksdb_options import META, trail_family
from ledger.backends.rocksdb_reading import reading
from ledger.errors import Diverged, NotPossibleNow
from ledger.generations import Standing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rocksdict import WriteBatch

    from ledger.backends.rocksdb_engine import Engine

logger = logging.getLogger(__name__)

GENERATION_MAX: Final = 65_535
"""Most generations that a folder ever has: two bytes; one a day lasts 179 years."""

_KEY: Final = b"generations"
_ROW: Final = struct.Struct(">HHH")


class _Row(NamedTuple):
    """What stands in the database; without it the first generation serves."""

    serving: int
    building: int
    newest: int
    """The highest number that was ever given."""


class FolderGenerations:
    """A `Generations`.

    Attributes:
        serving_family: the column family that is read.
        families: those to which rows are put.
    """

    def __init__(self, engine: Engine, generations: Sequence[int]) -> None:
        """`generations` are those that have a column family."""
        self._engine = engine
        self._there = set(generations)
        with reading("The generations of the store"):
            value: bytes | None = engine.family(META).get(_KEY)
        self._show(_Row(*_ROW.unpack(value)) if value else _Row(1, 0, 1))
        if gone := {self._row.serving, self._row.building} - {0, *generations}:
            raise _gone(sorted(gone))
        self._drop_leftovers()
        if self._row.building:
            logger.warning(
                "a generation of the store is half built: `rebuild` goes on with it, or drops it",
                extra={"generation": self._row.building},
            )

    @property
    def serving(self) -> int:
        """Which one serves."""
        return self._row.serving

    async def standing(self) -> Standing:
        """Tell which there are."""
        kept = sorted(number for number in self._there if number < self._row.serving)
        return Standing(self._row.serving, self._row.building, kept)

    async def begin(self) -> FolderBuilding:
        """Begin a generation, or go on with one."""
        number = self._row.building
        if not number:
            number = self._row.newest + 1
            if number > GENERATION_MAX:
                raise NotPossibleNow("The folder has no more generations.", reason="NO_GENERATION")
            self._engine.on_step("generation: before the column family")
            if number not in self._there:
                self._engine.add_family(trail_family(number))
                self._there.add(number)
            # If we crash here nothing names the new family: it is removed at the next start.
            await self._write(self._row._replace(building=number, newest=number))
        return FolderBuilding(self._engine, number)

    async def serve(self, generation: int) -> None:
        """Change the row; what comes behind it in the write-ahead log is put by what it says."""
        if generation != self._row.building or not generation:
            raise _unknown(f"Generation {generation} of the store is not being built.")
        # All rows of both generations lie before this write in the one write-ahead log. If we crash
        # here the old one serves, and the new one is still being built and still gets every row.
        await self._write(_Row(generation, 0, self._row.newest))
        # If we crash here either of the two serves: they have the same rows.
        await self._engine.sync()
        self._engine.on_step("generation: after the sync")

    async def drop(self, generation: int) -> None:
        """Remove a column family."""
        if generation == self._row.serving:
            raise _unknown(f"Generation {generation} of the store serves: it is not dropped.")
        if generation not in self._there:
            raise _unknown(f"The store has no generation {generation}.")
        if generation == self._row.building:
            await self._write(self._row._replace(building=0))
        # A family is gone at once, so what says that nobody needs it has to be on disk before.
        await self._engine.sync()
        # If we crash here one that was being built is named no more, and is removed at the next
        # start; one that was kept still is.
        self._engine.on_step("generation: after the sync")
        self._remove(generation)

    async def _write(self, row: _Row) -> None:
        value = _ROW.pack(*row)
        await self._engine.write(partial(self._fill, value), "generation")
        # Nothing else runs between the write and this.
        self._show(row)

    def _fill(self, value: bytes, batch: WriteBatch) -> None:
        batch.put(_KEY, value, self._engine.handle(META))

    def _show(self, row: _Row) -> None:
        self._row = row
        self.serving_family = trail_family(row.serving)
        numbers = (row.serving, row.building) if row.building else (row.serving,)
        self.families = [trail_family(number) for number in numbers]

    def _drop_leftovers(self) -> None:
        """Remove what was begun, or given up, when the process before this one was killed."""
        row = self._row
        for number in sorted(self._there):
            if number > row.serving and number != row.building:
                self._remove(number)

    def _remove(self, number: int) -> None:
        self._there.discard(number)
        self._engine.drop_family(trail_family(number))


def _gone(generations: Sequence[int]) -> Diverged:
    numbers = " and ".join(map(str, generations))
    return Diverged(
        f"Generation {numbers} of the store is gone from the folder. Restore the whole folder from "
        f"a backup.",
        reason="GENERATION_GONE",
        metadata={"generations": numbers},
    )


def _unknown(why: str) -> NotPossibleNow:
    return NotPossibleNow(why, reason="GENERATION_NOT_FIT", field="generation")
