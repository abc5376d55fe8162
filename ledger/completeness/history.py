"""When a source was first heard of each of its sequences, and at which facility it was. Bounded."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from sys import intern
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY_NS: Final = 86_400 * 1_000_000_000

GRAIN_NS: Final = 10 * 1_000_000_000
"""Within so many nanoseconds times are one: a young sequence may look so much older."""

FINE_NS: Final = 3_600 * 1_000_000_000
"""After so many nanoseconds the time within a day does not matter any more."""

STEPS_MAX: Final = 1_024
"""Most times of one source, 16 KiB: the steps of an hour, and the days of nearly two years. With
more the oldest days run together.
"""

PLACES_MAX: Final = 256
"""Most places of one source: a device that goes to and fro between facilities for months."""


class Heard:
    """Up to which sequence a source was heard of, and when: both ascending."""

    __slots__ = ("_through", "_times")

    def __init__(self) -> None:
        self._through = array("Q")
        self._times = array("q")

    @property
    def through(self) -> int:
        """The highest sequence that it was heard of; 0 is none."""
        return self._through[-1] if self._through else 0

    def say(self, through: int, time_ns: int) -> None:
        """Say that all up to a sequence exist. Only the first time counts, for each of them."""
        if through <= self.through:
            return
        if self._times:
            last_ns = self._times[-1]
            time_ns = max(time_ns, last_ns)  # A clock that went back: in the order of the log.
            if time_ns - last_ns < GRAIN_NS and time_ns // DAY_NS == last_ns // DAY_NS:
                self._through[-1] = through
                return
        self._through.append(through)
        self._times.append(time_ns)
        if len(self._times) > STEPS_MAX:
            self._make_room(time_ns)

    def first_ns(self, sequence: int) -> int:
        """Tell when a sequence was first heard of; 0 where it never was."""
        place = bisect_left(self._through, sequence)
        return self._times[place] if place < len(self._times) else 0

    def by_day(self, first: int, last: int) -> Iterator[tuple[int, int, int]]:
        """Cut a range where another UTC day begins; give first, last and when that was heard of."""
        place = bisect_left(self._through, first)
        while first <= last and place < len(self._times):
            begun_ns = self._times[place]
            day = begun_ns // DAY_NS
            while place < len(self._times) and self._times[place] // DAY_NS == day:
                place += 1
            end = min(last, self._through[place - 1])
            yield first, end, begun_ns
            first = end + 1

    def _make_room(self, now_ns: int) -> None:
        """Let the times of a day become its first one, but those of the last hour."""
        through, times = array("Q"), array("q")
        for upto, time_ns in zip(self._through, self._times, strict=True):
            coarse = now_ns - time_ns > FINE_NS
            if times and coarse and times[-1] // DAY_NS == time_ns // DAY_NS:
                through[-1] = upto
            else:
                through.append(upto)
                times.append(time_ns)
        over = len(times) - STEPS_MAX * 3 // 4
        if over > 0:  # The first of them stands for all of these.
            del through[:over], times[1 : over + 1]
        self._through, self._times = through, times


class Places:
    """Where a source was: the facility at its sequences, as far as records said it."""

    __slots__ = ("_codes", "_sequences")

    def __init__(self) -> None:
        self._sequences: list[int] = []
        self._codes: list[str] = []

    def note(self, sequence: int, facility: str) -> None:
        """Note that a record of this sequence was made at a facility."""
        place = bisect_left(self._sequences, sequence)
        around = self._codes[max(0, place - 1) : place + 1]
        if around == [facility, facility] or (
            place < len(self._sequences) and self._sequences[place] == sequence
        ):
            return
        self._sequences.insert(place, sequence)
        self._codes.insert(place, intern(facility))  # Many sources, and few facilities.
        self._forget_between(place)

    def nearest(self, sequence: int) -> str:
        """Give the facility of the last record up to a sequence, else of the first one behind it;
        empty where none is known.
        """
        if not self._codes:
            return ""
        return self._codes[max(0, bisect_right(self._sequences, sequence) - 1)]

    def _forget_between(self, place: int) -> None:
        """Keep the first and the last of those that follow one another and say the same."""
        for middle in (place + 1, place - 1):
            if len(set(self._codes[max(0, middle - 1) : middle + 2])) == 1 and (
                0 < middle < len(self._codes) - 1
            ):
                del self._sequences[middle], self._codes[middle]
        if len(self._codes) > PLACES_MAX:
            del self._sequences[0], self._codes[0]
