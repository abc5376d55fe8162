"""A spool's segments: files of frames, written at the end of the newest, read anywhere.

Places count scans from 1 and are never given twice once they were synced: a segment says the place
that it begins with, and the newest one is never removed. A segment's truth ends where the next one
begins; what a failed append left behind that is nothing.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from ingest.spool_frames import (
    FRAME_HEAD_BYTES,
    SEGMENT_HEAD_BYTES,
    frame_at,
    frame_of,
    head_at,
    is_whole,
    segment_head,
)
from ledger.errors import Diverged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.spool_files import Files
    from ingest.spool_frames import Frame, Head

MARK_EVERY_BYTES: Final = 16 << 10
"""Bytes of a segment for each place that is kept in memory: a gibibyte takes 65,000 of them, and
whoever looks for a scan reads some fifty heads.
"""

UNFINISHED: Final = ".new"
"""Behind a segment's name while it is written: it counts for nothing."""


class Segment:
    """One file.

    Attributes:
        first_place: the place of its first scan; `end_place` is that behind its last.
        size: its bytes that are synced.
    """

    def __init__(self, name: str, first_place: int) -> None:
        self.name = name
        self.first_place = self.end_place = first_place
        self.size = SEGMENT_HEAD_BYTES
        self._places: list[int] = []
        self._offsets: list[int] = []
        self._times_ns: list[int] = []

    def add(self, offset: int, head: Head) -> None:
        """Take note of a frame behind those that are known."""
        if not self._offsets or offset - self._offsets[-1] >= MARK_EVERY_BYTES:
            self._places.append(head.first_place)
            self._offsets.append(offset)
            self._times_ns.append(head.time_ns)
        self.size = offset + head.bytes
        self.end_place = head.end_place

    def offset_before(self, place: int) -> int:
        """Give the offset of a frame at or before the one that has a place."""
        return self._offsets[bisect_right(self._places, place) - 1]

    def time_ns_before(self, place: int) -> int:
        """Give about the time at which a place was spooled: never a later one."""
        return self._times_ns[bisect_right(self._places, place) - 1]

    def place_before(self, time_ns: int) -> int | None:
        """Give a place that was spooled before a time, and not long before, if one was."""
        # Another thread may be adding one: what is not whole yet is passed over.
        at = bisect_left(self._times_ns[:], time_ns) - 1
        return self._places[at] if at >= 0 else None


