"""What a trail is, from the definition alone: from what arrived, without rows, keys or pins.

Few ids, sources, facilities and times are drawn, so that copies, conflicts, corrections and ties
happen all the time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hypothesis import strategies as st

from tests.trails import NUMBER, Arrival, event_id, scan

if TYPE_CHECKING:
    from collections.abc import Mapping


class Said(NamedTuple):
    """What is expected of one entry."""

    at: int
    """Index of its record."""
    duplicates: int
    conflict: bool
    correction: bool
    corrected_by: tuple[int, ...]


@st.composite
def arrival(draw: st.DrawFn, number: str = NUMBER) -> Arrival:
    """Draw an event as it reaches the log."""
    event = scan(
        draw(st.sampled_from("abc")),
        number=number,
        minute=draw(st.integers(0, 2)),
        facility=draw(st.sampled_from("XY")),
    )
    if draw(st.integers(0, 4)) == 0:
        event.correction.source_id = draw(st.sampled_from(["s1", "s2"]))
        event.correction.event_id = event_id(draw(st.sampled_from("abc")))
    return Arrival(event, draw(st.sampled_from(["s1", "s2"])))


@st.composite
def arrivals(draw: st.DrawFn) -> list[Arrival]:
    """Draw what reaches the log, with copies."""
    made = draw(st.lists(arrival(), max_size=14))
    return made + (draw(st.lists(st.sampled_from(made), max_size=6)) if made else [])


def expected(arrived: Mapping[int, Arrival]) -> list[Said]:
    """Say what the trail is of which these records, by their indexes, have arrived."""
    firsts: list[int] = []
    for at, one in arrived.items():
        if not any(arrived[first] == one for first in firsts):
            firsts.append(at)

    def identity(at: int) -> tuple[str, bytes]:
        return arrived[at].source, arrived[at].event.event_id

    def target(at: int) -> tuple[str, bytes]:
        correction = arrived[at].event.correction
        return correction.source_id, correction.event_id

    corrections = [
        at
        for at in firsts
        if arrived[at].event.HasField("correction") and target(at) != identity(at)
    ]
    said = [
        Said(
            at,
            duplicates=sum(arrived[at] == one for one in arrived.values()) - 1,
            conflict=sum(identity(other) == identity(at) for other in firsts) > 1,
            correction=at in corrections,
            corrected_by=tuple(c for c in corrections if target(c) == identity(at)),
        )
        for at in firsts
    ]

    def place(one: Said) -> tuple[int, bytes, int]:
        event = arrived[one.at].event
        return event.scan_time.seconds, event.event_id, one.at

    return sorted(said, key=place)
