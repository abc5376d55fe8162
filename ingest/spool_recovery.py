"""What a spool finds when it is opened: its id, its segments, and whether all that was spooled is
there.

A torn end was never acknowledged and is passed over. Whatever else is missing or altered is refused
by name, before anything is changed.
"""

from __future__ import annotations

import json
import zlib
from itertools import zip_longest
from typing import TYPE_CHECKING, Final, NamedTuple

from ingest.spool_frames import (
    SEGMENT_HEAD_BYTES,
    heads_of,
    is_segment,
    whole_frame_behind,
)
from ingest.spool_notes import Notes
from ingest.spool_segments import UNFINISHED, Segment, Segments, damaged, name_of
from ledger.errors import Diverged, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ingest.spool_files import Files

IDENTITY: Final = "SPOOL"
"""The file that says what the folder is; made first, and never changed."""

FORMAT_VERSION: Final = 2
"""Version of everything in the folder. Another one is refused. 1 had no checksum of the identity.
"""

ID_BYTES: Final = 16
"""Length of a spool id."""

_NEW: Final = "SPOOL.new"
_SUFFIX: Final = ".scans"


class Recovered(NamedTuple):
    """What was found."""

    spool_id: bytes
    salt: int
    segments: Segments
    notes: Notes


class _Place(NamedTuple):
    """A segment's file, by its name."""

    first_place: int
    turn: int


def recover(
    files: Files, *, source_id: str, segment_bytes: int, random_bytes: Callable[[int], bytes]
) -> Recovered:
    """Open what is there, or make a new spool. Raises OSError, Diverged or Refused."""
    names = _segment_names(files)
    spool_id = _identity(files, source_id, has_scans=bool(names), random_bytes=random_bytes)
    salt = int.from_bytes(spool_id[:4], "big")
    notes = Notes(files, salt)
    turn = max((place.turn for place in names), default=0)
    segments = Segments(files, salt, segment_bytes=segment_bytes, turn=turn)
    stale = []
    for place, after in zip_longest(names, names[1:]):
        segment = _read_segment(files, place, after, notes, salt)
        if segment is None:
            stale.append(name_of(*place))
        else:
            segments.all.append(segment)
    if _says_nothing(segments.all):
        stale.append(segments.all.pop().name)
    _check_gaps(segments, notes)
    for name in files.names():
        if name.endswith(_SUFFIX + UNFINISHED):
            files.remove(name)
    if names:
        files.sync_names()
        _write_anew(files, segments, notes, salt)
    for name in stale:
        files.remove(name)
    notes.synced_end = segments.next_place
    notes.rewrite(notes.snapshot())
    return Recovered(spool_id, salt, segments, notes)


def _identity(
    files: Files, source_id: str, *, has_scans: bool, random_bytes: Callable[[int], bytes]
) -> bytes:
    """Read the spool's id, or mint it."""
    names = files.names()
    if IDENTITY not in names:
        if has_scans:
            raise Diverged(
                f"The spool's file {IDENTITY} is missing, and there are scans. Keep the folder, "
                f"and go on with another one.",
                reason="SPOOL_DAMAGED",
                metadata={"file": IDENTITY},
            )
        if _NEW in names:
            files.remove(_NEW)
        spool_id = random_bytes(ID_BYTES)
        made = {"format": FORMAT_VERSION, "spool_id": spool_id.hex(), "source_id": source_id}
        made["crc32"] = _checksum_of(spool_id, source_id)
        files.append(_NEW, json.dumps(made).encode() + b"\n")
        files.sync(_NEW)
        # If we crash here the next start mints another id; no scan has had this one.
        files.rename(_NEW, IDENTITY)
        files.sync_names()
        return spool_id
    try:
        found = json.loads(files.read(IDENTITY, 0, files.size(IDENTITY)))
        version, spool_id = int(found["format"]), bytes.fromhex(found["spool_id"])
        made_for, checksum = str(found["source_id"]), found.get("crc32")
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(IDENTITY, 0, "it cannot be read") from error
    if version != FORMAT_VERSION or len(spool_id) != ID_BYTES:
        raise Refused(
            f"The spool has format {version}; this program reads format {FORMAT_VERSION}. Use the "
            f"program that made it.",
            reason="SPOOL_FORMAT_UNKNOWN",
            metadata={"format": str(version)},
        )
    # All checksums in the folder depend on the id: with another one nothing would be whole, as if
    # nothing had ever been written.
    if checksum != _checksum_of(spool_id, made_for):
        raise damaged(IDENTITY, 0, "its checksum is wrong")
    if made_for != source_id:
        raise Refused(
            f"The spool has the scans of `{made_for}`, not of `{source_id}`. Use another folder.",
            reason="SPOOL_OF_ANOTHER_SOURCE",
            metadata={"source_id": made_for},
        )
    return spool_id


