"""Seeded traffic: scanners that stand in facilities and scan the items that come through.

The same seed gives the same events to the bit, each scanner's on its own, so that scanners may run
in many processes. It knows no transport: what it yields is ready to be sent.
"""

import hashlib
import itertools
from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from ledger.numbers import compose_impb, compose_s10
from ledger.v1 import scan_event_pb2 as pb
from loadtest.journeys import MIN_GAP_NS, Lane, Step, lanes, offset_minutes

# Enough for variety with few scanners; with many, about 22 steps a scanner and round.
LANES_MIN = 64
LANES_PER_SCANNER = 2
# S10 has eight digits for the serial, so later items would repeat the numbers of the first.
ITEMS_MAX = 100_000_000

_MAILER_ID = "789012"
_MS_NS = 1_000_000
# Items of a lane start within two hours, a step is put off by up to 4.4 minutes: 2**18 ms.
_START_SPREAD_MS = 7_200_000
_DELAY_BITS = 18
assert (1 << _DELAY_BITS) * _MS_NS < MIN_GAP_NS
_OPERATORS = 4
_FNC1 = "\x1d"

_T = pb.ScanEventType
# What the event is called in the vocabulary of the world's posts and in that of USPS.
_SOURCE_CODES: dict[int, tuple[str, str]] = {
    _T.SCAN_EVENT_TYPE_ACCEPTED: ("EMA", "03"),
    _T.SCAN_EVENT_TYPE_ARRIVED: ("EDD", "A1"),
    _T.SCAN_EVENT_TYPE_SORTED: ("", "PC"),
    _T.SCAN_EVENT_TYPE_DEPARTED: ("EDE", "T1"),
    _T.SCAN_EVENT_TYPE_EXPORT_ARRIVED: ("EMB", ""),
    _T.SCAN_EVENT_TYPE_EXPORT_DEPARTED: ("EMC", ""),
    _T.SCAN_EVENT_TYPE_IMPORT_ARRIVED: ("EMD", ""),
    _T.SCAN_EVENT_TYPE_IMPORT_DEPARTED: ("EMF", ""),
    _T.SCAN_EVENT_TYPE_CUSTOMS_PRESENTED: ("EDB", ""),
    _T.SCAN_EVENT_TYPE_CUSTOMS_RELEASED: ("EDC", ""),
    _T.SCAN_EVENT_TYPE_OUT_FOR_DELIVERY: ("EDG", "OF"),
    _T.SCAN_EVENT_TYPE_DELIVERY_ATTEMPTED: ("EMH", "02"),
    _T.SCAN_EVENT_TYPE_DELIVERED: ("EMI", "01"),
}
_CUSTOMS = (_T.SCAN_EVENT_TYPE_CUSTOMS_PRESENTED, _T.SCAN_EVENT_TYPE_CUSTOMS_RELEASED)
_AT_THE_DOOR = (_T.SCAN_EVENT_TYPE_DELIVERED, _T.SCAN_EVENT_TYPE_DELIVERY_ATTEMPTED)


class _Visit(NamedTuple):
    """A step of a lane: every item of the lane is scanned there once. Sorted by facility."""

    facility: str
    lane: int
    step: int


class _Post(NamedTuple):
    """A visit as its scanner sees it, with all of the event that is the same for every item."""

    lane: int
    step: int
    time_ns: int
    zone: str
    latitude: float
    longitude: float
    at_the_door: bool
    routing: str
    template: pb.ScanEvent
    operators: tuple[str, ...]


