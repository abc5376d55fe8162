"""Digests of rows that come in any order: one for each range of 65,536 positions of a partition.

A digest is how many rows there are, and the sum of their SHA-256 modulo 2^256. An exclusive or
would not do: a row that comes twice would cancel itself. Sums of different rows are equal by an
accident of 1 in 2^256. Who forges rows can do better than that: against forgers there is evidence.
"""

from __future__ import annotations

from collections import defaultdict
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.position import pack_position

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from ledger.scan_log import Bounds
    from ledger.trail_store import KeptRow, Row

RANGE_BITS: Final = 16
RANGE_POSITIONS: Final = 1 << RANGE_BITS
"""Positions in a range: what is looked at again, row by row, where a digest differs; some 20 MB."""

_INDEX_BITS: Final = 40
_MODULUS: Final = 1 << 256
_LENGTHS: Final = [bytes([length]) for length in range(256)]


class Digest(NamedTuple):
    """What is said of many rows."""

    rows: int
    total: int
    """Sum of their SHA-256 modulo 2^256."""

    def hex(self) -> str:
        """Give the sum as a person compares it."""
        return f"{self.total:064x}"


class Scope(NamedTuple):
    """Which positions are compared."""

    generation: int
    parts: Mapping[int, Bounds]
    """By partition: indexes from the first up to, but not including, the next."""

    def limits(self) -> dict[int, tuple[int, int]]:
        """Give the first position and the one behind the last, by a position's upper bits."""
        limits = {}
        for partition, bounds in self.parts.items():
            start = pack_position(self.generation, partition, 0)
            limits[start >> _INDEX_BITS] = start + bounds.first, start + bounds.next
        return limits

    def spans(self, ranges: Collection[int] | None = None) -> Iterator[tuple[int, int]]:
        """Give first positions and those behind the last, of all or of some ranges."""
        for begin, end in self.limits().values():
            if ranges is None:
                yield begin, end
                continue
            for place in sorted(ranges):
                first, last = place << RANGE_BITS, place + 1 << RANGE_BITS
                if max(begin, first) < min(end, last):
                    yield max(begin, first), min(end, last)

    @property
    def positions(self) -> int:
        """How many there are."""
        return sum(bounds.next - bounds.first for bounds in self.parts.values())


class Digests:
    """Digests by range: the number of a range is its positions without their last 16 bits."""

    def __init__(self) -> None:
        """Of no rows."""
        self._rows: defaultdict[int, int] = defaultdict(int)
        self._totals: defaultdict[int, int] = defaultdict(int)

    def add(self, rows: Iterable[KeptRow | Row]) -> None:
        """Add rows. 1.5 µs each: what is done once per row is done here."""
        number, counts, totals, lengths = int.from_bytes, self._rows, self._totals, _LENGTHS
        for row in rows:
            key, order, record = row[:3]
            place = number(order[-8:], "big") >> RANGE_BITS
            counts[place] += 1
            whole = sha256(lengths[len(key)] + key + order + record).digest()
            totals[place] += number(whole, "big")

    @property
    def rows(self) -> int:
        """How many rows in all."""
        return sum(self._rows.values())

    def of_range(self, place: int) -> Digest:
        """Give the digest of a range."""
        return Digest(self._rows.get(place, 0), self._totals.get(place, 0) % _MODULUS)

    def of_partition(self, generation: int, partition: int) -> Digest:
        """Give the digest of a whole partition: the sum of its ranges."""
        prefix = pack_position(generation, partition, 0) >> _INDEX_BITS
        places = [at for at in self._rows if at >> _INDEX_BITS - RANGE_BITS == prefix]
        total = sum(self._totals[place] for place in places)
        return Digest(sum(self._rows[place] for place in places), total % _MODULUS)

    def differing(self, other: Digests) -> list[int]:
        """Give the ranges in which two sides differ, in order."""
        places = self._rows.keys() | other._rows.keys()
        return sorted(at for at in places if self.of_range(at) != other.of_range(at))


def row_digest(row: KeptRow | Row) -> bytes:
    """Give the SHA-256 of a row: no two rows give the same bytes to it, since the lengths of the
    key and of the order are known.
    """
    key, order, record = row[:3]
    return sha256(_LENGTHS[len(key)] + key + order + record).digest()


def range_of(position: int) -> int:
    """Give the range in which a position lies."""
    return position >> RANGE_BITS


def first_of(place: int) -> int:
    """Give the first position of a range."""
    return place << RANGE_BITS


def position_of(row: KeptRow | Row) -> int:
    """Give where the record of a row lies, as one number."""
    return int.from_bytes(row[1][-8:], "big")
