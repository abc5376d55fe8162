"""Recognises the usual scan event in one pass over its bytes: no message is built, no field read.

Nearly every event is short, ASCII, encoded in the order of the fields, and breaks no rule. One
expression, made from the schema and the limits, finds these and cuts out what filing needs: 4 µs
less than reading the fields. Whatever else arrives, also a field added later, goes the exact way.
"""

from __future__ import annotations

import re
import struct
from operator import add
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.timestamp_pb2 import Timestamp

from ingest.limits import FIELD_BYTES_MAX
from ledger.codec import containment_suffix
from ledger.event import EVENT_ID_BYTES, TIME_NS_END
from ledger.numbers import KEY_FORM, UnfilableNumber, filing_keys
from ledger.v1.scan_event_pb2 import AnnouncedFacts, Containment, GeoPosition, ScanEvent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.descriptor import Descriptor

Filed: TypeAlias = tuple[bytes, int, bytes, bytes]
"""What filing needs of an event: tracking key, scan time in ns, event id, containment suffix."""

TEXT_BYTES_MAX: Final = 64
"""Longest text of a usual event. Longer ones make the expression slower, and are rare."""

ANNOUNCED_BYTES_MAX: Final = 100
"""Longest announced facts of a usual event: a service, two countries, an area and a reference."""

VARINTS_KNOWN_MAX: Final = 10_000
"""Most varints of times that are remembered, some 1 MB: all milliseconds of a second, and hours of
seconds.
"""

TEXT: Final = b"[ -~]"
"""Printable ASCII: every length in characters is the one in bytes, and there is no NUL."""

ENUM: Final = b"[\x01-\x7f]"
"""A stated value of an enum in one byte, so never a negative one."""

# From -1080 to 1080 minutes as a zigzag varint: 1 to 2160.
_OFFSET = rb"(?:[\x01-\x7f]|[\x80-\xff][\x01-\x0f]|[\x80-\xf0]\x10)"
# CORRECTION (39) and UNMAPPED (40) have rules of their own.
_TYPE = rb"[\x01-\x26\x29-\x7f]"
# Five bytes of seconds: from 1978 to far beyond the range, which is checked afterwards.
_SECONDS = rb"[\x80-\xff]{4}[\x01-\x7f]"
_SECONDS_BYTES: Final = 6
"""Length of an encoded time without nanos: a tag, and five bytes."""


class Usual(NamedTuple):
    """What filing needs of the usual events among some: a column each, in their order."""

    places: Sequence[int]
    """Where they stand among the events."""
    keys: Sequence[bytes]
    scan_times_ns: Sequence[int]
    event_ids: Sequence[bytes]
    suffixes: Sequence[bytes]


def read_usual(events: Sequence[bytes]) -> Usual:
    """Give what filing needs of those events that need not be judged the exact way.

    What is done for all is done column by column, without a turn of Python for each of them.
    """
    found = list(map(_match, events))
    places: Sequence[int] = range(len(events))
    if not all(found):
        places = [place for place in places if found[place] is not None]
    rows = list(map(_groups, filter(None, found)))
    usual = _filed(places, rows)
    if usual is not None:
        return usual
    # One only looked usual. It is found by looking at each alone, and left out.
    alone = [
        (place, row)
        for place, row in zip(places, rows, strict=True)
        if _filed((place,), [row]) is not None
    ]
    usual = _filed([place for place, _ in alone], [row for _, row in alone])
    assert usual is not None
    return usual


def _filed(places: Sequence[int], rows: Sequence[tuple[bytes, ...]]) -> Usual | None:
    """Read what the expression cut out of events; None where one of them is not usual."""
    if not rows:
        return Usual((), (), (), (), ())
    columns = zip(*rows, strict=True)
    event_ids, lengths, numbers, time_lengths, seconds, nanos, containments, announced = columns
    # The expression takes any length where a part ends by itself. It has to be the right one.
    right = bytes([*map(len, numbers), *[_SECONDS_BYTES + size for size in map(len, nanos)]])
    if b"".join(lengths + time_lengths) != right:
        return None
    nanos_of = list(map(_nanos.__getitem__, nanos))
    times_ns = list(map(add, map(_seconds_ns.__getitem__, seconds), nanos_of))
    if max(nanos_of) >= 1_000_000_000 or max(times_ns) >= TIME_NS_END:
        return None
    try:
        keys = filing_keys(numbers)
        suffixes = [_suffix(one) if one else b"" for one in containments]
    except UnfilableNumber:
        return None
    for one in filter(None, announced):
        if _match_announced(one, _ANNOUNCED_AT) is None:
            return None
    return Usual(places, keys, times_ns, event_ids, suffixes)


