"""Sets of sequences, kept as ranges: most sources leave no gaps, so most sets are one range."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Ranges:
    """Disjoint ranges, both ends included, in ascending order; none touches another."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in ranges:
            self.add(first, last)

    def __len__(self) -> int:
        return len(self._firsts)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(zip(self._firsts, self._lasts, strict=True))

    def add(self, first: int, last: int) -> None:
        """Add a range; it grows together with those that it touches."""
        firsts, lasts = self._firsts, self._lasts
        if lasts and lasts[-1] + 1 == first:  # The usual case.
            lasts[-1] = last
            return
        start = bisect_left(lasts, first - 1)
        end = bisect_right(firsts, last + 1)
        if start < end:
            first, last = min(first, firsts[start]), max(last, lasts[end - 1])
        firsts[start:end] = [first]
        lasts[start:end] = [last]

    @property
    def first(self) -> int:
        """The lowest number in the set, which is not empty."""
        return self._firsts[0]

    def count(self) -> int:
        """Tell how many numbers are in the set."""
        return sum(self._lasts) - sum(self._firsts) + len(self._firsts)

    def missing_in(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Give what of a range is not in the set, in ascending order."""
        place = bisect_left(self._lasts, first)
        while first <= last:
            if place == len(self._firsts) or self._firsts[place] > last:
                yield first, last
                return
            if first < self._firsts[place]:
                yield first, self._firsts[place] - 1
            first = self._lasts[place] + 1
            place += 1

    def touches(self, first: int, last: int) -> bool:
        """Tell whether any of a range is in the set."""
        place = bisect_left(self._lasts, first)
        return place < len(self._firsts) and self._firsts[place] <= last

    def forget_through(self, sequence: int) -> None:
        """Take out all up to a sequence."""
        place = bisect_right(self._lasts, sequence)
        del self._firsts[:place], self._lasts[:place]
        if self._firsts and self._firsts[0] <= sequence:
            self._firsts[0] = sequence + 1

    def keep_highest(self, count: int) -> int:
        """Keep at most so many ranges, the highest ones; return how many went."""
        over = max(0, len(self._firsts) - count)
        del self._firsts[:over], self._lasts[:over]
        return over
