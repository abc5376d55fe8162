"""Posts: one kind of event at one device on one lane, with all of it that is the same every time.

The vocabulary is the wire's; beside it stand the codes that the world's posts and USPS use.
"""

from typing import Final, NamedTuple

from ledger.v1 import scan_event_pb2 as pb
from loadtest.network import Role
from loadtest.world.devices import (
    MACHINE,
    SYSTEM,
    WHO_MACHINE,
    WHO_PARTNER,
    WHO_SYSTEM,
    Device,
)
from loadtest.world.lanes import Lane
from loadtest.world.wire import Field, number_field

IN: Final = pb.CONTAINMENT_DIRECTION_IN
OUT: Final = pb.CONTAINMENT_DIRECTION_OUT
EMPTIED: Final = pb.CONTAINMENT_DIRECTION_EMPTIED

# What the event is called in the vocabulary of the world's posts and in that of USPS.
_CODES: dict[int, tuple[str, str]] = {
    pb.SCAN_EVENT_TYPE_LABEL_CREATED: ("", "GX"),
    pb.SCAN_EVENT_TYPE_PARTNER_PICKED_UP: ("", "80"),
    pb.SCAN_EVENT_TYPE_ACCEPTED: ("EMA", "03"),
    pb.SCAN_EVENT_TYPE_ARRIVED: ("EDD", "A1"),
    pb.SCAN_EVENT_TYPE_SORTED: ("", "PC"),
    pb.SCAN_EVENT_TYPE_DEPARTED: ("EDE", "T1"),
    pb.SCAN_EVENT_TYPE_IN_TRANSIT_NOTICE: ("", "NT"),
    pb.SCAN_EVENT_TYPE_MISSENT: ("", "08"),
    pb.SCAN_EVENT_TYPE_EXPORT_ARRIVED: ("EMB", ""),
    pb.SCAN_EVENT_TYPE_EXPORT_DEPARTED: ("EMC", ""),
    pb.SCAN_EVENT_TYPE_TRANSIT_ARRIVED: ("EMJ", ""),
    pb.SCAN_EVENT_TYPE_TRANSIT_DEPARTED: ("EMK", ""),
    pb.SCAN_EVENT_TYPE_IMPORT_ARRIVED: ("EMD", ""),
    pb.SCAN_EVENT_TYPE_IMPORT_DEPARTED: ("EMF", ""),
    pb.SCAN_EVENT_TYPE_HELD: ("EDF", ""),
    pb.SCAN_EVENT_TYPE_OUT_FOR_DELIVERY: ("EDG", "OF"),
    pb.SCAN_EVENT_TYPE_DELIVERY_ATTEMPTED: ("EMH", "02"),
    pb.SCAN_EVENT_TYPE_READY_FOR_PICKUP: ("EDH", "14"),
    pb.SCAN_EVENT_TYPE_DELIVERED: ("EMI", "01"),
    pb.SCAN_EVENT_TYPE_REDIRECTED: ("", "06"),
    pb.SCAN_EVENT_TYPE_UNDELIVERABLE: ("", "05"),
    pb.SCAN_EVENT_TYPE_RETURN_STARTED: ("", "09"),
    pb.SCAN_EVENT_TYPE_DELAYED: ("", "DX"),
    pb.SCAN_EVENT_TYPE_CANCELLED: ("", "44"),
}
_CUSTOMS_CODES: dict[int, tuple[str, str]] = {  # On the way out, on the way in.
    pb.SCAN_EVENT_TYPE_CUSTOMS_PRESENTED: ("EXA", "EDB"),
    pb.SCAN_EVENT_TYPE_CUSTOMS_HELD: ("EXB", "EME"),
    pb.SCAN_EVENT_TYPE_CUSTOMS_RELEASED: ("EXC", "EDC"),
}
_ANNOUNCING = (pb.SCAN_EVENT_TYPE_LABEL_CREATED, pb.SCAN_EVENT_TYPE_ACCEPTED)
_AT_THE_DOOR = (pb.SCAN_EVENT_TYPE_DELIVERED, pb.SCAN_EVENT_TYPE_DELIVERY_ATTEMPTED)
_CARRIED = (pb.SCAN_EVENT_TYPE_DEPARTED, pb.SCAN_EVENT_TYPE_ARRIVED)
_EARLY = (
    pb.SCAN_EVENT_TYPE_ARRIVED,
    pb.SCAN_EVENT_TYPE_OUT_FOR_DELIVERY,
    pb.SCAN_EVENT_TYPE_DELIVERED,
)


class Detail(NamedTuple):
    """What else an event says."""

    towards: str = ""
    """The facility where the item goes next."""

    reason: pb.EventReason.ValueType = pb.EVENT_REASON_UNSPECIFIED
    action: pb.EventAction.ValueType = pb.EVENT_ACTION_UNSPECIFIED
    mode: pb.DeliveryMode.ValueType = pb.DELIVERY_MODE_UNSPECIFIED
    border: pb.CustomsDirection.ValueType = pb.CUSTOMS_DIRECTION_UNSPECIFIED
    containment: pb.ContainmentDirection.ValueType = pb.CONTAINMENT_DIRECTION_UNSPECIFIED
    container_kind: str = ""
    """For the events of a container itself: BAG or TRIP."""

    route: str = ""
    """For a flight: its airports."""


