"""Recognises the usual scan event in one pass over its bytes: no message is built, no field read.

Nearly every event is short, ASCII, encoded in the order of the fields, and breaks no rule. One
expression, made from the schema and the limits, finds these and cuts out what filing needs: 3 µs
less than reading the fields. Whatever else arrives, also a field added later, goes the exact way.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Final, TypeAlias

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.timestamp_pb2 import Timestamp

from ingest.limits import FIELD_BYTES_MAX
from ledger.codec import containment_suffix
from ledger.event import EVENT_ID_BYTES, TIME_NS_END
from ledger.numbers import KEY_FORM, UnfilableNumber, filing_key
from ledger.v1.scan_event_pb2 import AnnouncedFacts, Containment, GeoPosition, ScanEvent

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor

Filed: TypeAlias = tuple[bytes, int, bytes, bytes]
"""What filing needs of an event: tracking key, scan time in ns, event id, containment suffix."""

TEXT_BYTES_MAX: Final = 64
"""Longest text of a usual event. Longer ones make the expression slower, and are rare."""

ANNOUNCED_BYTES_MAX: Final = 100
"""Longest announced facts of a usual event: a service, two countries, an area and a reference."""

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
_SECONDS_ALONE: Final = 7
"""Length of an encoded time without nanos: its own length, a tag, and five bytes."""


def read_usual(event: bytes) -> Filed | None:
    """Give what filing needs, or None where the event has to be judged the exact way."""
    found = _match(event)
    if found is None:
        return None
    event_id, number, time_bytes, containment, announced = found.groups()
    # Two varints of up to five bytes, seven bits in each: half of what a Timestamp takes to read.
    wide = _number(time_bytes[2:7], "little")
    scan_time_ns = 1_000_000_000 * (
        wide & 0x7F
        | wide >> 1 & 0x3F80
        | wide >> 2 & 0x1FC000
        | wide >> 3 & 0xFE00000
        | wide >> 4 & 0x7F0000000
    )
    if len(time_bytes) > _SECONDS_ALONE:
        wide = _number(time_bytes[8:], "little")
        nanos = (
            wide & 0x7F
            | wide >> 1 & 0x3F80
            | wide >> 2 & 0x1FC000
            | wide >> 3 & 0xFE00000
            | wide >> 4 & 0x7F0000000
        )
        if nanos >= 1_000_000_000:
            return None
        scan_time_ns += nanos
    if scan_time_ns >= TIME_NS_END:
        return None
    if announced is not None and _match_announced(announced, 1) is None:
        return None
    try:
        key = filing_key(number[1:].decode())
        suffix = b"" if containment is None else _suffix(containment)
    except UnfilableNumber:
        return None
    return key, scan_time_ns, event_id, suffix


def _suffix(containment: bytes) -> bytes:
    """Encode the end of the record from: length, tag, direction, tag, length, container number."""
    return containment_suffix(filing_key(containment[5:].decode()), KEY_FORM, containment[2])


def _tag(message: Descriptor, name: str) -> bytes:
    """Give the tag of a field as it stands on the wire, escaped."""
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
    return re.escape(bytes(out))


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


def _time() -> bytes:
    """Match an encoded Timestamp behind its length: seconds, and nanos of 1 to 5 bytes."""
    seconds = _tag(Timestamp.DESCRIPTOR, "seconds") + _SECONDS
    nanos = _tag(Timestamp.DESCRIPTOR, "nanos")
    return rb"(?:\x06%s|%s)" % (
        seconds,
        b"|".join(
            re.escape(bytes([7 + size]))
            + seconds
            + nanos
            + rb"[\x80-\xff]{%d}[\x01-\x7f]" % (size - 1)
            for size in range(1, 6)
        ),
    )


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
    return b"(%s)" % _sized(TEXT, TEXT_BYTES_MAX, before, extra=4)


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
        _tag(event, "tracking_number"), b"(%s)" % _sized(TEXT, TEXT_BYTES_MAX),
        _tag(event, "type"), _TYPE,
        _tag(event, "scan_time"), b"(%s)" % _time(),
        _field("utc_offset_minutes", _OFFSET),
        _field("utc_offset_source", ENUM),
        _field("facility"), _field("device"), _field("operator"),
        _field("capture_method", ENUM),
        _field("position", _position()),
        _field("raw_barcode", _sized(b".", TEXT_BYTES_MAX)),
        _field("symbology", ENUM),
        _field("containment", _containment()),
        _field("delivery_mode", ENUM),
        _field("carrier"), _field("code_system"), _field("source_code"),
        _field("source_reason_code"), _field("source_action_code"),
        _field("source_event_id"), _field("source_text"),
        _field("reason", ENUM), _field("action", ENUM), _field("customs_direction", ENUM),
        _field("next_facility"),
        # What is inside is matched on its own: no expression can compare a length with a sum.
        _field("announced", b"(%s)" % _sized(b".", ANNOUNCED_BYTES_MAX)),
    ))  # fmt: skip


_match = re.compile(_pattern(), re.DOTALL).fullmatch
_match_announced = re.compile(_announced_pattern(), re.DOTALL).fullmatch
_number = int.from_bytes
