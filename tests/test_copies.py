"""Copies collapse while rows are read: in whatever bites and direction, the trail is the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from ledger.numbers import filing_key
from ledger.position import Position
from ledger.trail_store import StoredRow
from query.copies import ENDLESS, Amount, Events
from query.trail import GROUP_BYTES, Pin, below, limits_of, trail_of
from tests.trail_oracle import arrivals
from tests.trails import NUMBER, row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from query.trail import Entry
    from tests.trails import Arrival

KEY = filing_key(NUMBER)


def stored(arrived: Sequence[Arrival]) -> list[StoredRow]:
    """Give the rows of what arrived, as a store has them."""
    rows = (row(one, Position(1, 3, i), record_time_ns=i) for i, one in enumerate(arrived))
    return sorted(StoredRow(made.order, made.record) for made in rows)


def shown(entries: Sequence[Entry]) -> list[tuple[object, ...]]:
    """Give all that a reader sees."""
    return [
        (e.order, e.value, e.is_marked, e.duplicates, e.conflict, e.correction, [*e.corrected_by])
        for e in entries
    ]


@given(arrivals(), st.integers(0, 20), st.integers(1, 5), st.booleans())
def test_the_trail_is_that_of_all_rows(
    arrived: list[Arrival], pin: int, bite: int, descending: bool
) -> None:
    """One row for each event says as much as all rows do, and each event is one row."""
    rows, limits = stored(arrived), limits_of([Pin(1, 3, pin)])
    events = Events(limits, most=ENDLESS)
    read = rows[::-1] if descending else rows

    ended = [events.add(read[begin : begin + bite]) for begin in range(0, len(read), bite)]

    expected = trail_of([(KEY, below(rows, limits))])
    assert not any(ended)
    assert len(events.rows) == len(expected)
    assert events.bytes == sum(len(entry.value) for entry in expected)
    assert shown(trail_of([(KEY, events.rows)], events.copies)) == shown(expected)


@given(arrivals(), st.integers(1, 5), st.integers(1, 9), st.booleans())
def test_enough_ends_with_a_group(
    arrived: list[Arrival], bite: int, enough: int, descending: bool
) -> None:
    """What is left is whole groups, as many as are needed, and nothing of the next."""
    rows, limits = stored(arrived), limits_of([Pin(1, 3, len(arrived))])
    events = Events(limits, most=ENDLESS, enough=Amount(enough, ENDLESS.bytes))
    read = rows[::-1] if descending else rows

    ended = any(events.add(read[begin : begin + bite]) for begin in range(0, len(read), bite))

    groups = {row.order[:GROUP_BYTES] for row in events.rows}
    taken = [row for row in rows if row.order[:GROUP_BYTES] in groups]
    assert ended == events.has_enough == (len(taken) < len(rows))
    assert len(events.rows) >= enough or not ended
    expected = trail_of([(KEY, taken)])
    assert shown(trail_of([(KEY, events.rows)], events.copies)) == shown(expected)


@given(arrivals(), st.integers(0, 9))
def test_copies_are_not_counted(arrived: list[Arrival], most: int) -> None:
    """More than the limit are events alone, however often each was written."""
    rows, limits = stored(arrived), limits_of([Pin(1, 3, len(arrived))])
    events = Events(limits, most=Amount(most, ENDLESS.bytes))

    assert events.add(rows) == events.is_cut == (len(trail_of([(KEY, rows)])) > most)
