"""What every entry has, as bytes of the wire: half the time of setting field by field.

Numbers and lengths are written in a fixed number of bytes, often more than they need, so that
nothing has to be measured. Whatever takes them into a message writes them as short as they can be.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.position import SCANS_LOG, unpack_position
from ledger.v1.position_pb2 import Position
from ledger.v1.raw_pb2 import RawTrailEntry

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor

_MASK: Final = (1 << 14) - 1
_LOW: Final = [bytes((number & 0x7F | 0x80, number >> 7 | 0x80)) for number in range(1 << 14)]
"""Fourteen bits of a varint that goes on."""

_END: Final = [bytes((number & 0x7F | 0x80, number >> 7)) for number in range(1 << 14)]
"""The last fourteen bits of one."""

_EVENT: Final = b"\x0a"  # field 1, bytes
_POSITION: Final = b"\x12"  # field 2, a message
_INDEX: Final = b"\x20"  # field 4 of it
_INDEX_BYTES: Final = 7
_TIME: Final = b"\x1a\x12\x08"  # field 3, a message of 18 bytes; its field 1, seconds
_NANOS: Final = b"\x10"  # field 2 of it
_SOURCE: Final = b"\x22"  # field 4, text


class Tags(NamedTuple):
    """The tags of what an answer has several of."""

    entry: bytes
    facility: bytes


class Shared(NamedTuple):
    """What the entries of one key and partition share."""

    position: bytes
    """All of it but the index."""
    key: bytes


@cache
def tags_of(kind: Descriptor) -> Tags:
    """Give the tags of a kind of answer."""
    fields = kind.fields_by_name
    numbers = [fields[name].number for name in ("entries", "facilities")]
    return Tags(*(bytes([number << 3 | 2]) for number in numbers))


def shared_by(position: int, key: bytes) -> Shared:
    """Encode what entries with this key share, in the partition of this position."""
    at = unpack_position(position)
    place = Position(
        log=SCANS_LOG, generation=at.generation, partition=at.partition
    ).SerializeToString()
    head = _POSITION + bytes([len(place) + _INDEX_BYTES])
    return Shared(
        head + place + _INDEX, RawTrailEntry(tracking_key=key.decode()).SerializeToString()
    )


def sized(tag: bytes, content: bytes) -> bytes:
    """Encode a field with a length: below 256 MiB."""
    size = len(content)
    return b"".join((tag, _LOW[size & _MASK], _END[size >> 14], content))


def entry_bytes(
    event: bytes, source: bytes, shared: Shared, index: int, record_time_ns: int
) -> bytes:
    """Encode what every entry has."""
    seconds, nanos = divmod(record_time_ns, 1_000_000_000)
    low, end, mask = _LOW, _END, _MASK
    size, source_size = len(event), len(source)
    return b"".join((
        _EVENT, low[size & mask], end[size >> 14], event,
        shared.position, low[index & mask], low[index >> 14 & mask], end[index >> 28],
        _TIME, low[seconds & mask], low[seconds >> 14 & mask], low[seconds >> 28 & mask],
        low[seconds >> 42 & mask], end[seconds >> 56 & 0xFF],
        _NANOS, low[nanos & mask], low[nanos >> 14 & mask], end[nanos >> 28],
        _SOURCE, low[source_size & mask], end[source_size >> 14], source,
        shared.key,
    ))  # fmt: skip
