"""The canonical events: which milestone each one reaches, and whether somebody saw the item.

Made from `data/events.csv`. A milestone is one axis; what is late, held or missent is said by flags
beside it, since mixing the two is what makes an alert read as a return.
"""

from __future__ import annotations

import csv
from enum import StrEnum
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.v1.scan_event_pb2 import ScanEventType

if TYPE_CHECKING:
    from collections.abc import Mapping

TYPE_PREFIX: Final = "SCAN_EVENT_TYPE_"
"""What the names of event types begin with on the wire."""


class Milestone(StrEnum):
    """How far an item is."""

    NONE = ""
    """The event changes nothing about that."""
    PRE_SHIPMENT = "PRE_SHIPMENT"
    ACCEPTED = "ACCEPTED"
    IN_TRANSIT = "IN_TRANSIT"
    CUSTOMS = "CUSTOMS"
    HELD = "HELD"
    OUT_FOR_DELIVERY = "OUT_FOR_DELIVERY"
    ATTEMPTED = "ATTEMPTED"
    READY_FOR_PICKUP = "READY_FOR_PICKUP"
    DELIVERED = "DELIVERED"
    EXCEPTION = "EXCEPTION"
    RETURNING = "RETURNING"
    RETURNED = "RETURNED"
    LOST = "LOST"
    SEIZED = "SEIZED"
    DISPOSED = "DISPOSED"
    CANCELLED = "CANCELLED"


class Kind(StrEnum):
    """Who made an event."""

    SCAN = "scan"
    """Somebody, or a machine, at the item."""
    NOTICE = "notice"
    """A system, a clock, or somebody who did not see the item."""


class CanonicalEvent(NamedTuple):
    """What is known of one event type."""

    type: ScanEventType.ValueType
    name: str
    milestone: Milestone
    flag: str
    """What it says beside the milestone, such as `late`; empty where nothing."""
    kind: Kind
    is_physical: bool
    """Whether it says that somebody had the item in hand."""
    means: str


def _read() -> Mapping[ScanEventType.ValueType, CanonicalEvent]:
    text = (files("ledger.vocabulary") / "data" / "events.csv").read_text("utf-8")
    events = {}
    for row in csv.DictReader(text.splitlines()):
        number = ScanEventType.Value(TYPE_PREFIX + row["event"])
        events[number] = CanonicalEvent(
            type=number,
            name=row["event"],
            milestone=Milestone(row["milestone"]),
            flag=row["flag"],
            kind=Kind(row["kind"]),
            is_physical={"yes": True, "no": False}[row["physical"]],
            means=row["means"],
        )
    return MappingProxyType(events)


CANONICAL: Final = _read()
"""Every event type, by its number on the wire."""


def canonical(number: int) -> CanonicalEvent | None:
    """Give what is known of an event type; None for one of a newer wire."""
    return CANONICAL.get(ScanEventType.ValueType(number))
