"""A spool's scans as bytes: a segment's head, and a frame for each commit. Pure.

One commit is one frame with one checksum, and is synced before the next one is written. So a frame
that is whole shows that all before it were synced: what is broken before it was damaged later, and
what is broken behind the last whole one was never acknowledged.
"""

from __future__ import annotations

import struct
import zlib
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SEGMENT_MAGIC: Final = b"PLSPOOL1"
_SEGMENT_HEAD: Final = struct.Struct("<8sQI")  # magic, first place, checksum
_FRAME_MAGIC: Final = b"\xf5SCF"
_FRAME_START: Final = struct.Struct("<4sI")  # magic, checksum of all that follows
_FRAME_HEAD: Final = struct.Struct("<QqII")  # first place, time in ns, scans, bytes behind the head
_BODY_AT: Final = _FRAME_START.size + _FRAME_HEAD.size

SEGMENT_HEAD_BYTES: Final = _SEGMENT_HEAD.size
FRAME_HEAD_BYTES: Final = _BODY_AT

SCAN_OVERHEAD_BYTES: Final = 4
"""What a frame adds to each scan: its length."""


class Head(NamedTuple):
    """What a frame says of itself. Not yet checked."""

    first_place: int
    time_ns: int
    """When it was spooled, by this machine's clock."""

    scans: int
    bytes: int
    """The whole frame."""

    @property
    def end_place(self) -> int:
        """The place behind its last scan."""
        return self.first_place + self.scans


class Frame(NamedTuple):
    """The scans of one commit."""

    first_place: int
    time_ns: int
    scans: Sequence[bytes]


def segment_head(first_place: int, salt: int) -> bytes:
    """Encode the head of a segment."""
    plain = struct.pack("<8sQ", _SEGMENT_MAGIC, first_place)
    return plain + struct.pack("<I", zlib.crc32(plain, salt))


def is_segment(data: bytes, first_place: int, salt: int) -> bool:
    """Tell whether a segment's head is whole and says that place."""
    return data[: _SEGMENT_HEAD.size] == segment_head(first_place, salt)


def frame_of(first_place: int, time_ns: int, scans: Sequence[bytes], salt: int) -> bytes:
    """Encode one commit."""
    body = b"".join((struct.pack(f"<{len(scans)}I", *map(len, scans)), *scans))
    checked = _FRAME_HEAD.pack(first_place, time_ns, len(scans), len(body)) + body
    return _FRAME_START.pack(_FRAME_MAGIC, zlib.crc32(checked, salt)) + checked


def head_at(data: bytes, at: int) -> Head | None:
    """Read the head of the frame at an offset; None where there is none."""
    if len(data) - at < _BODY_AT or data[at : at + 4] != _FRAME_MAGIC:
        return None
    first_place, time_ns, scans, size = _FRAME_HEAD.unpack_from(data, at + _FRAME_START.size)
    return Head(first_place, time_ns, scans, _BODY_AT + size)


def is_whole(data: bytes, at: int, head: Head, salt: int) -> bool:
    """Tell whether all of a frame is there, as it was written."""
    if at + head.bytes > len(data) or head.scans * SCAN_OVERHEAD_BYTES > head.bytes - _BODY_AT:
        return False
    _, checksum = _FRAME_START.unpack_from(data, at)
    checked = memoryview(data)[at + _FRAME_START.size : at + head.bytes]
    whole: bool = zlib.crc32(checked, salt) == checksum
    return whole


def frame_at(data: bytes, at: int, head: Head) -> Frame:
    """Take a frame that is whole apart."""
    lengths = struct.unpack_from(f"<{head.scans}I", data, at + _BODY_AT)
    begin = at + _BODY_AT + SCAN_OVERHEAD_BYTES * head.scans
    scans = [data[a:b] for a, b in pairwise(accumulate(lengths, initial=begin))]
    return Frame(head.first_place, head.time_ns, scans)


def heads_of(data: bytes, first_place: int, salt: int) -> Iterator[tuple[int, Head]]:
    """Give the frames of a segment from its beginning, with their offsets, as long as each is whole
    and follows the one before it.
    """
    at, place = SEGMENT_HEAD_BYTES, first_place
    while (head := head_at(data, at)) and head.first_place == place:
        if not is_whole(data, at, head, salt):
            return
        yield at, head
        at, place = at + head.bytes, head.end_place


def whole_frame_behind(data: bytes, at: int, salt: int) -> Head | None:
    """Find a whole frame anywhere behind an offset: then what lies before it was damaged."""
    while (at := data.find(_FRAME_MAGIC, at)) >= 0:
        head = head_at(data, at)
        if head is not None and is_whole(data, at, head, salt):
            return head
        at += 1
    return None
