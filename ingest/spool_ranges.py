"""Sets of places as runs that do not touch: what a spool has settled, and what is to be sent."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

Span: TypeAlias = tuple[int, int]
"""Places from the first up to, but not including, the second."""


class Ranges:
    """Places, each once. An operation costs what the runs that it touches cost."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._ends: list[int] = []

    def __iter__(self) -> Iterator[Span]:
        """Give the runs in ascending order."""
        return iter(list(zip(self._firsts, self._ends, strict=True)))

    def __len__(self) -> int:
        """Give the number of runs."""
        return len(self._firsts)

    def __contains__(self, place: int) -> bool:
        """Tell whether a place is in it."""
        at = bisect_right(self._firsts, place) - 1
        return at >= 0 and place < self._ends[at]

    @property
    def first(self) -> int:
        """The lowest place; there must be one."""
        return self._firsts[0]

    @property
    def count(self) -> int:
        """How many places there are."""
        return sum(self._ends) - sum(self._firsts)

    def add(self, first: int, end: int) -> int:
        """Put places in; return how many are new."""
        if first >= end:
            return 0
        # The runs that touch these places become one with them.
        low = bisect_left(self._ends, first)
        high = bisect_right(self._firsts, end)
        known = sum(
            min(self._ends[at], end) - max(self._firsts[at], first) for at in range(low, high)
        )
        if low < high:
            low_first, high_end = self._firsts[low], self._ends[high - 1]
        else:
            low_first, high_end = first, end
        self._firsts[low:high] = [min(first, low_first)]
        self._ends[low:high] = [max(end, high_end)]
        return end - first - known

    def remove(self, first: int, end: int) -> None:
        """Take places out, if they are in it."""
        if first >= end:
            return
        low = bisect_right(self._ends, first)
        high = bisect_left(self._firsts, end)
        if low >= high:
            return
        left = (self._firsts[low], first) if self._firsts[low] < first else None
        right = (end, self._ends[high - 1]) if self._ends[high - 1] > end else None
        kept = [run for run in (left, right) if run]
        self._firsts[low:high] = [run[0] for run in kept]
        self._ends[low:high] = [run[1] for run in kept]

    def within(self, first: int, end: int) -> Iterator[Span]:
        """Give the runs that are in it between two places."""
        for at in range(bisect_right(self._ends, first), bisect_left(self._firsts, end)):
            yield max(self._firsts[at], first), min(self._ends[at], end)

    def missing(self, first: int, end: int) -> Iterator[Span]:
        """Give the runs that are not in it between two places."""
        for begin, over in self.within(first, end):
            if first < begin:
                yield first, begin
            first = over
        if first < end:
            yield first, end

    def covers(self, first: int, end: int) -> bool:
        """Tell whether all of these places are in it."""
        return next(self.missing(first, end), None) is None
