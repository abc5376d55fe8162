"""Rows of one item out of the store: whole where that can be, else stretch by stretch.

Every read has a bound, and only a few long ones run at once, so one endless trail (a test label,
scanned a million times) costs those who ask for it, and no others.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from ledger.errors import Busy
from query.trail import GROUP_BYTES, below

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from ledger.trail_store import Slice, StoredRow, TrailStore

WHOLE_ROWS_MAX = 5_000
"""Most records of a trail that is read whole: made into entries in some 20 ms. The longest trail of
a real item has some hundred.
"""

WHOLE_BYTES_MAX = 8 << 20
"""Most bytes of records of a trail that is read whole."""

LOOK_S = 4.0
"""Longest time in seconds for one look through a trail, of which the pins may leave little: some
million records. Then it is Busy, because another answer would not be the one as of that time. Less
than the time that a batch gives to an item.
"""

LOOK_RETRY_AFTER_S = 1.0
"""When to ask again for what could not be looked through: by then much of it is in memory."""

SHORT_ROWS = 500
"""Records in the first read of a trail. What does not fit waits for a place among the long
reads.
"""

SHORT_BYTES = 256 << 10
"""Bytes of records in the first read of a trail."""

SHORT_READS_MAX = 64
"""Most first reads at once: 16 MiB, and more than a store on two cores can make use of."""

LONG_READS_MAX = 4
"""Most long reads at once: 40 MiB of rows."""

LONG_ROWS = 20_000
"""Records after which a long read is an endless one, and leaves its place to others: some 0.1 s."""

ENDLESS_READS_MAX = 2
"""Most endless reads at once: two of them share what the long reads leave of the store."""

ENDLESS_PLACES = 16
"""Most endless reads that run or wait, each with up to 10 MiB of rows that it has kept."""

REST_ROWS = 2_000
"""Most records in one of the reads that follow the first."""

REST_BYTES = 2 << 20
"""Most bytes of records in one of the reads that follow the first."""

KeyedRows = list[tuple[bytes, list["StoredRow"]]]
"""The rows of an item, by key."""


class Stretch(NamedTuple):
    """A part of a long trail, which ends with a whole group of copies where that is possible."""

    keyed_rows: KeyedRows
    last: bytes | None
    """Order of its last row in the direction of the read; None where the trail ends."""
    is_cut: bool
    """True: all of it is one group of copies, and there is more of that group."""


class TrailReader:
    """Reads trails for all requests of one process."""

    def __init__(self, store: TrailStore, *, monotonic: Callable[[], float]) -> None:
        """`store` is only read from; `monotonic` gives seconds."""
        self._store = store
        self._monotonic = monotonic
        self._short = asyncio.Semaphore(SHORT_READS_MAX)
        self._long = asyncio.Semaphore(LONG_READS_MAX)
        self._endless = asyncio.Semaphore(ENDLESS_READS_MAX)
        self._endless_places = ENDLESS_PLACES

    async def first_of_many(self, keys: Sequence[bytes]) -> Mapping[bytes, Slice]:
        """Read the first rows of many keys. What comes back is good for `whole`."""
        async with self._long:
            slices = await self._store.read_many(keys, max_rows=SHORT_ROWS, max_bytes=SHORT_BYTES)
        return dict(zip(keys, slices, strict=True))

    async def whole(
        self,
        keys: Sequence[bytes],
        limits: Mapping[int, int],
        begun: Mapping[bytes, Slice] | None = None,
    ) -> KeyedRows | None:
        """Return all rows below the pins; None where there are more of them than are read whole.

        `begun` holds the first rows of these keys, where they have been read already.
        Raises Busy where looking through what is above the pins takes too long.
        """
        tally = _Tally(limits)
        keyed_rows: KeyedRows = []
        for key in keys:
            if begun is not None:
                part = begun[key]
            else:
                async with self._short:
                    part = await self._store.read(key, max_rows=SHORT_ROWS, max_bytes=SHORT_BYTES)
            rows = tally.keep(part.rows)
            if part.more and not tally.is_full:

                def take(part: Slice, rows: list[StoredRow] = rows) -> bool:
                    rows += tally.keep(part.rows)
                    return tally.is_full

                await self._look_through(key, after(part.rows[-1].order), take)
            if tally.is_full:
                return None
            keyed_rows.append((key, rows))
        return keyed_rows

    async def _look_through(self, key: bytes, start: bytes, take: Callable[[Slice], bool]) -> None:
        """Read on until `take` has enough, or the trail ends. It is given every slice."""
        async with self._long:
            end_s = self._monotonic() + LOOK_S
            last = await self._look(key, start, take, end_s=end_s, most=LONG_ROWS)
        if last is not None:
            async with self._endless_place():
                await self._look(key, after(last), take, end_s=end_s, most=sys.maxsize)

    async def _look(
        self, key: bytes, start: bytes, take: Callable[[Slice], bool], *, end_s: float, most: int
    ) -> bytes | None:
        """Return the last order where there is more to read after so many rows, else None."""
        count = 0
        while True:
            if self._monotonic() >= end_s:
                raise _busy()
            part = await self._store.read(
                key, start=start, max_rows=REST_ROWS, max_bytes=REST_BYTES
            )
            if take(part) or not part.more:
                return None
            last = part.rows[-1].order
            count += len(part.rows)
            if count >= most:
                return last
            start = after(last)
            await asyncio.sleep(0)  # A store that answers at once lets nobody else run.

    @asynccontextmanager
    async def _endless_place(self) -> AsyncIterator[None]:
        # The wait ends in time: who is ahead has begun earlier, and so gives up earlier.
        if not self._endless_places:
            raise _busy()
        self._endless_places -= 1
        try:
            async with self._endless:
                yield
        finally:
            self._endless_places += 1

    async def stretch(
        self,
        keys: Sequence[bytes],
        limits: Mapping[int, int],
        *,
        start: bytes,
        stop: bytes | None,
        descending: bool,
        rows: int,
    ) -> Stretch:
        """Return the next rows below the pins, with `start` <= order < `stop`, of a long trail;
        at most `rows` of each key.
        """
        async with self._long:
            parts = [
                await self._store.read(
                    key,
                    start=start,
                    stop=stop,
                    descending=descending,
                    max_rows=rows,
                    max_bytes=REST_BYTES,
                )
                for key in keys
            ]
        last, is_cut = _complete_through(parts, descending=descending)
        return Stretch(
            [
                (key, below(_through(part.rows, last, descending=descending), limits))
                for key, part in zip(keys, parts, strict=True)
            ],
            last,
            is_cut,
        )


class _Tally:
    """Counts what a read of a whole trail has kept."""

    def __init__(self, limits: Mapping[int, int]) -> None:
        self._limits = limits
        self._rows = self._bytes = 0

    def keep(self, rows: Sequence[StoredRow]) -> list[StoredRow]:
        kept = below(rows, self._limits)
        self._rows += len(kept)
        self._bytes += sum(len(row.record) for row in kept)
        return kept

    @property
    def is_full(self) -> bool:
        # What is kept depends on the pins alone, so that the answer as of a time stays the same.
        return self._rows > WHOLE_ROWS_MAX or self._bytes > WHOLE_BYTES_MAX


def _busy() -> Busy:
    return Busy(
        "This item has too many records to be looked through now. Ask again in some seconds.",
        reason="TRAIL_TOO_LONG_FOR_NOW",
        retry_after_s=LOOK_RETRY_AFTER_S,
    )


def after(order: bytes) -> bytes:
    """Give the next order; of a prefix of orders, the next prefix."""
    return (int.from_bytes(order, "big") + 1).to_bytes(len(order), "big")


def _complete_through(parts: Sequence[Slice], *, descending: bool) -> tuple[bytes | None, bool]:
    """Find the last row up to which nothing is missing and no group of copies is cut; where one
    group fills all, its last row, and say that it is cut. None: nothing is missing at all.
    """
    ends = [part.rows[-1].order for part in parts if part.more]
    if not ends:
        return None, False
    end = max(ends) if descending else min(ends)
    group = end[:GROUP_BYTES]
    if descending:
        whole = [row.order for part in parts for row in part.rows if row.order > after(group)]
        last = min(whole, default=None)
    else:
        whole = [row.order for part in parts for row in part.rows if row.order < group]
        last = max(whole, default=None)
    return (end, True) if last is None else (last, False)


def _through(
    rows: Sequence[StoredRow], last: bytes | None, *, descending: bool
) -> Sequence[StoredRow]:
    if last is None:
        return rows
    if descending:
        return [row for row in rows if row.order >= last]
    return [row for row in rows if row.order <= last]
