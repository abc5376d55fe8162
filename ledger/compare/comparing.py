"""The whole of a comparison: digests of both sides, then the positions where they differ.

Against a live system it looks at what was settled when it began: those rows are in the store for
good, and nothing that is written meanwhile changes them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.compare.digests import Digests, Scope, first_of, position_of, range_of
from ledger.compare.drill import AT_ONCE, RANGES_MAX, Difference, Kind, drill
from ledger.compare.sides import LogSide, StoreSide
from ledger.marks import TRAIL_READER, check_mark, marks_of
from ledger.position import unpack_position
from ledger.scan_log import Bounds
from ledger.trail_store import MarkKind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from ledger.compare.digests import Digest
    from ledger.compare.sides import Side
    from ledger.scan_log import ScanLog
    from ledger.trail_store import AllRows, KeptRow, TrailStore
    from ledger.upkeep import Told

NAMED_MAX: Final = 100
"""Most ranges, and most positions, that a comparison names: more are not read by anyone."""


class RangeDifference(NamedTuple):
    """A range in which the sides differ."""

    first_position: int
    """As one number."""
    expected: Digest
    found: Digest


@dataclass(slots=True, kw_only=True)
class Comparison:
    """What came of it."""

    scope: Scope
    expected: Digests
    """What the log says, or the first store holds."""
    rows: int = 0
    """How many rows were found within the scope."""
    younger: int = 0
    """Rows that were not compared, since they were not settled."""
    other_generations: int = 0
    """Rows that were not compared, since they are of other generations of the log."""
    ranges: list[RangeDifference] = field(default_factory=list)
    """Ranges that differ: the first of them."""
    range_count: int = 0
    differences: list[Difference] = field(default_factory=list)
    """Positions that differ, of the ranges that were looked at row by row: the first of them."""
    difference_count: int = 0

    def add_surplus(self, row: KeptRow, count: int = 1) -> None:
        """Add a row that nobody should have written, one of so many."""
        difference = Difference(position_of(row), Kind.SURPLUS, row.tracking_key)
        self.differences.append(difference)
        self.difference_count += count

    @property
    def is_same(self) -> bool:
        """Whether both sides hold the same rows."""
        return not self.range_count and not self.difference_count


async def settled_scope(log: ScanLog, store: TrailStore) -> Scope:
    """Give what is settled in a store and still in the log.

    Raises Diverged where the log is not the one that the marks were made of.
    """
    cells = marks_of(await store.marks(TRAIL_READER), log.identity)
    parts = {}
    for partition in range(log.identity.partitions):
        cell = cells.get((MarkKind.SETTLED, partition))
        if cell is None:
            continue
        await check_mark(log, cell)
        first = (await log.bounds(partition)).first
        if first < cell.next_index:
            parts[partition] = Bounds(first, cell.next_index)
    return Scope(log.identity.generation, parts)


async def compare_with_log(
    log: ScanLog,
    store: TrailStore,
    rows: AllRows,
    *,
    refused: Callable[[], Awaitable[Collection[int]]],
    told: Told,
) -> Comparison:
    """Compare a store with the log. `rows` are the store's; `refused` gives the positions of what
    the store did not take, by quarantine.

    Raises Busy or Uncertain where an engine is away, Diverged where one is broken.
    """
    scope = await settled_scope(log, store)
    # Asked after the marks: what they cover and the store refused is in quarantine by then.
    expected = LogSide(log, scope, refused=await refused())
    found = StoreSide(rows, scope, partitions=log.identity.partitions)
    comparison = await _compare(expected, found, scope, told, expected)
    outside = found.outside
    comparison.younger = outside.younger
    comparison.other_generations = outside.other_generations
    for partition, row in sorted(outside.last.items()):
        # Asked after the store was read: a row comes after its record.
        if unpack_position(position_of(row)).index >= (await log.bounds(partition)).next:
            comparison.add_surplus(row)
    if outside.stray is not None:
        comparison.add_surplus(outside.stray, count=outside.strays)
    return comparison


async def compare_stores(
    first: AllRows, second: AllRows, scope: Scope, *, partitions: int, told: Told
) -> Comparison:
    """Compare two stores of one log of so many partitions, within a scope that both have settled.

    Raises as `compare_with_log`.
    """
    expected = StoreSide(first, scope, partitions=partitions)
    found = StoreSide(second, scope, partitions=partitions)
    return await _compare(expected, found, scope, told, None)


async def _compare(
    expected: Side, found: Side, scope: Scope, told: Told, log: LogSide | None
) -> Comparison:
    count = _Count(told)
    count.total(2 * scope.positions)
    wanted = await _digests(expected, count, "reads what should be there")
    there = await _digests(found, count, "reads what is there")
    comparison = Comparison(scope=scope, expected=wanted, rows=there.rows)
    differing = wanted.differing(there)
    harmless = set()
    for at in range(0, min(len(differing), RANGES_MAX), AT_ONCE):
        ranges = differing[at : at + AT_ONCE]
        told.done(count.done, f"looks at {len(ranges)} of {len(differing)} ranges that differ")
        differences = await drill(expected, found, ranges, log)
        harmless |= set(ranges) - {range_of(one.position) for one in differences}
        comparison.differences += differences[: NAMED_MAX - len(comparison.differences)]
        comparison.difference_count += len(differences)
    differing = [place for place in differing if place not in harmless]
    comparison.range_count = len(differing)
    comparison.ranges = [
        RangeDifference(first_of(place), wanted.of_range(place), there.of_range(place))
        for place in differing[:NAMED_MAX]
    ]
    return comparison


async def _digests(side: Side, count: _Count, message: str) -> Digests:
    digests = Digests()
    async for page in side.pages():
        digests.add(page)
        count.add(len(page), message)
    return digests


class _Count:
    """How much is done."""

    def __init__(self, told: Told) -> None:
        self.done = 0
        self._total = 0
        self._told = told

    def total(self, total: int) -> None:
        self._total = total
        self._told.total(total)

    def add(self, rows: int, message: str) -> None:
        # A store that has more than it should does not make it more than all.
        self.done = min(self.done + rows, self._total)
        self._told.done(self.done, message)
