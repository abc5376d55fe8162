"""A spool's notes: which places are settled, and up to which place everything was synced.

A note that is lost costs a scan that is sent once more, which changes nothing; so notes are
synced only before a segment is removed, since then they alone say why its places are missing.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final

from ingest.spool_ranges import Ranges

if TYPE_CHECKING:
    from ingest.spool_files import Files

NOTES: Final = "notes"
"""The file."""

_NEW: Final = "notes.new"

REWRITE_BYTES: Final = 256 << 10
"""Length of the file at which it is written anew: some 12,000 notes, minutes of work."""

_NOTE: Final = struct.Struct("<BQQ")  # kind, first, end
_CHECKSUM: Final = struct.Struct("<I")
_NOTE_BYTES: Final = _NOTE.size + _CHECKSUM.size
_SETTLED: Final = 1
_SYNCED: Final = 2


class Notes:
    """The notes of one spool. What is noted lies in memory until `write`.

    Attributes:
        settled: the places that are durable in the ledger, or refused.
        synced_end: the place behind the last one that is known to be synced here.
        is_damaged: whether a part of the file could not be read.
    """

    def __init__(self, files: Files, salt: int) -> None:
        """Read the file, where there is one. Raises OSError."""
        self.settled = Ranges()
        self.synced_end = 0
        self._files = files
        self._salt = salt
        self._pending = bytearray()
        self._size = files.size(NOTES)
        self._must_rewrite = False
        data = files.read(NOTES, 0, self._size) if self._size else b""
        at = 0
        while at < len(data) and self._read(data[at : at + _NOTE_BYTES]):
            at += _NOTE_BYTES
        self.is_damaged = at + _NOTE_BYTES <= len(data)

    @property
    def are_pending(self) -> bool:
        """Whether something is noted and not written."""
        return bool(self._pending)

    def settle(self, first: int, end: int) -> int:
        """Note that places are settled; return how many were not before."""
        fresh = self.settled.add(first, end)
        if fresh:
            self._pending += self._note(_SETTLED, first, end)
        return fresh

    def note_synced(self, end: int) -> None:
        """Note that everything before a place is synced."""
        self.synced_end = end
        self._pending += self._note(_SYNCED, 0, end)

    def take(self) -> bytes:
        """Take what is to be written, for `write`."""
        pending = bytes(self._pending)
        self._pending.clear()
        return pending

    def snapshot(self) -> bytes:
        """Say everything anew, for `rewrite`."""
        notes = [self._note(_SETTLED, first, end) for first, end in self.settled]
        return b"".join([self._note(_SYNCED, 0, self.synced_end), *notes])

    @property
    def is_long(self) -> bool:
        """Whether the file is to be written anew: it is long, or ends in the middle of a note."""
        return self._must_rewrite or self._size >= REWRITE_BYTES

    def write(self, notes: bytes, *, sync: bool = False) -> None:
        """Write notes behind those that are there. Raises OSError: then `is_long` is true."""
        try:
            if notes:
                self._files.append(NOTES, notes)
                self._size += len(notes)
            if sync:
                self._files.sync(NOTES)
        except OSError:
            self._must_rewrite = True
            raise

    def rewrite(self, snapshot: bytes) -> None:
        """Replace the file. Raises OSError."""
        self._must_rewrite = True
        if _NEW in self._files.names():
            self._files.remove(_NEW)
        self._files.append(_NEW, snapshot)
        self._files.sync(_NEW)
        # If we crash here the old notes are there, and say less or the same.
        self._files.rename(_NEW, NOTES)
        self._files.sync_names()
        self._size = len(snapshot)
        self._must_rewrite = False

    def _note(self, kind: int, first: int, end: int) -> bytes:
        plain = _NOTE.pack(kind, first, end)
        return plain + _CHECKSUM.pack(zlib.crc32(plain, self._salt))

    def _read(self, note: bytes) -> bool:
        if len(note) < _NOTE_BYTES:
            return False
        kind, first, end = _NOTE.unpack_from(note)
        if note != self._note(kind, first, end):
            return False
        if kind == _SETTLED:
            self.settled.add(first, end)
        else:
            self.synced_end = max(self.synced_end, end)
        return True
