"""The service that tells where the nearest offices are: `FacilityService` of the wire."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from ledger.errors import Refused
from ledger.event import timestamp_ns
from ledger.facilities import Origin, Place, Role, State, opening_at
from ledger.facilities.facility import POSTAL_CODE_BYTES_MAX
from ledger.facilities.local_time import offset_minutes_at
from ledger.v1.facility_pb2 import FacilityRole
from ledger.v1.facility_service_pb2 import (
    ListNearbyFacilitiesRequest,
    ListNearbyFacilitiesResponse,
    NearbyFacility,
    OpeningState,
)
from query.methods import generic_handler
from query.requests import page_size_of, parse
from query.tokens import nearby_digest, read_nearby_token, write_nearby_token

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import grpc

    from ledger.facilities import Directory, Found
    from ledger.v1.facility_service_pb2 import PostcodeArea

FACILITY_SERVICE: Final = "ledger.v1.FacilityService"
"""Full name of the service."""

PAGE_FACILITIES_DEFAULT: Final = 10
"""Facilities in a page where the request does not say: what a person looks at."""

PAGE_FACILITIES_MAX: Final = 100
"""Most facilities in a page: some 10 ms of the event loop, 60 µs each for their hours."""

ROLES_MAX: Final = 16
"""Most roles in a request: more than there are."""

TIME_S_END: Final = 7_258_118_400
"""2200-01-01T00:00:00Z: no scan lies later either."""

_ROLES: Final = {
    FacilityRole.Value(f"FACILITY_ROLE_{role}"): role
    for role in Role  # Looked up once: an enum's names are slow.
}
_STATES: Final = {state: OpeningState.Value(f"OPENING_STATE_{state}") for state in State}


class FacilityService:
    """`ledger.v1.FacilityService`: bytes of requests in, bytes of responses out."""

    def __init__(
        self,
        directory: Directory,
        *,
        now_ns: Callable[[], int],
        monotonic: Callable[[], float],
    ) -> None:
        """`now_ns` gives nanoseconds since 1970, `monotonic` seconds."""
        self._directory = directory
        self._now_ns = now_ns
        self._monotonic = monotonic

    def handler(self) -> grpc.GenericRpcHandler:
        """Give the service to a gRPC server."""
        return generic_handler(
            FACILITY_SERVICE,
            unary={"ListNearbyFacilities": self.ListNearbyFacilities},
            streams={},
            monotonic=self._monotonic,
        )

    async def ListNearbyFacilities(self, data: bytes) -> bytes:
        """Answer with one page of the facilities around a place."""
        request = parse(ListNearbyFacilitiesRequest, data)
        most = page_size_of(
            request.page_size, default=PAGE_FACILITIES_DEFAULT, most=PAGE_FACILITIES_MAX
        )
        digest = nearby_digest(request)
        after = read_nearby_token(request.page_token, digest) if request.page_token else None
        seconds = self._seconds_of(request)
        response = ListNearbyFacilitiesResponse()
        self._put_origin(request, response)
        found = self._directory.nearest(
            Place(response.origin.latitude, response.origin.longitude),
            most=most + 1,
            roles=_roles_of(request.roles),
            within_m=_bound_of(request.max_distance_meters),
            after=after,
        )
        response.facilities.extend(_nearby(one, seconds) for one in found[:most])
        if len(found) > most:
            last = found[most - 1]
            response.next_page_token = write_nearby_token(digest, last.distance_m, last.facility_id)
        return response.SerializeToString()

    def _seconds_of(self, request: ListNearbyFacilitiesRequest) -> int:
        if not request.HasField("at_time"):
            return self._now_ns() // 1_000_000_000
        seconds = timestamp_ns(request.at_time) // 1_000_000_000
        if not 0 <= seconds < TIME_S_END:
            raise Refused(
                "`at_time` is outside of 1970 to 2199.", reason="TIME_OUT_OF_RANGE", field="at_time"
            )
        return seconds

    def _put_origin(
        self, request: ListNearbyFacilitiesRequest, response: ListNearbyFacilitiesResponse
    ) -> None:
        which = request.WhichOneof("near")
        if which == "position":
            at = request.position
            if not (abs(at.latitude) <= 90 and abs(at.longitude) <= 180):
                raise Refused(
                    f"`position` is {at.latitude}, {at.longitude}. Give degrees north from -90 to "
                    f"90, and east from -180 to 180.",
                    reason="POSITION_OUT_OF_RANGE",
                    field="position",
                )
            response.origin.latitude, response.origin.longitude = at.latitude, at.longitude
        elif which == "postcode_area":
            origin = self._origin_of(request.postcode_area)
            response.origin.latitude, response.origin.longitude = origin.place
            response.matched_postal_code, response.matched_count = (
                origin.matched,
                origin.facility_count,
            )
        else:
            raise Refused(
                "The request says no place. Give `position`, or `postcode_area`.",
                reason="PLACE_REQUIRED",
                field="near",
            )

    def _origin_of(self, area: PostcodeArea) -> Origin:
        for name in ("country", "postal_code"):
            value, most = getattr(area, name), 2 if name == "country" else POSTAL_CODE_BYTES_MAX
            if not value.strip() or len(value.encode()) > most:
                raise Refused(
                    f"`postcode_area.{name}` is empty or has more than {most} bytes.",
                    reason="POSTCODE_MALFORMED",
                    field=f"postcode_area.{name}",
                )
        origin = self._directory.origin_of(area.country, area.postal_code)
        if origin is None:
            raise Refused(
                f"No facility in {area.country} has a postcode that begins like "
                f"{area.postal_code}. Ask with a position.",
                reason="POSTCODE_UNKNOWN",
                field="postcode_area.postal_code",
            )
        return origin


def _roles_of(roles: Sequence[FacilityRole.ValueType]) -> frozenset[Role]:
    if len(roles) > ROLES_MAX or not _ROLES.keys() >= set(roles):
        raise Refused(
            f"`roles` has one that this server does not know, or more than {ROLES_MAX}.",
            reason="ENUM_UNKNOWN",
            field="roles",
        )
    return frozenset(_ROLES[role] for role in roles)


def _bound_of(meters: float) -> float:
    if not 0 <= meters < math.inf:
        raise Refused(
            f"`max_distance_meters` is {meters}. Give a finite number that is not negative.",
            reason="DISTANCE_OUT_OF_RANGE",
            field="max_distance_meters",
        )
    return meters or math.inf


def _nearby(found: Found, seconds: int) -> NearbyFacility:
    facility = found.facility
    zone = facility.zone
    opening = opening_at(facility.hours, zone, seconds)
    out = NearbyFacility(
        facility=facility.whole,
        distance_meters=found.distance_m,
        opening_state=_STATES[opening.state],
        utc_offset_minutes=offset_minutes_at(seconds, zone),
    )
    if opening.changes is None:
        return out
    offset_minutes = offset_minutes_at(opening.changes, zone)
    if opening.state is State.OPEN:
        out.close_time.seconds = opening.changes
        out.close_utc_offset_minutes = offset_minutes
    else:
        out.open_time.seconds = opening.changes
        out.open_utc_offset_minutes = offset_minutes
    return out
