"""The proof of a delivery, and what speaks against it.

A scan that stops the clock is easily made at the depot. So its position is held against the
facility and its area, and its time against the tour, other deliveries and what came after.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from ledger.v1.scan_event_pb2 import DeliveryMode
from query.journey.result import Confidence, Flag, Proof, Weakness
from query.journey.rules import SECOND_NS, Types

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from ledger.v1.scan_event_pb2 import GeoPosition
    from query.journey.legs import Walk, Way
    from query.journey.result import Correction
    from query.journey.told import Told

    Coordinates = Callable[[str], tuple[float, float] | None]
    """Degrees north and east of a facility; None where they are not known."""

AT_FACILITY_M: Final = 150.0
"""Nearer than this, a position is the building's: its size, and what receivers are off inside."""

FAR_AWAY_M: Final = 80_000.0
"""No tour by road goes further from its unit, also in the country."""

BURST_NS: Final = 120 * SECOND_NS
"""From the load of a tour to a first door takes longer."""

_COARSE_DEGREES: Final = 100.0
_NOT_AT_A_DOOR: Final = frozenset({
    DeliveryMode.DELIVERY_MODE_COUNTER, DeliveryMode.DELIVERY_MODE_LOCKER,
})  # fmt: skip
_GRAVE: Final = frozenset({
    Weakness.AT_FACILITY,
    Weakness.FAR_AWAY,
    Weakness.BURST,
    Weakness.SCANNED_AFTERWARDS,
    Weakness.CONTRADICTED,
})  # fmt: skip
_EARTH_M: Final = 6_371_000.0


def proof_of(
    walk: Walk,
    flags: Collection[Flag],
    corrections: Sequence[Correction],
    *,
    coordinates: Coordinates,
) -> Proof | None:
    """Give the proof that the present leg has ended at somebody's; None where it has not."""
    way = walk.way
    one = way.handed_over
    if one is None:
        return None
    event = one.event
    mode = one.says.delivery_mode
    weaknesses = _of_place(one, mode, way, coordinates)
    weaknesses += _of_time(one, mode, way)
    if walk.after_end:
        weaknesses.append(Weakness.SCANNED_AFTERWARDS)
    if corrections and any(
        old.type == one.type for made in corrections if made.in_effect for old in made.corrected
    ):
        weaknesses.append(Weakness.TAKEN_BACK)
    if Flag.DISPUTED in flags or Flag.CONFLICT in flags:
        weaknesses.append(Weakness.CONTRADICTED)
    confidence = Confidence.FAIR if weaknesses else Confidence.GOOD
    if not _GRAVE.isdisjoint(weaknesses):
        confidence = Confidence.LOW
    return Proof(
        one,
        mode,
        [(one.kind, one.sha256) for one in event.attachments],
        bool(one.sealed),
        confidence,
        weaknesses,
    )


def _is_at_a_door(one: Told, mode: int, way: Way) -> bool:
    if one.type != Types.DELIVERED or mode in _NOT_AT_A_DOOR:
        return False
    return bool(mode) or Types.READY_FOR_PICKUP not in way.marks


def _of_place(one: Told, mode: int, way: Way, coordinates: Coordinates) -> list[Weakness]:
    event = one.event
    home = coordinates(event.facility) if event.HasField("position") else None
    if home is None:
        return [Weakness.NO_POSITION]
    far_m = distance_m(event.position, *home)
    if far_m > FAR_AWAY_M:
        return [Weakness.FAR_AWAY]
    if _is_at_a_door(one, mode, way) and far_m <= AT_FACILITY_M and not _is_coarse(event.position):
        return [Weakness.AT_FACILITY]
    return []


def _of_time(one: Told, mode: int, way: Way) -> list[Weakness]:
    if not _is_at_a_door(one, mode, way):
        return []
    tour = way.marks.get(Types.OUT_FOR_DELIVERY)
    if tour is None:
        return [Weakness.NO_TOUR]
    if abs(one.scan_time_ns - tour.scan_time_ns) <= BURST_NS:
        return [Weakness.BURST]
    return []


def _is_coarse(position: GeoPosition) -> bool:
    """Whether a position was rounded to some kilometre, as those of private addresses may be."""
    north, east = position.latitude * _COARSE_DEGREES, position.longitude * _COARSE_DEGREES
    return abs(north - round(north)) < 1e-6 and abs(east - round(east)) < 1e-6


def distance_m(position: GeoPosition, latitude: float, longitude: float) -> float:
    """Give the way as the crow flies, in metres."""
    north, other = math.radians(position.latitude), math.radians(latitude)
    half = math.sin((other - north) / 2) ** 2
    east = math.radians(longitude - position.longitude)
    half += math.cos(north) * math.cos(other) * math.sin(east / 2) ** 2
    return 2 * _EARTH_M * math.asin(math.sqrt(min(1.0, half)))