def _suffix(containment: bytes) -> bytes:
    """Encode the end of the record from: tag, length, tag, direction, tag, length, number."""
    [key] = filing_keys([containment[_CONTAINER_AT:]])
    return containment_suffix(key, KEY_FORM, containment[_DIRECTION_AT])


class _Varints(dict[bytes, int]):
    """Varints of up to five bytes behind a tag, as numbers, times `unit`; nothing is 0.

    Those of a moment come again and again: scans of one second, clocks that tick in milliseconds.
    """

    def __init__(self, unit: int) -> None:
        super().__init__({b"": 0})
        self._unit = unit

    def __missing__(self, encoded: bytes) -> int:
        if len(self) >= VARINTS_KNOWN_MAX:
            self.clear()
            self[b""] = 0
        wide = int.from_bytes(encoded[1:], "little")
        value = self[encoded] = self._unit * (
            wide & 0x7F
            | wide >> 1 & 0x3F80
            | wide >> 2 & 0x1FC000
            | wide >> 3 & 0xFE00000
            | wide >> 4 & 0x7F0000000
        )
        return value


def _tag(message: Descriptor, name: str) -> bytes:
    """Match the tag of a field."""
    return re.escape(_tag_bytes(message, name))


def _tag_bytes(message: Descriptor, name: str) -> bytes:
    """Give the tag of a field as it stands on the wire."""
    field = message.fields_by_name[name]
    wire_type = {
        FieldDescriptor.TYPE_STRING: 2,
        FieldDescriptor.TYPE_BYTES: 2,
        FieldDescriptor.TYPE_MESSAGE: 2,
        FieldDescriptor.TYPE_DOUBLE: 1,
    }.get(field.type, 0)
    tag, out = field.number << 3 | wire_type, bytearray()
    while tag > 0x7F:
        out.append(tag & 0x7F | 0x80)
        tag >>= 7
    out.append(tag)
    return bytes(out)


def _sized(content: bytes, longest: int, before: bytes = b"", extra: int = 0) -> bytes:
    """Match a length from 1 on, and as many of `content`; `extra` bytes of `before` between."""
    return b"(?:%s)" % b"|".join(
        re.escape(bytes([size + extra]))
        + (before + re.escape(bytes([size])) if before else b"")
        + b"%s{%d}" % (content, size)
        for size in range(1, longest + 1)
    )


def _optional(pattern: bytes) -> bytes:
    """Match it or nothing. An empty branch takes half the time of a question mark."""
    return b"(?:%s|)" % pattern


def _field(name: str, content: bytes = b"", message: Descriptor = ScanEvent.DESCRIPTOR) -> bytes:
    """Match one field of a message, or nothing: text by its limit, or else as `content`."""
    if not content:
        content = _sized(TEXT, min(TEXT_BYTES_MAX, FIELD_BYTES_MAX[f"{message.name}.{name}"]))
    return _optional(_tag(message, name) + content)


def _cut_out(name: str, content: bytes) -> bytes:
    """Match one field of an event and cut it out with its tag, or cut out nothing."""
    return b"(%s%s|)" % (_tag(ScanEvent.DESCRIPTOR, name), content)


def _time() -> bytes:
    """Match an encoded Timestamp: its length, its seconds, and its nanos or nothing, cut out each.

    The length is compared with the parts afterwards.
    """
    seconds = _tag(Timestamp.DESCRIPTOR, "seconds") + _SECONDS
    nanos = _tag(Timestamp.DESCRIPTOR, "nanos") + rb"[\x80-\xff]{0,4}[\x01-\x7f]"
    return rb"(.)(%s)(%s|)" % (seconds, nanos)