class Fleet:
    """Scanners 0 to `scanners` - 1, and the items 0, 1, 2, … that they scan.

    Item i travels on lane i modulo `lanes`. In round r every scanner scans all its steps of the
    items r * `lanes` to (r + 1) * `lanes` - 1, and has the same number of them as every other (or
    one more). So a trail is complete as soon as all scanners have finished its round. An item's
    scans lie days apart, all within `journeys.SPAN_NS` after `start_time_ns`.
    """

    def __init__(self, seed: int, scanners: int, *, start_time_ns: int) -> None:
        if scanners < 1:
            raise ValueError(f"a fleet has at least one scanner, not {scanners}")
        self.scanners = scanners
        self.lanes = max(LANES_MIN, LANES_PER_SCANNER * scanners)
        self._lanes: list[Lane] = list(lanes(seed, self.lanes, start_time_ns))
        # Fleets that differ in anything share no event id: the same id would stand for two events.
        self._secret = hashlib.blake2b(f"{seed}/{scanners}/{start_time_ns}".encode()).digest()
        self._hasher = hashlib.blake2b(digest_size=16, key=self._secret)
        self._first_serial = int.from_bytes(self._secret[:8], "big") % ITEMS_MAX
        # In order of facility and cut into equal parts, so that a scanner stands in one place.
        self._visits = sorted(
            _Visit(step.facility.id, number, index)
            for number, lane in enumerate(self._lanes)
            for index, step in enumerate(lane.steps)
        )

    def scanner(self, number: int) -> Iterator[pb.ScanEvent]:
        """What one scanner scans, round after round, without end. Each message is the caller's."""
        posts = self._posts_of(number)
        for first_item in itertools.count(0, self.lanes):
            known, tracking_number = -1, ""
            for post in posts:
                if post.lane != known:  # Steps of one item in one facility follow each other.
                    known, tracking_number = post.lane, self.item_number(first_item + post.lane)
                yield self._event(post, first_item + post.lane, tracking_number)

    def round_length(self, number: int) -> int:
        """How many events a scanner has in each round."""
        return self._cut(number + 1) - self._cut(number)

    def item_number(self, item: int) -> str:
        """The tracking number of an item, as it is filed."""
        lane = self._lanes[item % self.lanes]
        serial = (self._first_serial + item) % ITEMS_MAX
        if lane.is_impb:
            return compose_impb(lane.service[:2], lane.service[2:], _MAILER_ID, serial)
        return compose_s10(lane.service, serial, lane.origin.country)

    def item_numbers(self, items: int) -> Iterator[str]:
        """The tracking numbers of the first `items` items. Every round is `lanes` items."""
        return map(self.item_number, range(items))

    def journey(self, item: int) -> list[pb.ScanEvent]:
        """All events of one item in order of time, exactly as its scanners send them."""
        lane = item % self.lanes
        number = self.item_number(item)
        return [
            self._event(self._post(visit, self._scanner_of(visit)), item, number)
            for visit in (
                _Visit(step.facility.id, lane, index)
                for index, step in enumerate(self._lanes[lane].steps)
            )
        ]

    def _cut(self, number: int) -> int:
        return number * len(self._visits) // self.scanners

    def _scanner_of(self, visit: _Visit) -> int:
        index = bisect_left(self._visits, visit)
        return ((index + 1) * self.scanners - 1) // len(self._visits)

    def _posts_of(self, number: int) -> list[_Post]:
        visits = self._visits[self._cut(number) : self._cut(number + 1)]
        return [self._post(visit, number) for visit in visits]

    def _post(self, visit: _Visit, scanner: int) -> _Post:
        lane = self._lanes[visit.lane]
        step = lane.steps[visit.step]
        routed = lane.is_impb and step.type == _T.SCAN_EVENT_TYPE_SORTED
        return _Post(
            lane=visit.lane,
            step=visit.step,
            time_ns=step.time_ns,
            zone=step.facility.zone,
            latitude=step.facility.latitude,
            longitude=step.facility.longitude,
            at_the_door=step.type in _AT_THE_DOOR,
            routing=f"420{lane.destination.id[2:]}" if routed else "",
            template=_template(lane, step, device=f"{step.facility.id}-{scanner:05d}"),
            operators=tuple(
                self._pseudonym(step.facility.id, shift) for shift in range(_OPERATORS)
            ),
        )

    def _pseudonym(self, facility: str, shift: int) -> str:
        name = f"{facility}/{shift}".encode()
        return hashlib.blake2b(name, digest_size=5, key=self._secret[:32]).hexdigest()

    def _event(self, post: _Post, item: int, tracking_number: str) -> pb.ScanEvent:
        """One scan. What differs between items comes out of the hash that is the event's id."""
        hasher = self._hasher.copy()
        hasher.update((item << 8 | post.step).to_bytes(8, "big"))
        event_id = hasher.digest()
        bits = int.from_bytes(event_id, "big")
        delay_ms = item * 7919 % _START_SPREAD_MS + (bits & ((1 << _DELAY_BITS) - 1))
        time_ns = post.time_ns + delay_ms * _MS_NS
        north = ((bits >> 20) & 1023) / 511.5 - 1
        east = ((bits >> 30) & 1023) / 511.5 - 1

        event = pb.ScanEvent()
        event.CopyFrom(post.template)
        event.event_id = event_id
        event.tracking_number = post.routing + tracking_number
        moment = event.scan_time
        moment.seconds, moment.nanos = divmod(time_ns, 1_000_000_000)
        event.utc_offset_minutes = offset_minutes(post.zone, time_ns)
        position = event.position
        if post.at_the_door:  # Somewhere in the district, and no closer than a scan may say.
            position.latitude = round(post.latitude + north * 0.02, 3)
            position.longitude = round(post.longitude + east * 0.02, 3)
        else:
            position.latitude = round(post.latitude + north * 0.0005, 6)
            position.longitude = round(post.longitude + east * 0.0005, 6)
        if post.routing:  # A sorting machine reads the whole barcode, with the way to go in front.
            event.raw_barcode = f"]C1{post.routing}{_FNC1}{tracking_number}".encode()
        else:
            event.operator = post.operators[(bits >> 40) % _OPERATORS]
        return event


def _template(lane: Lane, step: Step, *, device: str) -> pb.ScanEvent:
    """All of an event that is the same for every item of the lane."""
    source_code = _SOURCE_CODES[step.type][lane.is_impb]
    sorted_here = step.type == _T.SCAN_EVENT_TYPE_SORTED
    event = pb.ScanEvent(
        type=step.type,
        utc_offset_source=pb.UTC_OFFSET_SOURCE_FACILITY,
        facility=step.facility.id,
        device=device,
        capture_method=pb.CAPTURE_METHOD_MACHINE if sorted_here else pb.CAPTURE_METHOD_BARCODE,
        symbology=pb.SYMBOLOGY_GS1_128 if lane.is_impb else pb.SYMBOLOGY_CODE_128,
        code_system=("usps" if lane.is_impb else "upu-emsevt-3") if source_code else "",
        source_code=source_code,
        next_facility=step.next_facility.id if step.next_facility else "",
    )
    if step.type == _T.SCAN_EVENT_TYPE_ACCEPTED:
        event.announced.service = lane.service
        event.announced.origin_country = lane.origin.country
        event.announced.destination_country = lane.destination.country
    elif step.type in _CUSTOMS:
        event.customs_direction = pb.CUSTOMS_DIRECTION_IMPORT
    elif step.type == _T.SCAN_EVENT_TYPE_DELIVERY_ATTEMPTED:
        event.reason = pb.EVENT_REASON_NOBODY_HOME
        event.action = pb.EVENT_ACTION_NOTICE_LEFT
    elif step.type == _T.SCAN_EVENT_TYPE_DELIVERED:
        event.delivery_mode = pb.DELIVERY_MODE_MAILBOX
    return event
