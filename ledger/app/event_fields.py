"""Named values as a scan event: the proto file's names, a few short ones, and forgiving values.

Enum values may be written without their prefix and in any case; a time in RFC 3339 also gives the
UTC offset; an id may be hexadecimal, a UUID or base64. What is not understood is refused by name.
"""

from __future__ import annotations

import base64
import binascii
import calendar
import difflib
import functools
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.errors import Refused
from ledger.v1.scan_event_pb2 import ScanEvent, UtcOffsetSource

SOURCE_NAME: Final = "source"
"""The name of the value that says who saw the scan; it is no part of the event."""

SHORT_NAMES: Final[Mapping[str, str]] = {
    "latitude": "position.latitude",
    "longitude": "position.longitude",
    "accuracy_meters": "position.accuracy_meters",
    "place_name": "place.name",
    "city": "place.city",
    "region": "place.region",
    "postal_code": "place.postal_code",
    "country": "place.country",
    "container_number": "containment.container_number",
    "containment_direction": "containment.direction",
}
"""Names that may be used for a field of an inner message."""

ATTRIBUTE_PREFIX: Final = "attribute."
"""`attribute.NAME` is a free attribute with that name."""

_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?"
    r" ?([Zz]|[+-]\d\d:?\d\d)?",
    re.ASCII,
)
_INDEX_MAX = 100
"""Highest index in a name such as `attachments.0.kind`: above every limit of the wire."""


class Moment(NamedTuple):
    """A time as text gave it."""

    seconds: int
    """Seconds since 1970-01-01T00:00:00, in UTC where there is an offset, else local."""
    nanos: int
    offset_minutes: int | None
    """None: the text does not say it (no offset, `Z`, or `-00:00`)."""
    is_utc: bool
    """False: there was no offset at all, so the time is local."""
    date_only: bool


def make_event(values: Mapping[str, str], *, raw_is_text: bool) -> ScanEvent:
    """Make the event that named values say; its id stays empty where none is named.

    `raw_is_text`: raw_barcode is text, as in CSV, and not base64, as in JSON. Raises Refused with
    the name at fault as its field.
    """
    event = ScanEvent()
    time_name = ""
    has_offset = False
    for name, text in values.items():
        if name == SOURCE_NAME:
            continue
        if name.startswith(ATTRIBUTE_PREFIX):
            event.attributes.add(name=name.removeprefix(ATTRIBUTE_PREFIX), value=text)
            continue
        field = _resolve(name)[0][0]
        if field.name == "scan_time":
            time_name = name
        elif field.name == "raw_barcode" and raw_is_text:
            event.raw_barcode = text.encode()
        else:
            has_offset |= field.name == "utc_offset_minutes"
            _set(event, name, text)
    if time_name:
        _set_scan_time(event, time_name, values[time_name], stated=has_offset)
    return event


def check_name(name: str) -> None:
    """Raise Refused, naming the nearest name, for one that no event has."""
    if name == SOURCE_NAME or name.startswith(ATTRIBUTE_PREFIX):
        return
    _resolve(name)


def parse_time(name: str, text: str) -> Moment:
    """Read a time in RFC 3339, or a date alone. Raises Refused."""
    match = _TIME.fullmatch(text.strip())
    if not match:
        raise _bad(name, text, "a time such as 2026-03-01T14:05:00+01:00")
    *date, hour, minute, second, fraction, offset = match.groups()
    year, month, day = map(int, date)
    clock = (int(hour or 0), int(minute or 0), int(second or 0))
    # Second 60 is a leap second; it reads as the first second after it.
    exists = 1 <= month <= 12 and clock[0] <= 23 and clock[1] <= 59 and clock[2] <= 60
    if not (year and exists and 1 <= day <= calendar.monthrange(year, month)[1]):
        raise _bad(name, text, "a date and time that exist")
    seconds = calendar.timegm((year, month, day, *clock))
    minutes = None
    if offset and offset.upper() != "Z":
        digits = offset[1:].replace(":", "")
        minutes = (int(digits[:2]) * 60 + int(digits[2:])) * (-1 if offset[0] == "-" else 1)
        seconds -= minutes * 60
        # By RFC 3339 this means: the offset is not known.
        minutes = None if offset[0] == "-" and not minutes else minutes
    nanos = int((fraction or "").ljust(9, "0"))
    return Moment(seconds, nanos, minutes, bool(offset), hour is None)


def _set_scan_time(event: ScanEvent, name: str, text: str, *, stated: bool) -> None:
    """Set the time, and the offset that it tells; `stated`: the offset has a value of its own."""
    moment = parse_time(name, text)
    seconds = moment.seconds
    if not moment.is_utc:
        if not stated and not moment.date_only:
            raise _bad(name, text, "a time with its UTC offset: +01:00, or Z where unknown")
        seconds -= event.utc_offset_minutes * 60
    event.scan_time.CopyFrom(Timestamp(seconds=seconds, nanos=moment.nanos))
    if moment.date_only:
        event.date_only = True
    if not stated and moment.offset_minutes is not None:
        event.utc_offset_minutes = moment.offset_minutes
        stated = True
    if stated and not event.utc_offset_source:
        event.utc_offset_source = UtcOffsetSource.UTC_OFFSET_SOURCE_DEVICE


