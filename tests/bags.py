"""Stories of items in containers: who was scanned where, each line an event of its own number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ledger.numbers import filing_key
from ledger.v1.scan_event_pb2 import Containment, ContainmentDirection
from query.containers import Known, carried
from query.journey.standing import standing
from tests.tellers import START_NS, say

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from query.containers import Carried
    from query.journey import Told

IN = ContainmentDirection.CONTAINMENT_DIRECTION_IN
OUT = ContainmentDirection.CONTAINMENT_DIRECTION_OUT
EMPTIED = ContainmentDirection.CONTAINMENT_DIRECTION_EMPTIED


def see(who: str, what: str, hour: float, facility: str = "", **fields: Any) -> Told:  # noqa: ANN401
    """Tell that something was scanned."""
    one = say(what, hour, facility, name=(who, what, hour), tracking_number=who, **fields)
    return one._replace(key=filing_key(who))


def put_in(who: str, container: str, hour: float, facility: str = "A", **fields: Any) -> Told:  # noqa: ANN401
    """Tell that something went into a container."""
    inside = Containment(direction=IN, container_number=container)
    return see(who, "CONTAINERED", hour, facility, containment=inside, **fields)


def take_out(who: str, container: str, hour: float, facility: str = "A") -> Told:
    """Tell that something came out of a container."""
    outside = Containment(direction=OUT, container_number=container)
    return see(who, "UNCONTAINERED", hour, facility, containment=outside)


def empty(container: str, hour: float, facility: str = "A") -> Told:
    """Tell that a container was emptied."""
    return see(
        container, "UNCONTAINERED", hour, facility, containment=Containment(direction=EMPTIED)
    )


def trails_of(told: Iterable[Told]) -> dict[bytes, list[Told]]:
    """Part a story into trails."""
    trails: dict[bytes, list[Told]] = {}
    for one in told:
        trails.setdefault(one.key, []).append(one)
    return trails


def carried_of(who: str, told: Iterable[Told]) -> Carried:
    """Give what something inherits in a story of all that happened."""
    trails = trails_of(told)
    known: Mapping[bytes, Known | None] = {
        key: Known(standing(events).events) for key, events in trails.items()
    }
    key = filing_key(who)
    known = {**known, **{one.container: Known(()) for one in _inside(trails, known)}}
    found, needs = carried([key], standing(trails.get(key, [])).events, known)
    assert not needs
    return found


def _inside(trails: Mapping[bytes, list[Told]], known: Mapping[bytes, object]) -> Iterable[Told]:
    return [
        one
        for events in trails.values()
        for one in events
        if one.container and one.container not in known
    ]


def said(found: Carried) -> list[tuple[float, str, str]]:
    """Give what was inherited: hour, container, facility."""
    return [
        (
            (one.told.scan_time_ns - START_NS) / 3_600e9,
            one.told.path[-1].decode(),
            one.told.event.facility,
        )
        for one in found.scans
    ]