class Segments:
    """All segments of a spool. `append` and `remove` are for one thread, the rest for another."""

    def __init__(self, files: Files, salt: int, *, segment_bytes: int, turn: int) -> None:
        """`segment_bytes` is the length at which a new one is begun, `turn` the highest turn that
        was ever taken.
        """
        self.all: list[Segment] = []
        self._files = files
        self._salt = salt
        self._segment_bytes = segment_bytes
        self._turn = turn
        self._must_begin = True

    @property
    def next_place(self) -> int:
        """The place that the next scan gets."""
        return self.all[-1].end_place if self.all else 1

    @property
    def size_bytes(self) -> int:
        """What they take on the disk."""
        return sum(segment.size for segment in list(self.all))

    def append(self, scans: Sequence[bytes], time_ns: int) -> int:
        """Write scans as one commit and sync them; return the first one's place.

        Raises OSError. Then nothing was appended, as far as later scans go; after a crash the scans
        may be found all the same.
        """
        if self._must_begin or self.all[-1].size >= self._segment_bytes:
            self._begin()
        segment = self.all[-1]
        first = segment.end_place
        frame = frame_of(first, time_ns, scans, self._salt)
        try:
            self._files.append(segment.name, frame)
            self._files.sync(segment.name)
        except OSError:
            # Nobody knows what stands behind the last sync, so the next scans begin a new file.
            self._must_begin = True
            with suppress(OSError):
                self._files.cut(segment.name, segment.size)
            raise
        head = head_at(frame, 0)
        assert head is not None
        segment.add(segment.size, head)
        return first

    def _begin(self) -> None:
        """Make a new file, behind all others. Raises OSError."""
        self._turn += 1
        segment = Segment(name_of(self.next_place, self._turn), self.next_place)
        try:
            self._files.append(segment.name, segment_head(segment.first_place, self._salt))
            self._files.sync(segment.name)
            self._files.sync_names()
        except OSError:
            with suppress(OSError):
                self._files.remove(segment.name)
            raise
        # One without a scan has nothing left to say: the new one begins with the same place.
        emptied = [one for one in self.all if one.first_place == segment.first_place]
        self.all = [one for one in self.all if one not in emptied] + [segment]
        self._must_begin = False
        for one in emptied:
            with suppress(OSError):
                self._files.remove(one.name)

    def write_anew(self, sure: Segment, unsure: Sequence[tuple[Head, bytes]]) -> None:
        """Put the last segment's unsure frames into a file of their own, all or none; what is sure
        of it stays. Raises OSError.
        """
        self._turn += 1
        segment = Segment(name_of(sure.end_place, self._turn), sure.end_place)
        data = segment_head(segment.first_place, self._salt)
        for head, frame in unsure:
            segment.add(len(data), head)
            data += frame
        made = segment.name + UNFINISHED
        self._files.append(made, data)
        self._files.sync(made)
        # If we crash before this they are in the old file alone; behind it in the new one, which
        # ends the truth of the old one.
        self._files.rename(made, segment.name)
        self._files.sync_names()
        self.all[-1:] = [sure, segment] if sure.end_place > sure.first_place else [segment]
        self._must_begin = False
        if sure not in self.all:
            with suppress(OSError):
                self._files.remove(sure.name)

    def forget(self, segments: Sequence[Segment]) -> None:
        """Let segments go; `remove` removes their files."""
        self.all = [one for one in self.all if one not in segments]

    def remove(self, segments: Sequence[Segment]) -> None:
        """Remove the files of segments. What a disk keeps is removed at the next start."""
        for segment in segments:
            with suppress(OSError):
                self._files.remove(segment.name)

    def segment_of(self, place: int) -> Segment | None:
        """Give the segment that has a place, if one has."""
        segments = self.all
        at = bisect_right(segments, place, key=lambda one: one.first_place) - 1
        return segments[at] if at >= 0 and place < segments[at].end_place else None

    def frames(self, place: int, most_bytes: int) -> list[Frame]:
        """Read frames from the one that has a place: at least that, at most about `most_bytes`, of
        one segment. Gives none where no segment has it. Raises Diverged where the file is damaged.
        """
        segment = self.segment_of(place)
        if segment is None:
            return []
        at = segment.offset_before(place)
        end = segment.size
        data = self._read(segment, at, max(most_bytes, MARK_EVERY_BYTES), end)
        found: list[Frame] = []
        begin = at
        while at < end:
            head = head_at(data, at - begin)
            if head is None and len(data) - (at - begin) >= FRAME_HEAD_BYTES:
                raise damaged(segment.name, at, "it is no frame")
            if head is None or head.bytes > len(data) - (at - begin):
                if found:
                    break
                # The first one that is wanted is longer than what was read, or begins behind it.
                size = FRAME_HEAD_BYTES if head is None else head.bytes
                begin, data = at, self._read(segment, at, max(size, most_bytes), end)
                if head is not None and len(data) < head.bytes:
                    raise damaged(segment.name, at, "its length is wrong")
                continue
            if head.end_place > place:
                if not is_whole(data, at - begin, head, self._salt):
                    raise damaged(segment.name, at, "its checksum is wrong")
                found.append(frame_at(data, at - begin, head))
            at += head.bytes
        return found

    def _read(self, segment: Segment, at: int, size: int, end: int) -> bytes:
        data = self._files.read(segment.name, at, min(size, end - at))
        if len(data) < min(size, end - at):
            raise damaged(segment.name, at + len(data), "the file ends there")
        return data


def name_of(first_place: int, turn: int) -> str:
    """Give the name of a segment. Of two with the same place the one of the later turn holds."""
    return f"{first_place:016x}-{turn:08x}.scans"


def damaged(name: str, at: int, why: str) -> Diverged:
    """Make the error for a segment that is not what was written."""
    return Diverged(
        f"The spool's file {name} is damaged at byte {at}: {why}. Scans that were spooled cannot "
        f"be read. Nothing has been changed; keep the folder, and go on with another one.",
        reason="SPOOL_DAMAGED",
        metadata={"file": name, "byte": str(at)},
    )
