"""Rows of one item out of the store: whole where that can be, else stretch by stretch.

Every read has a bound, and only a few long ones run at once, so one endless trail (a test label,
scanned a million times) costs those who ask for it, and no others.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from ledger.aliases.records import ALIASES_END, Joined, other_keys
from ledger.errors import Busy
from query.copies import Amount, Events
from query.trail import GROUP_BYTES, limits_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

    from ledger.trail_store import Slice, StoredRow, TrailStore
    from query.progress_view import Shown

WHOLE_ROWS_MAX = 5_000
"""Most events of a trail that is read whole: made into entries in some 20 ms. The longest trail of
a real item has some hundred. Copies do not count.
"""

WHOLE_BYTES_MAX = 8 << 20
"""Most bytes of records of a trail that is read whole, without those of copies."""

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
"""The rows of an item, by key: one row for each event."""


class Whole(NamedTuple):
    """A whole trail."""

    keyed_rows: KeyedRows
    copies: Mapping[bytes, int]
    """How many further copies there are, by the order of the row that stands for them."""


class Item(NamedTuple):
    """What was found of one item."""

    keys: Sequence[bytes]
    """All that it is filed under: those that were asked for, then those that aliases name."""
    has_more_keys: bool
    """True: there are more than are read."""
    limits: Mapping[int, int]
    """Below which positions records are shown, in the partitions of all these keys."""
    whole: Whole | None
    """None where there are more events than are read whole."""


class Stretch(NamedTuple):
    """A part of a long trail, which ends with a whole group of copies where that is possible."""

    keyed_rows: KeyedRows
    copies: Mapping[bytes, int]
    """As in `Whole`."""
    last: bytes | None
    """The order it ends with, in the direction of the read; None where the trail ends."""
    is_cut: bool
    """True: it ends within a group, which has more events than are read at once."""


class _Span(NamedTuple):
    """How many rows to read next, and what of a trail is left to read."""

    rows: int
    start: bytes
    stop: bytes | None = None
    descending: bool = False

    def behind(self, order: bytes) -> _Span:
        if self.descending:
            return _Span(REST_ROWS, self.start, order, descending=True)
        return _Span(REST_ROWS, after(order), self.stop)


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
        """Read the first rows of many keys. What comes back is good for `item`."""
        async with self._long:
            slices = await self._store.read_many(keys, max_rows=SHORT_ROWS, max_bytes=SHORT_BYTES)
        return dict(zip(keys, slices, strict=True))

    async def item(
        self,
        keys: Sequence[bytes],
        shown: Shown,
        begun: Mapping[bytes, Slice] | None = None,
    ) -> Item:
        """Find all keys of an item, and all its events, as far as they are shown and read.

        `begun` holds the first rows of some keys, where they have been read already.
        Raises Busy where looking through copies, and what is not shown, takes too long.
        """
        # What counts depends on the pins alone, so that the answer as of a time stays the same.
        left = Amount(WHOLE_ROWS_MAX, WHOLE_BYTES_MAX)
        keyed_rows: KeyedRows = []
        copies: dict[bytes, int] = {}
        is_whole = True
        joined = Joined(keys)
        limits: dict[int, int] = {}
        parts = begun or {}
        for at, key in enumerate(joined.keys):  # It grows with every alias that is found.
            part = parts.get(key)
            if part is None and len(joined.keys) == 1:  # Nearly always.
                part = await self._first_rows(key)
            elif part is None:
                # All that are known by now, at once: so an item with aliases is read in two steps.
                wanted = [each for each in joined.keys[at:] if each not in parts]
                found = await asyncio.gather(*map(self._first_rows, wanted))
                parts = {**parts, **dict(zip(wanted, found, strict=True))}
                part = parts[key]
            limits |= limits_of(shown.pins([key]))
            if part.rows and part.rows[0].order < ALIASES_END:
                joined.add(await self._aliases(key, part, limits))
            if is_whole:
                events = Events(limits, most=left)
                if not events.add(part.rows) and part.more:
                    rest = _Span(REST_ROWS, after(part.rows[-1].order))
                    await self._look_through(key, rest, events)
                is_whole = not events.is_cut
                left = Amount(left.rows - len(events.rows), left.bytes - events.bytes)
                keyed_rows.append((key, events.rows))
                copies |= events.copies
        whole = Whole(keyed_rows, copies) if is_whole else None
        return Item(joined.keys, joined.is_cut, limits, whole)

    async def _first_rows(self, key: bytes) -> Slice:
        async with self._short:
            return await self._store.read(key, max_rows=SHORT_ROWS, max_bytes=SHORT_BYTES)

    async def _aliases(self, key: bytes, part: Slice, limits: Mapping[int, int]) -> Sequence[bytes]:
        """Give the keys that a key is joined with, from its first rows; and from those behind them,
        where it was said very often. Of endlessly many the first are looked at.
        """
        head = Events(limits, most=Amount(WHOLE_ROWS_MAX, WHOLE_BYTES_MAX))
        rows = [row for row in part.rows if row.order < ALIASES_END]
        if not head.add(rows) and part.more and len(rows) == len(part.rows):
            span = _Span(REST_ROWS, after(rows[-1].order), ALIASES_END)
            await self._look_through(key, span, head)
        return list(other_keys(head.rows))

    async def _look_through(self, key: bytes, span: _Span, events: Events) -> None:
        """Read on until the events have ended, or the trail."""
        async with self._long:
            end_s = self._monotonic() + LOOK_S
            rest = await self._look(key, span, events, end_s=end_s, most=LONG_ROWS)
        if rest is not None:
            async with self._endless_place():
                await self._look(key, rest, events, end_s=end_s, most=sys.maxsize)

    async def _look(
        self, key: bytes, span: _Span, events: Events, *, end_s: float, most: int
    ) -> _Span | None:
        """Return what is left to read after so many rows; None where nothing is."""
        count = 0
        while count < most:
            if self._monotonic() >= end_s:
                raise _busy()
            part = await self._store.read(
                key,
                start=span.start,
                stop=span.stop,
                descending=span.descending,
                max_rows=span.rows,
                max_bytes=REST_BYTES,
            )
            if events.add(part.rows) or not part.more:
                return None
            count += len(part.rows)
            span = span.behind(part.rows[-1].order)
            await asyncio.sleep(0)  # A store that answers at once lets nobody else run.
        return span

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
        """Return the next events below the pins, with `start` <= order < `stop`, of a long trail:
        of each key `rows`, and what more its last group has.

        Raises Busy as `item` does. Where a stretch ends depends on the pins alone.
        """
        enough = Amount(rows, REST_BYTES)
        most = Amount(rows + WHOLE_ROWS_MAX, REST_BYTES + WHOLE_BYTES_MAX)
        span = _Span(rows + 1, start, stop, descending)  # One more shows that a group has ended.
        found = [(key, Events(limits, most=most, enough=enough)) for key in keys]
        for key, events in found:
            await self._look_through(key, span, events)
        last, is_cut = _end_of([events for _, events in found], descending=descending)
        return Stretch(
            [(key, _through(events.rows, last, descending=descending)) for key, events in found],
            {order: count for _, events in found for order, count in events.copies.items()},
            last,
            is_cut,
        )


def _busy() -> Busy:
    return Busy(
        "This item has too many records to be looked through now. Ask again in some seconds.",
        reason="TRAIL_TOO_LONG_FOR_NOW",
        retry_after_s=LOOK_RETRY_AFTER_S,
    )


def after(order: bytes) -> bytes:
    """Give the next order; of a prefix of orders, the next prefix."""
    return (int.from_bytes(order, "big") + 1).to_bytes(len(order), "big")


def _end_of(parts: Iterable[Events], *, descending: bool) -> tuple[bytes | None, bool]:
    """Find the order through which nothing is missing of any key, and say whether a group is cut
    there. None: nothing is missing at all.
    """
    edge = _BEFORE_ALL if descending else _BEHIND_ALL
    ends = [
        (events.rows[-1].order if events.is_cut else events.rows[-1].order[:GROUP_BYTES] + edge)
        for events in parts
        if events.is_cut or events.has_enough
    ]
    if not ends:
        return None, False
    last = max(ends) if descending else min(ends)
    return last, not last.endswith(edge)


def _through(rows: list[StoredRow], last: bytes | None, *, descending: bool) -> list[StoredRow]:
    if last is None:
        return rows
    if descending:
        return [row for row in rows if row.order >= last]
    return [row for row in rows if row.order <= last]


_BEFORE_ALL = (1).to_bytes(8, "big")
"""A position before all: the first of generation 1 is far above."""

_BEHIND_ALL = ((1 << 63) - 1).to_bytes(8, "big")
"""A position behind all: the largest that a page token can hold."""
