"""What is known of one facility, and the limits of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from ledger.facilities.local_time import local_at, zone_of
from ledger.v1 import facility_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from ledger.facilities.hours import Hours

ID_BYTES_MAX: Final = 64
"""Most bytes of a code, as in a scan event."""

TEXT_BYTES_MAX: Final = 128
"""Most bytes of a name, a city, and a line of an address: a label has no room for more."""

ADDRESS_LINES_MAX: Final = 4
"""Most lines of an address."""

POSTAL_CODE_BYTES_MAX: Final = 32
"""Most bytes of a postal code, as in a scan event."""


class Role(StrEnum):
    """What a facility does, by the names of the wire."""

    POST_OFFICE = "POST_OFFICE"
    PICKUP_POINT = "PICKUP_POINT"
    PARCEL_LOCKER = "PARCEL_LOCKER"
    DELIVERY_UNIT = "DELIVERY_UNIT"
    SORTING_CENTRE = "SORTING_CENTRE"
    OFFICE_OF_EXCHANGE = "OFFICE_OF_EXCHANGE"
    CUSTOMS_OFFICE = "CUSTOMS_OFFICE"
    TRANSPORT_HUB = "TRANSPORT_HUB"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facility:
    """One facility.

    Attributes:
        hours: when it is open; None where that is not known.
        brief: what stands beside a trail, as a message of the wire.
        brief_bytes: the same, encoded.
        whole: all of it, as a message of the wire.
    """

    id: str
    name: str
    role: Role
    address: Sequence[str]
    postal_code: str
    city: str
    country: str
    latitude: float
    longitude: float
    time_zone: str
    hours: Hours | None
    brief: facility_pb2.Facility = field(init=False, repr=False, compare=False)
    brief_bytes: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make the message once: answers copy it."""
        brief = facility_pb2.Facility(
            facility_id=self.id,
            name=self.name,
            role=facility_pb2.FacilityRole.Value(f"FACILITY_ROLE_{self.role}"),
            city=self.city,
            country=self.country,
            time_zone=self.time_zone,
        )
        brief.position.latitude, brief.position.longitude = self.latitude, self.longitude
        object.__setattr__(self, "brief", brief)
        object.__setattr__(self, "brief_bytes", brief.SerializeToString())

    @property
    def whole(self) -> facility_pb2.Facility:
        """All of it, as a message of the wire."""
        message = facility_pb2.Facility(
            address_lines=self.address,
            postal_code=self.postal_code,
            opening_hours=self.hours.text if self.hours else "",
        )
        message.MergeFrom(self.brief)
        return message

    @property
    def zone(self) -> ZoneInfo:
        """Its time zone."""
        return zone_of(self.time_zone)

    @property
    def is_public(self) -> bool:
        """Whether people may go there: it does not say that it is never open to them."""
        return self.hours is None or not self.hours.is_off

    def local_time(self, seconds: int) -> datetime:
        """Give its local time at an instant, in seconds since 1970."""
        return local_at(seconds, self.zone)
