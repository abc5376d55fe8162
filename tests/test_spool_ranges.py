"""Runs of places against a set of numbers."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ingest.spool_ranges import Ranges


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 40), st.integers(0, 10)), max_size=30),
    st.integers(0, 40),
    st.integers(0, 15),
)
def test_ranges_are_sets(steps: list[tuple[bool, int, int]], first: int, length: int) -> None:
    """Whatever goes in and out, runs are what a set of numbers would be."""
    ranges, oracle = Ranges(), set[int]()
    for adds, at, count in steps:
        places = set(range(at, at + count))
        if adds:
            assert ranges.add(at, at + count) == len(places - oracle)
            oracle |= places
        else:
            ranges.remove(at, at + count)
            oracle -= places
    runs = list(ranges)
    asked = set(range(first, first + length))

    assert {n for a, b in runs for n in range(a, b)} == oracle
    assert all(before[1] < after[0] for before, after in pairwise(runs))
    assert ranges.count == len(oracle)
    assert {n for a, b in ranges.missing(first, first + length) for n in range(a, b)} == (
        asked - oracle
    )
    assert {n for a, b in ranges.within(first, first + length) for n in range(a, b)} == (
        asked & oracle
    )
    assert ranges.covers(first, first + length) == (asked <= oracle)
    assert (first in ranges) == (first in oracle)
