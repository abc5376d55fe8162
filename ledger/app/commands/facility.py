"""`parcel-ledger facility`: the nearest offices, and a file of facilities that is tested."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import App, Parameter

from ledger.app.commands.options import AsJson, Config, Server
from ledger.app.exits import DONE, REFUSED, CommandFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger.v1.facility_service_pb2 import (
        ListNearbyFacilitiesRequest,
        ListNearbyFacilitiesResponse,
    )
    from ledger.v1.facility_service_pb2_grpc import FacilityServiceStub

RoleName = Literal[
    "post-office",
    "pickup-point",
    "parcel-locker",
    "delivery-unit",
    "sorting-centre",
    "office-of-exchange",
    "customs-office",
    "transport-hub",
    "other",
]

PAGE_FACILITIES: Final = 100
"""Facilities of one page: the most that a server gives."""

_POSITION: Final = re.compile(r"([+-]?\d+(?:\.\d+)?), ?([+-]?\d+(?:\.\d+)?)", re.ASCII)
_POSTCODE: Final = re.compile(r"([A-Za-z]{2})[- ](.+)")

facility = App(
    name="facility",
    help="Find the nearest offices, and look after the file of facilities.\n\n"
    "A ledger knows facilities from a CSV file that the setting `facilities` names; "
    "docs/facilities.md says what stands in it. The one that is built in has examples: nobody "
    "asked the offices for their addresses and opening hours.",
    help_format="plaintext",
)


@facility.command
def near(
    place: Annotated[
        str,
        Parameter(
            help="Degrees north and east, 50.11,8.68; or a country and a postcode, or its "
            "beginning, DE-60313.",
            allow_leading_hyphen=True,
        ),
    ],
    /,
    *,
    role: Annotated[
        tuple[RoleName, ...],
        Parameter(
            help="Only facilities of this role; again for more. Else all that serve the public.",
            negative="",
            show_default=False,
        ),
    ] = (),
    within_km: Annotated[
        float, Parameter(help="Only facilities that are not farther away; 0 is no bound.")
    ] = 0.0,
    at: Annotated[
        str | None,
        Parameter(
            help="Whether they are open then, such as 2026-03-28T08:30:00+01:00. Else now.",
            show_default=False,
        ),
    ] = None,
    most: Annotated[int, Parameter(help="Most facilities.")] = 10,
    as_json: AsJson = False,
    server: Server = None,
    config: Config = None,
) -> int:
    """List the nearest offices, with their opening hours in their local time."""
    from ledger.app.client import ledger_at
    from ledger.app.commands.operating import print_json
    from ledger.app.commands.screen import answers
    from ledger.app.facility_render import nearby_table, origin_line
    from ledger.app.settings import load
    from ledger.v1.facility_service_pb2 import ListNearbyFacilitiesResponse
    from ledger.v1.facility_service_pb2_grpc import FacilityServiceStub

    if most < 1:
        raise CommandFailed(f"--most is {most}; it is 1 or more.")
    request = _request(place, role, within_km, at)
    whole = ListNearbyFacilitiesResponse()
    address = load({"server": server}, config=config).settings.server
    with ledger_at(address) as channel:
        for page in _pages(FacilityServiceStub(channel), request, most):
            whole.MergeFrom(page)
    whole.ClearField("next_page_token")
    if as_json:
        print_json(whole)
        return DONE
    console = answers()
    console.print(origin_line(whole), markup=False, soft_wrap=True)
    if whole.facilities:
        console.print()
        console.print(nearby_table(whole.facilities))
    else:
        console.print("There is no facility.", markup=False)
    return DONE


@facility.command
def check(file: Annotated[Path, Parameter(help="The file.")], /, *, as_json: AsJson = False) -> int:
    """Test a file of facilities; say each fault with its line and field. It asks no ledger.

    Exit code: 0 it can be used, 1 it has faults, 2 it cannot be read.
    """
    from ledger.app.commands.checking import file_to_check
    from ledger.app.commands.operating import print_document
    from ledger.app.commands.screen import answers
    from ledger.app.render import printable
    from ledger.facilities import Directory, check_facilities
    from ledger.facilities.file import FILE_BYTES_MAX

    found = check_facilities(file_to_check(file, FILE_BYTES_MAX))
    console = answers()
    if isinstance(found, Directory):
        countries = len({one.country for one in found.all})
        if as_json:
            print_document({"facilities": len(found), "countries": countries, "faults": []})
            return DONE
        said = f"{file}: facilities {len(found):,}, countries {countries:,}."
        console.print(said, markup=False, soft_wrap=True)
        return DONE
    if as_json:
        print_document({"faults": [fault._asdict() for fault in found]})
        return REFUSED
    for fault in found:
        field = f"{fault.field}: " if fault.field else ""
        line = printable(f"{file}:{fault.line}: {field}{fault.message}")
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    return REFUSED


def _request(
    place: str, roles: tuple[str, ...], within_km: float, at: str | None
) -> ListNearbyFacilitiesRequest:
    from ledger.app.event_fields import parse_time
    from ledger.v1.facility_pb2 import FacilityRole
    from ledger.v1.facility_service_pb2 import ListNearbyFacilitiesRequest

    request = ListNearbyFacilitiesRequest(
        roles=[
            FacilityRole.Value(f"FACILITY_ROLE_{one.upper().replace('-', '_')}") for one in roles
        ],
        max_distance_meters=within_km * 1_000,
    )
    if match := _POSITION.fullmatch(place.strip()):
        request.position.latitude, request.position.longitude = map(float, match.groups())
    elif match := _POSTCODE.fullmatch(place.strip()):
        request.postcode_area.country = match[1].upper()
        request.postcode_area.postal_code = match[2]
    else:
        raise CommandFailed(
            f"`{place}` is no place. It reads 50.11,8.68 (degrees north and east) or DE-60313 "
            f"(country and postcode)."
        )
    if at is not None:
        moment = parse_time("--at", at)
        if not moment.is_utc:
            raise CommandFailed(f"--at is `{at}`; it needs its UTC offset, such as +01:00 or Z.")
        request.at_time.seconds = moment.seconds
    return request


def _pages(
    stub: FacilityServiceStub, request: ListNearbyFacilitiesRequest, most: int
) -> Iterator[ListNearbyFacilitiesResponse]:
    """Give pages until there are so many facilities. Only the first one says where they begin."""
    from ledger.app.client import ANSWER_S

    while most > 0:
        request.page_size = min(most, PAGE_FACILITIES)
        page = stub.ListNearbyFacilities(request, timeout=ANSWER_S)
        most -= len(page.facilities)
        if request.page_token:
            page.ClearField("matched_postal_code")
            page.ClearField("matched_count")
        yield page
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token
