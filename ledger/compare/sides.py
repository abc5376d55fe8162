"""Where rows come from that are compared: what the log says, and what a store holds."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from ledger.compare.digests import position_of, range_of, row_digest
from ledger.position import unpack_position
from ledger.quarantine.records import Unfit
from ledger.quarantine.sorting import STORE_REFUSED, row_instead, rows_said, sort_out

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence

    from ledger.compare.digests import Scope
    from ledger.scan_log import ScanLog
    from ledger.trail_store import AllRows, KeptRow, Row

BITE_RECORDS: Final = 250
"""Records after which the loop gets a turn: some 1 ms with their digests, beside live traffic."""

_INDEX_BITS: Final = 40


class Side(Protocol):
    """One of the two."""

    def pages(
        self, ranges: Collection[int] | None = None
    ) -> AsyncIterator[Sequence[KeptRow | Row]]:
        """Give all rows within the scope, or those of some ranges; the loop gets its turns."""


class LogSide:
    """The rows that the log's records are."""

    def __init__(self, log: ScanLog, scope: Scope, *, refused: Collection[int] = ()) -> None:
        """`refused` are the positions of records that the store did not take, by quarantine."""
        self._log = log
        self._scope = scope
        self._refused = frozenset(refused)

    async def pages(
        self, ranges: Collection[int] | None = None
    ) -> AsyncIterator[Sequence[KeptRow | Row]]:
        """Read the log."""
        for begin, end in self._scope.spans(ranges):
            at = begin
            while at < end:
                values = await self._read(at, end - at)
                for start in range(0, len(values), BITE_RECORDS):
                    yield self._rows(values[start : start + BITE_RECORDS], at + start)
                    await asyncio.sleep(0)
                at += len(values)

    async def allows(self, position: int) -> Collection[bytes]:
        """Give the digests of all rows that may stand at a position, besides the one that does.

        A store that refused a row for a moment has its notice beside it for good.
        """
        [value] = await self._read(position, 1)
        rows = list(sort_out([value], position, self._log.identity.partitions)[0])
        if notice := row_instead(Unfit(position, value, STORE_REFUSED)):
            rows.append(notice)
        return [row_digest(row) for row in rows]

    async def _read(self, position: int, most: int) -> Sequence[bytes]:
        at = unpack_position(position)
        return await self._log.read(at.partition, at.index, most)

    def _rows(self, values: Sequence[bytes], first: int) -> Sequence[Row]:
        return rows_said(values, first, self._log.identity.partitions, self._refused)


@dataclass(slots=True)
class Outside:
    """Rows of a store that are not in the scope."""

    younger: int = 0
    """Behind what is settled, or before what the log still holds."""
    other_generations: int = 0
    """Of other generations of the log."""
    last: dict[int, KeptRow] = field(default_factory=dict)
    """By partition of the log: the row with the highest position."""
    strays: int = 0
    """Of partitions that the log does not have."""
    stray: KeptRow | None = None
    """One of them."""


class StoreSide:
    """The rows that a store holds.

    Attributes:
        outside: what was found beside the scope when `pages` was read last.
    """

    def __init__(self, rows: AllRows, scope: Scope, *, partitions: int) -> None:
        """`partitions` is how many the log has."""
        self.outside = Outside()
        self._rows = rows
        self._scope = scope
        self._partitions = partitions

    async def pages(
        self, ranges: Collection[int] | None = None
    ) -> AsyncIterator[Sequence[KeptRow | Row]]:
        """Read all of the store, whatever is asked for: rows lie by key, not by position."""
        self.outside = Outside()
        limits = self._scope.limits()
        async for page in self._rows.all_rows():
            kept: list[KeptRow] = []
            for row in page:
                position = position_of(row)
                begin, end = limits.get(position >> _INDEX_BITS, (0, 0))
                if not begin <= position < end:
                    self._put_aside(row, position)
                elif ranges is None or range_of(position) in ranges:
                    kept.append(row)
            yield kept
            await asyncio.sleep(0)

    def _put_aside(self, row: KeptRow, position: int) -> None:
        outside = self.outside
        generation, partition = divmod(position >> _INDEX_BITS, 1 << 16)
        if generation != self._scope.generation:
            outside.other_generations += 1
        elif partition >= self._partitions:
            outside.strays += 1
            outside.stray = row
        else:
            outside.younger += 1
            last = outside.last.get(partition)
            if last is None or position_of(last) < position:
                outside.last[partition] = row