@functools.cache
def _resolve(name: str) -> tuple[tuple[FieldDescriptor, int | None], ...]:
    """Give the fields that lead to a name, each with its index where it is repeated."""
    parts = SHORT_NAMES.get(name, name).split(".")
    at: Descriptor | None = ScanEvent.DESCRIPTOR
    found: list[tuple[FieldDescriptor, int | None]] = []
    while parts:
        part = parts.pop(0)
        field = at and (at.fields_by_name.get(part) or at.fields_by_camelcase_name.get(part))
        if not field:
            raise _no_name(name)
        index = None
        if field.is_repeated:
            if not (parts and parts[0].isascii() and parts[0].isdigit()):
                raise _no_name(name)
            index = int(parts.pop(0))
        found.append((field, index))
        at = field.message_type
        if at is Timestamp.DESCRIPTOR:
            at = None
    if found[-1][0].message_type not in {None, Timestamp.DESCRIPTOR}:
        raise _no_name(name)
    return tuple(found)


def _set(event: ScanEvent, name: str, text: str) -> None:
    *above, (field, _) = _resolve(name)
    at: Any = event
    for step, index in above:
        at = getattr(at, step.name)
        if index is not None:
            if not len(at) >= index <= _INDEX_MAX:
                raise _bad(name, text, "numbered from 0 without gaps")
            at = at[index] if index < len(at) else at.add()
    try:
        if field.message_type is Timestamp.DESCRIPTOR:
            moment = parse_time(name, text)
            if not moment.is_utc:
                raise _bad(name, text, "a time with its UTC offset, such as +01:00 or Z")
            getattr(at, field.name).CopyFrom(Timestamp(seconds=moment.seconds, nanos=moment.nanos))
        else:
            setattr(at, field.name, _value(field, name, text))
    except (ValueError, OverflowError):
        raise _bad(name, text, _KINDS.get(field.type, "text")) from None


def _value(field: FieldDescriptor, name: str, text: str) -> str | bytes | bool | int | float:
    """Read one value by the type of its field. Raises ValueError, or Refused."""
    if field.type == FieldDescriptor.TYPE_STRING:
        return text
    if field.type == FieldDescriptor.TYPE_ENUM:
        return _enum(field, name, text)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _bytes(text)
    if field.type == FieldDescriptor.TYPE_DOUBLE:
        return float(text)
    if field.type == FieldDescriptor.TYPE_BOOL:
        if text.strip().lower() not in _BOOLS:
            raise ValueError(text)
        return _BOOLS[text.strip().lower()]
    return int(text)


def _enum(field: FieldDescriptor, name: str, text: str) -> int:
    assert field.enum_type is not None
    prefix, names = _enum_names(field.enum_type)
    number = names.get(text)
    if number is not None:
        return number
    short = text.strip().upper().replace(" ", "_").replace("-", "_").removeprefix(prefix)
    if short.lstrip("_").isdigit():
        return int(text)
    number = names.get(short)
    if number is None:
        near = difflib.get_close_matches(short, names, n=1, cutoff=0)[0]
        raise _bad(name, text, f"one of the values of the proto file (the nearest is {near})")
    return number


@functools.cache
def _enum_names(enum: EnumDescriptor) -> tuple[str, Mapping[str, int]]:
    """Give the prefix of an enum's values, and their numbers by the rest of their names."""
    prefix = enum.values[0].name.removesuffix("UNSPECIFIED")
    return prefix, {value.name.removeprefix(prefix): value.number for value in enum.values}


def _bytes(text: str) -> bytes:
    """Read an id or digest: hexadecimal, a UUID, or base64 of either alphabet."""
    plain = text.strip()
    for candidate in (plain, plain.replace("-", "")):
        if len(candidate) in {32, 64}:
            try:
                return bytes.fromhex(candidate)
            except ValueError:
                continue
    try:
        plain = plain.replace("-", "+").replace("_", "/")
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError(text) from error


def _bad(name: str, text: str, wanted: str) -> Refused:
    shown = text if len(text) <= 60 else text[:60] + "…"
    return Refused(f"`{name}` is `{shown}`; it is {wanted}.", reason="MALFORMED", field=name)


def _no_name(name: str) -> Refused:
    known = [SOURCE_NAME, *SHORT_NAMES, *(field.name for field in ScanEvent.DESCRIPTOR.fields)]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0)[0]
    return Refused(
        f"There is no field `{name}`; the nearest one is `{near}`. What has no field of its own "
        f"may be named `{ATTRIBUTE_PREFIX}NAME`.",
        reason="UNKNOWN_NAME",
        field=name,
    )


_BOOLS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_KINDS: Final[Mapping[int, str]] = {
    FieldDescriptor.TYPE_BYTES: "32 hexadecimal digits, a UUID, or base64",
    FieldDescriptor.TYPE_DOUBLE: "a number",
    FieldDescriptor.TYPE_BOOL: "true or false",
    FieldDescriptor.TYPE_SINT32: "a whole number",
}
