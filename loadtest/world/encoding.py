"""From a sending to its bytes, as they go over the wire.

Nearly all of an event is the same for every item at a post, and is encoded there once. What is left
are the id, the number, the time, and who stood where.
"""

from typing import Final, NamedTuple

from ledger.v1.scan_event_pb2 import CONTAINMENT_DIRECTION_EMPTIED
from loadtest.world import wire
from loadtest.world.calendar import DAY_MS
from loadtest.world.devices import OPERATORS, POSITIONS, WHO_TYPED
from loadtest.world.journey import Journey
from loadtest.world.numbers import ROUTING, wrong_check_digit
from loadtest.world.posts import Post
from loadtest.world.sendings import (
    ID_BYTES,
    LATENCY_MS,
    REFUSED,
    UNDECODABLE,
    Kind,
    Odds,
    Sending,
)
from loadtest.world.wire import (
    ID_HEAD,
    LOW_BITS,
    NANOS,
    SECONDS_LOW,
    TIME_HEADS,
    scan_time,
    seconds_high,
)

FNC1: Final = "\x1d"
"""How a reader shows the function character that stands between two parts of a barcode."""

DISTRICT: Final = 20
"""How far a door is from the delivery unit at most, in either direction, in thousandths of a
degree: some 2 km. The position of an address may not be closer.
"""

TWO_LABELS_BYTES: Final = 129
"""Length of what was read as one number, at least: more than any number may have."""


class Upload(NamedTuple):
    """One event as a scanner sends it. No two are equal, and their order is that of sending."""

    send_time_ns: int
    """When it is sent, in virtual time; hours after the scan where the device was cut off."""

    event_id: bytes
    kind: Kind
    scanner: int
    tracking_number: str
    """As it is sent; empty where the event cannot be decoded."""

    event: bytes
    """The encoded event, as it goes into a batch; nobody may decode and encode it again."""

    @property
    def will_be_refused(self) -> bool:
        """Whether it breaks a rule of the wire, so that no ledger takes it."""
        return self.kind in REFUSED


_SCAN = Kind.SCAN
_LOW = (1 << LOW_BITS) - 1
_join = b"".join
_tuple = tuple.__new__  # A third of the time of calling the class.
_PREMATURE, _TYPED, _BROKEN = Kind.PREMATURE, Kind.TYPED, Kind.BROKEN


def gather(journey: Journey, odds: Odds, scanner: int | None, into: list[Upload]) -> None:
    """Add all that a scanner, or every scanner, sends about a journey.

    It is called for all that is scanned. Most of it is as it should be, and goes through without
    further calls; `odds.of_step` and `upload` say the same for one step in few words.
    """
    ids, plain, bags = journey.ids, journey.label, journey.bags
    odd_end = odds.odd_end
    for step, (time_ms, post, leg) in enumerate(journey.steps):
        if scanner is not None and post.scanner != scanner:
            continue
        if leg >= 0 and (post.carried if leg in bags else post.bag_only):
            continue
        event_id = ids[step * ID_BYTES : (step + 1) * ID_BYTES]
        if event_id < odd_end:
            into.extend(map(upload, odds.of_odd_step(journey, step)))
            continue
        device = post.device
        day = time_ms // DAY_MS
        try:
            _, cut_off_ms, skew_ms, front = device.days[day]
        except KeyError:
            _, cut_off_ms, skew_ms, front = device.day(day)
        if cut_off_ms or not front:
            into.append(upload(odds.plain(journey, step)))
            continue
        label, rest = plain, post.usual
        if not rest:
            label, rest = _unusual(_SCAN, journey, step)
        who = post.who
        if who < 0:
            who = event_id[4] % OPERATORS
        if post.at_the_door:
            where = _door(post, event_id)
        else:
            where = b"" if post.is_notice else device.inside[event_id[5] % POSITIONS]
        seconds, ms = divmod(time_ms + skew_ms, 1_000)
        low, high = SECONDS_LOW[seconds & _LOW], seconds_high(seconds >> LOW_BITS)
        event = _join((
            ID_HEAD, event_id, label, post.head, TIME_HEADS[ms], low, high, NANOS[ms],
            front[who], where, rest,
        ))  # fmt: skip
        number = _routed(post, journey) if post.routing else journey.number
        send_ns = (time_ms + LATENCY_MS + (event_id[3] << 4)) * 1_000_000
        into.append(_tuple(Upload, (send_ns, event_id, _SCAN, post.scanner, number, event)))


