"""Rows of one item out of the store: whole where that can be, else stretch by stretch.

Every read has a bound, and only a few long ones run at once, so one endless trail (a test label,
scanned a million times) costs those who ask for it, and no others.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from query.trail import GROUP_BYTES, below

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ledger.trail_store import Slice, StoredRow, TrailStore

WHOLE_ROWS_MAX = 5_000
"""Most records of a trail that is read whole: made into entries in some 20 ms. The longest trail of
a real item has some hundred.
"""

WHOLE_BYTES_MAX = 8 << 20
"""Most bytes of records of a trail that is read whole."""

LOOK_THROUGH_ROWS_MAX = 100_000
"""Most records that are looked through for those that may be shown. Only an item that was scanned
that often has more, and is then served as oversized also where the pins leave little of it.
"""

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

    def __init__(self, store: TrailStore) -> None:
        """`store` is only read from."""
        self._store = store
        self._short = asyncio.Semaphore(SHORT_READS_MAX)
        self._long = asyncio.Semaphore(LONG_READS_MAX)

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
            if part.more:
                async with self._long:
                    rows += await self._rest(key, part.rows[-1].order, tally)
            if tally.is_full:
                return None
            keyed_rows.append((key, rows))
        return keyed_rows

    async def _rest(self, key: bytes, last: bytes, tally: _Tally) -> list[StoredRow]:
        rows: list[StoredRow] = []
        while not tally.is_full:
            part = await self._store.read(
                key, start=after(last), max_rows=REST_ROWS, max_bytes=REST_BYTES
            )
            rows += tally.keep(part.rows)
            if not part.more:
                break
            last = part.rows[-1].order
        return rows

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
    """Counts what a read of a whole trail has kept, and how much it has looked through."""

    def __init__(self, limits: Mapping[int, int]) -> None:
        self._limits = limits
        self._rows = self._bytes = self._looked_through = 0

    def keep(self, rows: Sequence[StoredRow]) -> list[StoredRow]:
        kept = below(rows, self._limits)
        self._looked_through += len(rows)
        self._rows += len(kept)
        self._bytes += sum(len(row.record) for row in kept)
        return kept

    @property
    def is_full(self) -> bool:
        # What is kept depends on the pins alone, so that the answer as of a time stays the same.
        return (
            self._rows > WHOLE_ROWS_MAX
            or self._bytes > WHOLE_BYTES_MAX
            or self._looked_through > LOOK_THROUGH_ROWS_MAX
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
