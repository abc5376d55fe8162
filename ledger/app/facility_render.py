"""The nearest facilities as a person reads them. Pure: messages in, a table and lines out."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from rich.table import Table
from rich.text import Text

from ledger.app.place_render import offset_words
from ledger.app.render import printable
from ledger.v1.facility_pb2 import Facility, FacilityRole
from ledger.v1.facility_service_pb2 import (
    ListNearbyFacilitiesResponse,
    NearbyFacility,
    OpeningState,
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAYS: Final = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")


def origin_line(response: ListNearbyFacilitiesResponse) -> str:
    """Say from where distances count."""
    origin = response.origin
    where = f"Around {origin.latitude:.4f}, {origin.longitude:.4f}"
    if not response.matched_count:
        return f"{where}."
    many = "facility" if response.matched_count == 1 else "facilities"
    return printable(
        f"{where}, the middle of {response.matched_count:,} {many} with postcodes that begin "
        f"with {response.matched_postal_code}."
    )


def nearby_table(facilities: Iterable[NearbyFacility]) -> Table:
    """Give facilities as a table, the nearest first."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("distance", justify="right", no_wrap=True)
    table.add_column("facility", no_wrap=True)
    for name in ("name", "role", "address", "now", "opening hours"):
        table.add_column(name, overflow="fold")
    for one in facilities:
        facility = one.facility
        cells = (
            facility.facility_id,
            facility.name,
            role_words(facility.role),
            address_of(facility),
        )
        table.add_row(
            distance_words(one.distance_meters),
            *(Text(printable(cell)) for cell in cells),
            opening_words(one),
            Text(printable(facility.opening_hours)),
        )
    return table


def distance_words(meters: float) -> str:
    """Say how far away something is, as exactly as its position is known."""
    return f"{meters / 1_000:,.1f} km"


def role_words(role: int) -> str:
    """Say what a facility does."""
    if role not in FacilityRole.values():
        return f"role {role}"
    name = FacilityRole.Name(FacilityRole.ValueType(role))
    return name.removeprefix("FACILITY_ROLE_").replace("_", " ").lower()


def address_of(facility: Facility) -> str:
    """Give an address in one line."""
    city = " ".join(filter(None, (facility.postal_code, facility.city)))
    return ", ".join(filter(None, (*facility.address_lines, city, facility.country)))


def opening_words(one: NearbyFacility) -> Text:
    """Say whether it is open, and when that changes, in its local time."""
    if one.opening_state == OpeningState.OPENING_STATE_OPEN:
        until = _local(one.close_time, one.close_utc_offset_minutes)
        return Text(f"open until {until}" if one.HasField("close_time") else "open", "green")
    if one.opening_state == OpeningState.OPENING_STATE_CLOSED:
        opens = _local(one.open_time, one.open_utc_offset_minutes)
        return Text(f"closed, opens {opens}" if one.HasField("open_time") else "closed", "yellow")
    if one.opening_state == OpeningState.OPENING_STATE_NOT_PUBLIC:
        return Text("not for the public", "dim")
    return Text("not known", "dim")


def _local(time: Timestamp, minutes: int) -> str:
    local = _EPOCH + timedelta(seconds=time.seconds, minutes=minutes)
    return f"{_DAYS[local.weekday()]} {local.strftime('%Y-%m-%d %H:%M')} {offset_words(minutes)}"
