"""A scan event as bytes, in the order of its fields: what is the same for many is encoded once.

The bytes are those that the generated message makes of the same values; a test compares them.
"""

import struct
from enum import IntEnum
from functools import lru_cache


class Field(IntEnum):
    """Numbers of the event's fields that are written here."""

    TRACKING_NUMBER = 2
    TYPE = 3
    UTC_OFFSET_SOURCE = 6
    FACILITY = 7
    DEVICE = 8
    OPERATOR = 9
    CAPTURE_METHOD = 10
    RAW_BARCODE = 12
    CONTAINMENT = 14


_CONTAINMENT = int(Field.CONTAINMENT)
_TRACKING_NUMBER = int(Field.TRACKING_NUMBER)

ID_HEAD = b"\x0a\x10"
"""What stands before an event id."""

_POSITION = struct.Struct("<BBBdBd")
_POSITION_HEAD = (11 << 3 | 2, 18, 1 << 3 | 1)
_LONGITUDE = 2 << 3 | 1


_SHORT = [bytes((number,)) for number in range(0x80)]


def varint(number: int) -> bytes:
    """Encode a number that is not negative."""
    if number < 0x80:
        return _SHORT[number]
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


NANOS = [b"", *(b"\x10" + varint(ms * 1_000_000) for ms in range(1, 1_000))]
TIME_HEADS = [bytes((0x22, 6 + len(nanos), 0x08)) for nanos in NANOS]
SECONDS_LOW = [bytes((low & 0x7F | 0x80, low >> 7 | 0x80)) for low in range(1 << 14)]
LOW_BITS = 14
"""The time of a scan is these one behind the other: a head by milliseconds, the low bits of the
seconds, the high bits, and the nanoseconds by milliseconds.
"""


def number_field(field: int, number: int) -> bytes:
    """Encode a field of a number or an enum; nothing for 0."""
    return varint(field << 3) + varint(number) if number else b""


def bytes_field(field: int, value: bytes) -> bytes:
    """Encode a field of bytes."""
    return varint(field << 3 | 2) + varint(len(value)) + value


def text_field(field: int, text: str) -> bytes:
    """Encode a field of text."""
    return bytes_field(field, text.encode())


def tracking_number(number: str) -> bytes:
    """Encode the tracking number."""
    return bytes_field(_TRACKING_NUMBER, number.encode())


@lru_cache(maxsize=4_096)
def seconds_high(high: int) -> bytes:
    """Encode what stays the same for some hours."""
    return bytes((high & 0x7F | 0x80, high >> 7 & 0x7F | 0x80, high >> 14))


def scan_time(time_ms: int) -> bytes:
    """Encode the time of the scan; it lies between the years 1978 and 3058."""
    seconds, ms = divmod(time_ms, 1_000)
    low = SECONDS_LOW[seconds & (1 << LOW_BITS) - 1]
    return TIME_HEADS[ms] + low + seconds_high(seconds >> LOW_BITS) + NANOS[ms]


def position(latitude: float, longitude: float) -> bytes:
    """Encode a position; neither may be 0, which is left out on the wire."""
    return _POSITION.pack(*_POSITION_HEAD, latitude, _LONGITUDE, longitude)


def containment(direction: int, container: str) -> bytes:
    """Encode the relation to a container."""
    number = bytes_field(2, container.encode()) if container else b""
    return bytes_field(_CONTAINMENT, b"\x08" + varint(direction) + number)
