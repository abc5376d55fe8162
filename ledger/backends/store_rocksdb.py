"""The trail store in RocksDB: a row is a key, and a trail lies together.

Rows are written without a sync, into the same write-ahead log as everything else; a background sync
follows within a second. Marks come behind their rows in it, so a mark never outlives its rows.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from ledger.backends.rocksdb_engine import SYNC_PERIOD_S
from ledger.backends.rocksdb_history import History
from ledger.backends.rocksdb_marks import Marks
from ledger.backends.rocksdb_options import META
from ledger.backends.rocksdb_reading import check_end
from ledger.backends.rocksdb_rows import KEY_SEPARATOR, fill, page_behind
from ledger.errors import Closed, TooLarge
from ledger.position import SCANS_LOG
from ledger.trail_store import (
    ORDER_BYTES,
    PUT_ROWS_MAX,
    READ_MANY_KEYS_MAX,
    Slice,
    StoredRow,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from rocksdict import WriteBatch

    from ledger.backends.rocksdb_engine import Engine
    from ledger.backends.rocksdb_generations import FolderGenerations
    from ledger.trail_store import KeptRow, MarkCell, ProgressCell, Row

SETTLE_AFTER_S: Final = max(5.0, 2 * SYNC_PERIOD_S)
"""A sync that begins within its period and takes as long again is over by then."""

PUT_BITE_ROWS: Final = 500
"""Rows that are written at once, while nothing else runs: some 2 ms."""

READ_BITE_ROWS: Final = 200
"""Rows that are read at once, while nothing else runs: some 0.5 ms."""

_KEY_END: Final = b"\x01"


class RocksdbTrailStore:
    """A `TrailStore`.

    Attributes:
        generations: those of the store.
    """

    def __init__(self, engine: Engine, generations: FolderGenerations) -> None:
        """`generations` says from which one rows are read, and to which ones they are put."""
        self._engine = engine
        self.generations = generations
        self._marks = Marks(engine.family(META))
        self._deciding = asyncio.Lock()
        self._progress_synced = engine.high_waters[SCANS_LOG].progress().next
        self._stopped = False
        self._reading = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    @property
    def generation(self) -> int:
        """Which generation serves."""
        return self.generations.serving

    @property
    def settle_after_s(self) -> float:
        """When rows are on disk."""
        return SETTLE_AFTER_S

    async def lives(self) -> Mapping[str, str]:
        """Return nothing: the store is in this process."""
        self._check()
        return {}

    async def put(self, rows: Sequence[Row]) -> None:
        """Write in bites; each of them is shown at once."""
        self._check()
        if len(rows) > PUT_ROWS_MAX:
            raise TooLarge(
                f"A put has at most {PUT_ROWS_MAX} rows; this has {len(rows)}.",
                reason="PUT_TOO_LARGE",
            )
        for start in range(0, len(rows), PUT_BITE_ROWS):
            bite = rows[start : start + PUT_BITE_ROWS]
            await self._engine.write(partial(self._fill, bite), "rows")  # To all, or to none.
            await asyncio.sleep(0)

    async def read(
        self,
        tracking_key: bytes,
        *,
        start: bytes = b"",
        stop: bytes | None = None,
        descending: bool = False,
        max_rows: int,
        max_bytes: int,
    ) -> Slice:
        """Read with one iterator, which is one state of the trail."""
        self._check()
        first = tracking_key + KEY_SEPARATOR + start
        end = tracking_key + (_KEY_END if stop is None else KEY_SEPARATOR + stop)
        if first >= end:
            return Slice((), more=False)
        self._reading += 1
        self._quiet.clear()
        try:
            return await self._read(first, end, descending, max_rows, max_bytes)
        finally:
            self._reading -= 1
            if not self._reading:
                self._quiet.set()

    async def read_many(
        self, tracking_keys: Sequence[bytes], *, max_rows: int, max_bytes: int
    ) -> Sequence[Slice]:
        """Read one key after the other, and let others run in between."""
        if len(tracking_keys) > READ_MANY_KEYS_MAX:
            raise TooLarge(
                f"A look-up has at most {READ_MANY_KEYS_MAX} keys; this has {len(tracking_keys)}.",
                reason="READ_TOO_LARGE",
            )
        slices = []
        rows = 0
        for key in tracking_keys:
            slices.append(await self.read(key, max_rows=max_rows, max_bytes=max_bytes))
            rows += 1 + len(slices[-1].rows)
            if rows > READ_BITE_ROWS:
                rows = 0
                await asyncio.sleep(0)
        return slices

    async def all_rows(self) -> AsyncIterator[Sequence[KeptRow]]:
        """Each page is read at once, and the next one begins behind it."""
        last: KeptRow | None = None
        while True:
            self._check()
            page = page_behind(self._engine.family(self.generations.serving_family), last)
            if not page:
                return
            last = page[-1]
            yield page

    async def put_marks(self, reader: str, marks: Sequence[MarkCell]) -> None:
        """Write the marks that are ahead of those that stand."""
        self._check()
        ahead = self._marks.ahead(reader, marks)
        if not ahead:
            return
        await self._engine.write(
            lambda batch: self._marks.add(batch, self._engine.handle(META), reader, ahead), "marks"
        )
        self._marks.show(reader, ahead)

    async def marks(self, reader: str) -> Sequence[MarkCell]:
        """All marks lie in memory too."""
        self._check()
        return self._marks.of(reader)

    async def decide_progress(self, cell: ProgressCell) -> bool:
        """Decide one number at a time, and sync before anyone is told."""
        async with self._deciding:
            self._check()
            history = History(self._engine.family(META))
            stands = history.numbered(cell.number)
            if stands is None:
                last = history.at(None)
                if cell.number != (last.number + 1 if last else 1):
                    return False
                if last is not None and cell.time_ns <= last.time_ns:
                    return False
                handle = self._engine.handle(META)
                await self._engine.write(lambda b: History.add(b, handle, cell), "progress")
                stands = cell
            if stands.number > self._progress_synced:
                await self._show_progress(stands)
            return stands == cell

    async def progress_at(self, time_ns: int | None = None) -> ProgressCell | None:
        """Seek by time."""
        self._check()
        entry = History(self._engine.family(META)).at(time_ns)
        if entry is not None and entry.number > self._progress_synced:
            # Somebody decides it at this moment, or gave up waiting: it counts once it is on disk.
            async with self._deciding:
                await self._show_progress(entry)
        return entry

    async def stop(self) -> None:
        """Take no more calls, and wait for those that read."""
        self._stopped = True
        await self._quiet.wait()

    async def _read(
        self, first: bytes, end: bytes, descending: bool, max_rows: int, max_bytes: int
    ) -> Slice:
        # Bounds in ReadOptions would be shorter, but rocksdict 0.3.29 hands RocksDB the address of
        # bytes that it has freed already.
        found = self._engine.family(self.generations.serving_family).iter()
        step = found.prev if descending else found.next
        valid, key_of, value = found.valid, found.key, found.value
        if descending:
            found.seek_for_prev(end)
            if valid() and key_of() == end:
                step()
        else:
            found.seek(first)
        rows: list[StoredRow] = []
        size = 0
        while valid():
            key: bytes = key_of()
            if not first <= key < end:
                return Slice(rows, more=False)
            if len(rows) >= max_rows or size >= max_bytes:
                return Slice(rows, more=True)
            record: bytes = value()
            rows.append(StoredRow(key[-ORDER_BYTES:], record))
            size += len(record)
            step()
            if len(rows) % READ_BITE_ROWS == 0:
                await asyncio.sleep(0)
                self._check()
        check_end(found, "The trail store")
        return Slice(rows, more=False)

    def _fill(self, rows: Sequence[Row], batch: WriteBatch) -> None:
        for family in self.generations.families:
            fill(batch, self._engine.handle(family), rows)

    async def _show_progress(self, entry: ProgressCell) -> None:
        """Make an entry that is written durable, and note that it has been told."""
        if entry.number <= self._progress_synced:
            return
        await self._engine.sync()
        self._engine.on_step("progress: after the sync")
        high_water = self._engine.high_waters[SCANS_LOG]
        high_water.set_progress(entry.number, entry.entry)
        self._engine.write_high_water(high_water)
        self._progress_synced = entry.number

    def _check(self) -> None:
        self._engine.check()
        if self._stopped:
            raise Closed("The store has been closed.", reason="CLOSED")