def upload(sending: Sending) -> Upload:
    """Give one sending as it goes over the wire."""
    send_ms, event_id, kind, _, journey, step = sending
    scanner = journey.steps[step][1].scanner
    number, event = sent_number(kind, journey, step), encode(sending)
    return Upload(send_ms * 1_000_000, event_id, kind, scanner, number, event)


def sent_number(kind: Kind, journey: Journey, step: int) -> str:
    """Give the tracking number as it is sent; empty where the event cannot be decoded."""
    if kind > _TYPED:
        return _misread(kind, journey.number)
    post = journey.steps[step][1]
    return _routed(post, journey) if post.routing else journey.number


def encode(sending: Sending) -> bytes:
    """Give the bytes of one event."""
    _, event_id, kind, scan_ms, journey, step = sending
    post = journey.steps[step][1]
    device = post.device
    offset_ms = device.stop.zone.offset_ms(scan_ms)
    front = device.front(offset_ms)
    who = post.who
    if who < 0:
        who = event_id[4] % OPERATORS + (WHO_TYPED if kind is _TYPED else 0)
    where = b""
    if post.at_the_door and kind is not _PREMATURE:
        where = _door(post, event_id)
    elif not post.is_notice:
        where = device.inside[event_id[5] % POSITIONS]
    label, rest = journey.label, post.usual
    if not rest or kind > _TYPED:
        label, rest = _unusual(kind, journey, step)
    time = scan_time(scan_ms)
    event = b"".join((ID_HEAD, event_id, label, post.head, time, front[who], where, rest))
    if kind is _BROKEN:  # In the middle of the time.
        return event[: len(ID_HEAD) + ID_BYTES + len(label) + len(post.head) + 4]
    return event


def _routed(post: Post, journey: Journey) -> str:
    return f"{ROUTING}{post.routing}{journey.number}"


def _unusual(kind: Kind, journey: Journey, step: int) -> tuple[bytes, bytes]:
    """Give the encoded number, and what stands behind the position."""
    post = journey.steps[step][1]
    label, raw, held = journey.label, b"", b""
    if kind is Kind.LATIN1:
        number = journey.number.encode("latin-1")
        misread = number[:-4] + b"\xd8\xe9" + number[-2:]
        label = wire.bytes_field(wire.Field.TRACKING_NUMBER, misread)
    elif post.routing or kind > _TYPED:
        label = wire.tracking_number(sent_number(kind, journey, step) or journey.number)
    if post.routing and kind <= _TYPED:  # A machine reads the way to go in front.
        barcode = f"]C1{ROUTING}{post.routing}{FNC1}{journey.number}"
        raw = wire.bytes_field(wire.Field.RAW_BARCODE, barcode.encode())
    direction = post.detail.containment
    if direction:
        is_emptied = direction == CONTAINMENT_DIRECTION_EMPTIED
        held = wire.containment(direction, "" if is_emptied else journey.container(step))
    return label, raw + post.before + held + post.after


def _misread(kind: Kind, number: str) -> str:
    if kind in UNDECODABLE:
        return ""
    if kind is Kind.CHECK_DIGIT:
        return wrong_check_digit(number)
    times = TWO_LABELS_BYTES // (len(number) + 1) + 1
    return " ".join([number] * times)


def _door(post: Post, event_id: bytes) -> bytes:
    """Give somewhere in the district, as closely as may be said."""
    latitude, longitude = post.device.base
    bits = int.from_bytes(event_id[12:16], "big")
    north = (bits >> 16) * (2 * DISTRICT + 1) >> 16
    east = (bits & 0xFFFF) * (2 * DISTRICT + 1) >> 16
    return wire.position(
        (latitude // 1_000 + north - DISTRICT) / 1_000,
        (longitude // 1_000 + east - DISTRICT) / 1_000,
    )