PLAIN: Final = Detail()


class Post:
    """One kind of event at one device.

    Attributes:
        type: what happens.
        device: what scans it.
        scanner: whose device that is.
        detail: what else is said.
        head: the encoded type.
        by_machine: a machine reads the whole barcode, and nobody operates it.
        is_notice: nobody saw the item: a system made the event.
        at_the_door: it is scanned somewhere in the district.
        carried: it is not scanned where the item lies in a bag: the bag is.
        bag_only: it is scanned only where there is a bag.
        may_be_early: people scan it before it happens.
        routing: what a machine reads in front of the number.
        before: encoded fields behind the raw barcode, up to the containment.
        after: encoded fields behind that.
        usual: the two together, where there is no containment and no routing; else nothing.
        who: the WHO of devices that captures the number; -1 for any person.
    """

    __slots__ = (
        "after",
        "at_the_door",
        "bag_only",
        "before",
        "by_machine",
        "carried",
        "detail",
        "device",
        "head",
        "is_notice",
        "may_be_early",
        "routing",
        "scanner",
        "type",
        "usual",
        "who",
    )

    def __init__(
        self,
        lane: Lane | None,
        kind: pb.ScanEventType.ValueType,
        device: Device,
        detail: Detail = PLAIN,
    ) -> None:
        """`lane` is None for the events of a trip."""
        is_unit = device.stop.facility.role is Role.DELIVERY_UNIT
        counter = detail.mode == pb.DELIVERY_MODE_COUNTER
        self.type = kind
        self.device = device
        self.scanner = device.scanner
        self.detail = detail
        self.head = number_field(Field.TYPE, kind)
        self.is_notice = device.kind == SYSTEM
        self.by_machine = device.kind == MACHINE
        self.at_the_door = kind in _AT_THE_DOOR and not counter
        self.carried = kind in _CARRIED and not detail.container_kind
        self.bag_only = kind == pb.SCAN_EVENT_TYPE_CONTAINERED
        self.may_be_early = kind in _EARLY and (is_unit or self.at_the_door)
        routed = lane is not None and lane.is_impb and kind == pb.SCAN_EVENT_TYPE_SORTED
        self.routing = lane.destination.facility.id[2:] if lane and routed else ""
        self.who = -1
        if self.by_machine:
            self.who = WHO_MACHINE
        elif kind == pb.SCAN_EVENT_TYPE_PARTNER_PICKED_UP:
            self.who = WHO_PARTNER
        elif self.is_notice:
            self.who = WHO_SYSTEM
        self.before = self._symbology(lane).SerializeToString()
        self.after = self._rest(lane).SerializeToString()
        odd = self.routing or detail.containment
        self.usual = b"" if odd else self.before + self.after

    @property
    def name(self) -> str:
        """What happens, by its short name."""
        return pb.ScanEventType.Name(self.type).removeprefix("SCAN_EVENT_TYPE_")

    def _symbology(self, lane: Lane | None) -> pb.ScanEvent:
        if self.is_notice:
            return pb.ScanEvent()
        gs1 = lane is not None and lane.is_impb
        if self.detail.container_kind:
            gs1 = self.detail.container_kind == "BAG"
        return pb.ScanEvent(symbology=pb.SYMBOLOGY_GS1_128 if gs1 else pb.SYMBOLOGY_CODE_128)

    def _rest(self, lane: Lane | None) -> pb.ScanEvent:
        detail = self.detail
        code = "" if detail.container_kind else self._code(lane)
        event = pb.ScanEvent(
            delivery_mode=detail.mode,
            code_system=("usps" if lane and lane.is_impb else "upu-emsevt-3") if code else "",
            source_code=code,
            reason=detail.reason,
            action=detail.action,
            customs_direction=detail.border,
            next_facility=detail.towards,
        )
        if lane and self.type in _ANNOUNCING:
            event.announced.service = lane.service
            event.announced.origin_country = lane.origin.facility.country
            event.announced.destination_country = lane.destination.facility.country
        if detail.route:
            event.attributes.add(name="flight", value=detail.route)
        return event

    def _code(self, lane: Lane | None) -> str:
        is_impb = bool(lane and lane.is_impb)
        if self.type in _CUSTOMS_CODES:
            return _CUSTOMS_CODES[self.type][self.detail.border == pb.CUSTOMS_DIRECTION_IMPORT]
        if (
            self.type == pb.SCAN_EVENT_TYPE_ARRIVED
            and self.device.stop.facility.role is Role.DELIVERY_UNIT
        ):
            return ("EMG", "07")[is_impb]
        if self.type == pb.SCAN_EVENT_TYPE_UNDELIVERABLE and is_impb:
            return "04" if self.detail.reason == pb.EVENT_REASON_REFUSED else "05"
        return _CODES.get(self.type, ("", ""))[is_impb]