def _below(limit: int) -> bytes:
    """Match a double whose absolute value is below a whole number from 2 on.

    Doubles without their sign sort as their bits do, so the last three of the eight bytes decide;
    what lies within a small step below the limit is left to the exact way. NaN is never matched.
    """
    low, middle, high = struct.pack("<d", limit)[5:]
    assert high == 0x40
    smaller = rb".{7}[\x00-\x3f\x80-\xbf]"  # Below 2.
    return rb"(?:.{5}(?:.[\x00-%s]|[\x00-%s]%s)[\x40\xc0]|%s)" % (
        re.escape(bytes([middle - 1])),
        re.escape(bytes([low - 1])),
        re.escape(bytes([middle])),
        smaller,
    )


def _position() -> bytes:
    """Match an encoded GeoPosition with both coordinates, and the accuracy or not."""
    point = GeoPosition.DESCRIPTOR
    place = _tag(point, "latitude") + _below(90) + _tag(point, "longitude") + _below(180)
    # An accuracy that is neither negative nor infinite nor NaN: its last byte is below 0x7f.
    accuracy = _tag(point, "accuracy_meters") + rb".{7}[\x00-\x7e]"
    return rb"(?:\x12%s|\x1b%s%s)" % (place, place, accuracy)


def _containment() -> bytes:
    """Match an encoded Containment, IN or OUT, with its container."""
    before = (
        _tag(Containment.DESCRIPTOR, "direction")
        + rb"[\x01\x02]"
        + _tag(Containment.DESCRIPTOR, "container_number")
    )
    return _sized(TEXT, TEXT_BYTES_MAX, before, extra=4)


def _announced_pattern() -> bytes:
    """Match encoded AnnouncedFacts, in the order of their numbers."""
    facts = AnnouncedFacts.DESCRIPTOR
    country = b"\x02[A-Z]{2}"
    return b"".join((
        _field("service", message=facts),
        _field("origin_country", country, facts),
        _field("destination_country", country, facts),
        _field("destination_postcode_area", message=facts),
        _field("consignor_reference", message=facts),
    ))  # fmt: skip


def _pattern() -> bytes:
    """Match all fields of a usual event, in the order of their numbers."""
    event = ScanEvent.DESCRIPTOR
    return b"".join((
        _tag(event, "event_id"), re.escape(bytes([EVENT_ID_BYTES])), b"(.{%d})" % EVENT_ID_BYTES,
        # It ends by itself: the tag that follows is no printable character.
        _tag(event, "tracking_number"), b"(.)(%s{1,%d})" % (TEXT, TEXT_BYTES_MAX),
        _tag(event, "type"), _TYPE,
        _tag(event, "scan_time"), _time(),
        _field("utc_offset_minutes", _OFFSET),
        _field("utc_offset_source", ENUM),
        _field("facility"), _field("device"), _field("operator"),
        _field("capture_method", ENUM),
        _field("position", _position()),
        _field("raw_barcode", _sized(b".", TEXT_BYTES_MAX)),
        _field("symbology", ENUM),
        _cut_out("containment", _containment()),
        _field("delivery_mode", ENUM),
        _field("carrier"), _field("code_system"), _field("source_code"),
        _field("source_reason_code"), _field("source_action_code"),
        _field("source_event_id"), _field("source_text"),
        _field("reason", ENUM), _field("action", ENUM), _field("customs_direction", ENUM),
        _field("next_facility"),
        # What is inside is matched on its own: no expression can compare a length with a sum.
        _cut_out("announced", _sized(b".", ANNOUNCED_BYTES_MAX)),
    ))  # fmt: skip


_match = re.compile(_pattern(), re.DOTALL).fullmatch
_match_announced = re.compile(_announced_pattern(), re.DOTALL).fullmatch
_groups = re.Match.groups
# Behind tag, length, tag; behind tag and length once more; behind tag and length.
_DIRECTION_AT: Final = len(_tag_bytes(ScanEvent.DESCRIPTOR, "containment")) + 2
_CONTAINER_AT: Final = _DIRECTION_AT + 3
_ANNOUNCED_AT: Final = len(_tag_bytes(ScanEvent.DESCRIPTOR, "announced")) + 1
_seconds_ns = _Varints(1_000_000_000)
_nanos = _Varints(1)
