"""The nearest facilities over gRPC, and facilities' names beside trails."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.facilities import check_facilities
from ledger.v1 import facility_pb2 as pb
from ledger.v1 import facility_service_pb2 as service
from ledger.v1.facility_service_pb2_grpc import FacilityServiceStub
from ledger.v1.scan_event_pb2 import GeoPosition
from ledger.v1.trail_service_pb2 import BatchGetTrailsRequest, WatchTrailRequest
from query.facility_service import PAGE_FACILITIES_DEFAULT, PAGE_FACILITIES_MAX
from query.tokens import nearby_digest, write_nearby_token
from tests.asking import asked, failing
from tests.trails import NUMBER, scan

if TYPE_CHECKING:
    from pathlib import Path

    from tests.asking import Asked

FRANKFURT = GeoPosition(latitude=50.11, longitude=8.68)
FRIDAY_EVENING = Timestamp()
FRIDAY_EVENING.FromDatetime(datetime.fromisoformat("2026-03-27T19:00:00+01:00"))


async def near(door: Asked, **fields: object) -> service.ListNearbyFacilitiesResponse:
    """Ask for the facilities near the middle of Frankfurt, unless the fields say otherwise."""
    request = service.ListNearbyFacilitiesRequest(**fields)  # type: ignore[arg-type] # Any fields.
    if request.WhichOneof("near") is None:
        request.position.CopyFrom(FRANKFURT)
    return await ask(door, request)


async def ask(
    door: Asked, request: service.ListNearbyFacilitiesRequest
) -> service.ListNearbyFacilitiesResponse:
    """Ask as it is."""
    async with grpc.aio.insecure_channel(door.listen) as channel:
        return await FacilityServiceStub(channel).ListNearbyFacilities(request)


async def test_the_nearest_office_has_all_that_a_person_needs(door: Asked) -> None:
    """Its name, address, distance, and when it opens next by the clocks of its own place."""
    answer = await near(door, at_time=FRIDAY_EVENING, page_size=1)
    [one] = answer.facilities

    assert one.facility.facility_id == "DE60313"
    assert one.facility.role == pb.FACILITY_ROLE_POST_OFFICE
    assert list(one.facility.address_lines) == ["Zeil 90"]
    assert one.facility.time_zone == "Europe/Berlin"
    assert 0 < one.distance_meters < 1_000
    assert one.opening_state == service.OPENING_STATE_CLOSED
    assert one.utc_offset_minutes == 60
    assert one.open_time.ToJsonString() == "2026-03-28T08:00:00Z"
    assert one.open_utc_offset_minutes == 60
    assert answer.origin == FRANKFURT
    assert answer.next_page_token


async def test_hours_are_by_the_clock_of_the_facility(door: Asked) -> None:
    """After the night in which clocks change it opens an hour earlier by UTC; while it is open the
    closing is said instead.
    """
    saturday, monday = Timestamp(), Timestamp()
    saturday.FromDatetime(datetime.fromisoformat("2026-03-28T14:00:00+01:00"))
    monday.FromDatetime(datetime.fromisoformat("2026-03-30T09:00:00+02:00"))
    closed = (await near(door, at_time=saturday)).facilities[0]
    opened = (await near(door, at_time=monday)).facilities[0]

    assert closed.open_time == monday
    assert (closed.utc_offset_minutes, closed.open_utc_offset_minutes) == (60, 120)
    assert opened.opening_state == service.OPENING_STATE_OPEN
    assert opened.close_time.ToJsonString() == "2026-03-30T16:30:00Z"
    assert opened.close_utc_offset_minutes == 120
    assert not opened.HasField("open_time")


async def test_pages_go_on_where_they_ended(door: Asked) -> None:
    """All that serve the public, each once, the nearest first; the token is empty at the end."""
    codes: list[str] = []
    distances: list[float] = []
    token = ""
    while True:
        page = await near(door, page_size=7, page_token=token)
        codes += [one.facility.facility_id for one in page.facilities]
        distances += [one.distance_meters for one in page.facilities]
        token = page.next_page_token
        if not token:
            break

    assert len(codes) == len(set(codes)) > 40
    assert distances == sorted(distances)
    assert len((await near(door)).facilities) == PAGE_FACILITIES_DEFAULT
    assert len((await near(door, page_size=10_000)).facilities) == len(codes) <= PAGE_FACILITIES_MAX


async def test_roles_and_a_bound_leave_others_out(door: Asked) -> None:
    """Who asks for sorting centres gets them, though they serve no public."""
    roles = [pb.FACILITY_ROLE_SORTING_CENTRE, pb.FACILITY_ROLE_OFFICE_OF_EXCHANGE]
    answer = await near(door, roles=roles, max_distance_meters=25_000)

    assert [one.facility.facility_id for one in answer.facilities] == ["DEFRAA", "DEROUA"]
    assert {one.opening_state for one in answer.facilities} == {service.OPENING_STATE_NOT_PUBLIC}
    assert not answer.next_page_token


async def test_a_postcode_says_how_it_was_understood(door: Asked) -> None:
    """The middle of the facilities with postcodes like it, and how many those are."""
    area = service.PostcodeArea(country="DE", postal_code="60-327")
    answer = await near(door, postcode_area=area)

    assert answer.facilities[0].facility.facility_id == "DE60313"
    assert (answer.matched_postal_code, answer.matched_count) == ("603", 1)


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"position": GeoPosition(latitude=91)}, "POSITION_OUT_OF_RANGE", "position"),
        ({"position": GeoPosition(longitude=float("nan"))}, "POSITION_OUT_OF_RANGE", "position"),
        ({"page_size": -1}, "PAGE_SIZE_NEGATIVE", "page_size"),
        ({"page_token": "x"}, "PAGE_TOKEN_MALFORMED", "page_token"),
        ({"roles": [0]}, "ENUM_UNKNOWN", "roles"),
        ({"roles": [77]}, "ENUM_UNKNOWN", "roles"),
        ({"roles": [1] * 17}, "ENUM_UNKNOWN", "roles"),
        ({"max_distance_meters": -1.0}, "DISTANCE_OUT_OF_RANGE", "max_distance_meters"),
        ({"max_distance_meters": float("nan")}, "DISTANCE_OUT_OF_RANGE", "max_distance_meters"),
        ({"max_distance_meters": float("inf")}, "DISTANCE_OUT_OF_RANGE", "max_distance_meters"),
        ({"at_time": Timestamp(seconds=-1)}, "TIME_OUT_OF_RANGE", "at_time"),
        ({"at_time": Timestamp(seconds=7_258_118_400)}, "TIME_OUT_OF_RANGE", "at_time"),
        (
            {"postcode_area": service.PostcodeArea(country="DE", postal_code="99")},
            *("POSTCODE_UNKNOWN", "postcode_area.postal_code"),
        ),
        (
            {"postcode_area": service.PostcodeArea(postal_code="99")},
            *("POSTCODE_MALFORMED", "postcode_area.country"),
        ),
        (
            {"postcode_area": service.PostcodeArea(country="DE", postal_code="1" * 33)},
            *("POSTCODE_MALFORMED", "postcode_area.postal_code"),
        ),
    ],
)
async def test_a_bad_request_is_refused_by_field(
    door: Asked, fields: dict[str, object], reason: str, field: str
) -> None:
    """INVALID_ARGUMENT with a reason for programs."""
    with failing() as failures:
        await near(door, **fields)

    assert failures[0][:3] == (grpc.StatusCode.INVALID_ARGUMENT, reason, field)


async def test_a_request_without_a_place_is_refused(door: Asked) -> None:
    """0, 0 is a place like any other, so nothing is assumed."""
    with failing() as failures:
        await ask(door, service.ListNearbyFacilitiesRequest())

    assert failures[0].reason == "PLACE_REQUIRED"


async def test_a_token_belongs_to_its_request(door: Asked) -> None:
    """With another bound it is refused; one that names no facility is none."""
    token = (await near(door, page_size=1)).next_page_token
    digest = nearby_digest(service.ListNearbyFacilitiesRequest(position=FRANKFURT))
    with failing() as failures:
        await near(door, page_token=token, max_distance_meters=1.0)
    with failing() as more:
        await near(door, page_token=write_nearby_token(digest, 1.0, ""))

    assert failures[0].reason == "PAGE_TOKEN_MISMATCH"
    assert more[0].reason == "PAGE_TOKEN_MALFORMED"


async def test_a_trail_names_its_facilities_once_each(door: Asked) -> None:
    """Beside the entries: also where the item goes next, and not what nobody knows; the events
    themselves stay as they came. All three ways of asking do so.
    """
    events = [
        scan("a", minute=0, facility="DEFRAA", next_facility="USJFKA"),
        scan("b", minute=1, facility="SHED-9"),
        scan("c", minute=2, facility="DEFRAA"),
        scan("d", minute=3),
    ]
    await door.shelf.put(*events)

    listed = await door.list()
    [batch] = [
        one
        async for one in door.trails.BatchGetTrails(
            BatchGetTrailsRequest(tracking_numbers=[NUMBER])
        )
    ]
    watch = door.trails.WatchTrail(WatchTrailRequest(tracking_number=NUMBER))
    watched = await anext(aiter(watch))
    watch.cancel()

    assert [entry.event for entry in listed.entries] == events
    for answer in (listed, batch, watched):
        assert [one.facility_id for one in answer.facilities] == ["DEFRAA", "USJFKA"]
    frankfurt = listed.facilities[0]
    assert frankfurt.name == "Frankfurt airport international postal centre"
    assert (frankfurt.country, frankfurt.time_zone) == ("DE", "Europe/Berlin")
    assert not frankfurt.opening_hours


async def test_a_page_names_what_it_shows(door: Asked) -> None:
    """Facilities of other pages are not in it."""
    await door.shelf.put(scan("a", facility="DEFRAA"), scan("b", minute=1, facility="USJFKA"))

    pages = [page async for page in door.pages(page_size=1)]

    assert [[one.facility_id for one in page.facilities] for page in pages] == [
        *(["DEFRAA"], ["USJFKA"]),
    ]


async def test_an_operators_own_file_is_used_instead(tmp_path: Path) -> None:
    """By both services; what was built in is not known then."""
    own = check_facilities(
        b"id,name,role,country,latitude,longitude,time_zone\n"
        b"SHED-9,Shed nine,PICKUP_POINT,DE,50,8,Europe/Berlin\n"
    )
    assert not isinstance(own, list)
    async with asked(tmp_path / "ledger", facilities=own) as door:  # type: ignore[arg-type]
        await door.shelf.put(scan("a", facility="SHED-9"), scan("b", facility="DEFRAA"))
        listed = await door.list()
        [one] = (await near(door)).facilities

    assert [known.name for known in listed.facilities] == ["Shed nine"]
    assert one.facility.facility_id == "SHED-9"
    assert one.opening_state == service.OPENING_STATE_UNSPECIFIED


async def test_without_a_time_it_is_now(door: Asked) -> None:
    """The server's own clock decides."""
    one = (await near(door, page_size=1)).facilities[0]
    changes = one.open_time if one.HasField("open_time") else one.close_time

    assert abs(changes.seconds - time.time()) < 5 * 86_400
