"""Ranges are a set of numbers, whatever is added and taken out."""

from hypothesis import given
from hypothesis import strategies as st

from ledger.ranges import Ranges

NUMBERS = st.integers(1, 40)
RANGES = st.tuples(NUMBERS, st.integers(0, 6)).map(lambda pair: (pair[0], pair[0] + pair[1]))


def numbers(ranges: Ranges) -> set[int]:
    """Every number of them; none may be there twice, and no two may touch."""
    found: list[int] = []
    end = -1
    for first, last in ranges:
        assert end + 1 < first <= last
        found += range(first, last + 1)
        end = last
    return set(found)


@given(st.lists(RANGES), RANGES, NUMBERS)
def test_they_are_a_set(parts: list[tuple[int, int]], asked: tuple[int, int], through: int) -> None:
    """Adding, asking and forgetting do what they do to a set of numbers."""
    ranges = Ranges(parts)
    wanted = {number for first, last in parts for number in range(first, last + 1)}

    assert numbers(ranges) == wanted
    assert ranges.touches(*asked) == bool(wanted & set(range(asked[0], asked[1] + 1)))
    assert ranges.count() == len(wanted)
    outside = [
        number for part in ranges.missing_in(*asked) for number in range(part[0], part[1] + 1)
    ]
    assert outside == [number for number in range(asked[0], asked[1] + 1) if number not in wanted]
    ranges.forget_through(through)
    assert numbers(ranges) == {number for number in wanted if number > through}


@given(st.lists(RANGES), st.integers(0, 5))
def test_the_highest_stay(parts: list[tuple[int, int]], count: int) -> None:
    """Where there is a bound the lowest ranges go, and it is told how many."""
    ranges = Ranges(parts)
    before = list(ranges)

    gone = ranges.keep_highest(count)

    assert list(ranges) == before[gone:]
    assert len(ranges) == min(count, len(before))
