"""Finds the positions at which two sides differ, range by range, and what is wrong there."""

from __future__ import annotations

from collections import defaultdict
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.compare.digests import position_of, row_digest

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ledger.compare.sides import LogSide, Side

AT_ONCE: Final = 2
"""Ranges that are looked at with one reading of the store: some 20 MB each."""

RANGES_MAX: Final = 8
"""Ranges that are looked at row by row, by four readings of the store. Where more differ, they are
named as ranges: such a store is made anew, whatever its single rows are.
"""

ROWS_MAX: Final = 200_000
"""Most rows that are remembered of those that should not be there: some 50 MB."""


class Kind(Enum):
    """What is wrong at a position."""

    MISSING = "missing"
    """The row that should be there is not."""
    OTHER = "other"
    """Another row is there instead: of another trail, of another time, or with other bytes."""
    SURPLUS = "surplus"
    """A row is there that nobody should have written."""


class Difference(NamedTuple):
    """One position at which the sides differ."""

    position: int
    """As one number."""
    kind: Kind
    tracking_key: bytes
    """In whose trail the row is missing or, with SURPLUS, stands."""


async def drill(
    expected: Side, found: Side, ranges: Sequence[int], log: LogSide | None
) -> list[Difference]:
    """Give the positions at which the sides differ within up to AT_ONCE ranges, in order.

    `log` knows which further rows do no harm.
    """
    wanted: dict[bytes, tuple[int, bytes]] = {}
    async for page in expected.pages(ranges):
        wanted.update((row_digest(row), (position_of(row), row[0])) for row in page)
    surplus: defaultdict[int, list[tuple[bytes, bytes]]] = defaultdict(list)
    room = ROWS_MAX
    async for page in found.pages(ranges):
        for row in page:
            digest = row_digest(row)
            if wanted.pop(digest, None) is None and room:
                surplus[position_of(row)].append((digest, row[0]))
                room -= 1
    missing = dict(wanted.values())
    differences = []
    for position in sorted(missing.keys() | surplus.keys()):
        others = surplus.get(position, [])
        if position in missing:
            kind = Kind.OTHER if others else Kind.MISSING
            differences.append(Difference(position, kind, missing[position]))
        else:
            allowed: Collection[bytes] = await log.allows(position) if log else ()
            differences += [
                Difference(position, Kind.SURPLUS, key)
                for digest, key in others
                if digest not in allowed
            ]
    return differences