def _checksum_of(spool_id: bytes, source_id: str) -> int:
    return zlib.crc32(spool_id + source_id.encode())


def _segment_names(files: Files) -> Sequence[_Place]:
    """Give the segments that are there, in the order of their places, older turns first."""
    found = []
    for name in files.names():
        first, _, turn = name.removesuffix(_SUFFIX).partition("-")
        if name.endswith(_SUFFIX):
            try:
                found.append(_Place(int(first, 16), int(turn, 16)))
            except ValueError as error:
                raise damaged(name, 0, "its name is none of a segment") from error
    return sorted(found)


def _read_segment(
    files: Files, place: _Place, after: _Place | None, notes: Notes, salt: int
) -> Segment | None:
    """Check a segment; None where nothing in it counts. `after` is the one behind it."""
    name = name_of(*place)
    if after is not None and after.first_place == place.first_place:
        return None  # Nothing was synced in it before that was begun.
    data = files.read(name, 0, files.size(name))
    segment = Segment(name, place.first_place)
    if not is_segment(data, place.first_place, salt):
        if after is None and len(data) <= SEGMENT_HEAD_BYTES:
            return None  # A crash came while it was made. What should be there is checked later.
        raise damaged(name, 0, "its head is not what was written")
    at = SEGMENT_HEAD_BYTES
    for at, head in heads_of(data, place.first_place, salt):
        if after is not None and head.end_place > after.first_place:
            break
        segment.add(at, head)
    if after is None:
        if behind := whole_frame_behind(data, segment.size, salt):
            raise damaged(name, segment.size, f"there are whole frames from {behind.first_place}")
    elif segment.end_place < after.first_place and not _is_removed(segment, after, notes):
        raise damaged(name, segment.size, f"{after.first_place} should follow")
    return segment


def _says_nothing(segments: Sequence[Segment]) -> bool:
    """Tell whether the newest segment is empty, and the one before says itself how far it goes.

    A crash came while the empty one was made, and it may be in the page cache alone. Were it taken
    for the newest, the one before could be removed, and after a power cut both would be gone.
    """
    if len(segments) < 2:
        return False
    before, newest = segments[-2:]
    return before.end_place == newest.first_place == newest.end_place


def _is_removed(segment: Segment, after: _Place, notes: Notes) -> bool:
    """Tell whether all that is missing before the next segment was settled."""
    return notes.settled.covers(segment.end_place, after.first_place)


def _write_anew(files: Files, segments: Segments, notes: Notes, salt: int) -> None:
    """Write the last scans once more, where nothing says that they were synced: they may be in the
    page cache alone, where a sync that failed has left them, and no later sync would write them.
    """
    if not segments.all or segments.next_place <= notes.synced_end:
        return
    last = segments.all[-1]
    data = files.read(last.name, 0, last.size)
    sure = Segment(last.name, last.first_place)
    unsure = []
    for at, head in heads_of(data, last.first_place, salt):
        if head.end_place <= notes.synced_end:
            sure.add(at, head)
        elif head.end_place <= last.end_place:
            unsure.append((head, data[at : at + head.bytes]))
    segments.write_anew(sure, unsure)


def _check_gaps(segments: Segments, notes: Notes) -> None:
    """Raise Diverged where scans are missing that were spooled and are not settled."""
    ends = [(one.first_place, one.end_place) for one in segments.all]
    place = 1
    for first, end in [*ends, (max(notes.synced_end, segments.next_place), 0)]:
        for missing, over in notes.settled.missing(place, first):
            before = max(
                (one.name for one in segments.all if one.first_place <= missing), default=""
            )
            cut = f"{before} is damaged or cut short" if before else "a file was cut short"
            raise Diverged(
                f"Scans {missing} to {over - 1} of the spool are missing: {cut}, or a file was "
                f"removed. Nothing has been changed; keep the folder, and go on with another one.",
                reason="SPOOL_DAMAGED",
                metadata={"first": str(missing), "last": str(over - 1), "file": before},
            )
        place = end
    if segments.next_place < notes.synced_end:
        # All that is missing is settled; but what was given once is not given again.
        raise Diverged(
            f"The spool ends before {segments.next_place}, and had {notes.synced_end - 1} scans. "
            f"Nothing has been changed; keep the folder, and go on with another one.",
            reason="SPOOL_DAMAGED",
            metadata={"last": str(notes.synced_end - 1)},
        )
