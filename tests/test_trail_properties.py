"""Trails by their definition, against an oracle that works on what arrived and knows no rows."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from ledger.event import split_order
from ledger.position import unpack_position
from query.trail import (
    Entry,
    Pin,
    Rank,
    arranged,
    below,
    between,
    by_position,
    by_record_time,
    by_scan_time,
    limits_of,
    place_of,
    trail_of,
)
from tests.test_trail import KEY, indexes, rows_of, trail
from tests.trail_oracle import Said, arrivals, expected
from tests.trails import SECOND, START_S, Arrival

if TYPE_CHECKING:
    import random


def found(entries: list[Entry]) -> list[Said]:
    """Say what the trail shows."""
    return [
        Said(
            unpack_position(entry.position).index,
            entry.duplicates,
            entry.conflict,
            entry.correction,
            tuple(unpack_position(at).index for at in entry.corrected_by),
        )
        for entry in entries
    ]


@given(arrivals(), st.integers(0, 20), st.randoms(use_true_random=False))
def test_a_trail_is_what_the_definition_says(
    arrived: list[Arrival], pin: int, shuffle: random.Random
) -> None:
    """The trail is a function of what arrived below the pin, in whatever order rows are read."""
    rows = rows_of(arrived)
    shuffle.shuffle(rows)

    entries = trail_of([(KEY, below(rows, limits_of([Pin(1, 3, pin)])))])

    assert found(entries) == expected(dict(enumerate(arrived[:pin])))


@given(arrivals(), st.randoms(use_true_random=False))
def test_another_order_of_arrival_shows_the_same_events(
    arrived: list[Arrival], shuffle: random.Random
) -> None:
    """Order of arrival moves positions and nothing else: same events, counts, marks and order."""
    again = arrived.copy()
    shuffle.shuffle(again)

    def seen(entries: list[Entry]) -> list[list[object]]:
        groups: defaultdict[bytes, list[object]] = defaultdict(list)
        for entry in entries:
            marks = (entry.duplicates, entry.conflict, entry.correction, len(entry.corrected_by))
            groups[entry.order[:24]].append((entry.record.source_id, entry.event, marks))
        return [sorted(group, key=repr) for group in groups.values()]  # Ties are by position.

    assert seen(trail(*arrived)) == seen(trail(*again))


@given(
    arrivals(),
    st.sampled_from([by_scan_time, by_position, by_record_time]),
    st.booleans(),
    st.integers(1, 4),
)
def test_pages_join_to_the_whole(
    arrived: list[Arrival], rank: Rank, descending: bool, size: int
) -> None:
    """In every order, pages that begin behind the last entry join to the whole, exactly once."""
    entries = trail(*arrived)
    whole = arranged(entries, rank, descending=descending)
    walked: list[Entry] = []
    last = None
    while page := arranged(entries, rank, descending=descending, after=last)[:size]:
        walked += page
        last = place_of(page[-1])

    assert walked == list(whole)
    if rank is not by_scan_time:
        assert indexes(walked) == sorted(indexes(entries), reverse=descending)


@given(arrivals(), st.integers(-1, 4), st.integers(-1, 4))
def test_a_time_range_takes_its_start_and_not_its_end(
    arrived: list[Arrival], start: int, end: int
) -> None:
    """Events at the start are shown, events at the end are not; marks are those of the whole."""
    start_ns, end_ns = ((START_S + minute * 60) * SECOND for minute in (start, end))
    entries = trail(*arrived)

    ranged = between(entries, start_ns, end_ns)

    inside = [
        entry for entry in entries if start_ns <= split_order(entry.order).scan_time_ns < end_ns
    ]
    assert list(ranged) == inside
