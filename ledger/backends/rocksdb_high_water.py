"""The high-water file: what has been acknowledged, beside the database, so that a loss is noticed.

It names, per partition, the next index and the hash of the record before it, and the last entry of
the progress history. It is overwritten after each sync and before anyone is told. It is a lower
bound: two slots with checksums take turns, and a torn or older one only says less.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from ledger.errors import Diverged

if TYPE_CHECKING:
    from pathlib import Path

_MAGIC: Final = b"PLHIGH01"
_HEAD: Final = struct.Struct("<8sQQ32sI")  # magic, turn, progress number and hash, partitions
_PARTITION: Final = struct.Struct("<Q32s")  # next index, hash of the record before it
_CHECKSUM: Final = struct.Struct("<I")
_NO_HASH: Final = bytes(32)


class Acknowledged(NamedTuple):
    """The last thing of a sequence that was acknowledged."""

    next: int
    """One more than its index (of a record), or its number (of a progress entry); 0 is none."""
    hash: bytes
    """SHA-256 of its bytes."""


class HighWater:
    """The open file. Used by one thread."""

    def __init__(self, descriptor: int, image: bytearray, turn: int) -> None:
        """For `create` and `load`."""
        self._descriptor = descriptor
        self._image = image
        self._turn = turn
        self._synced_turn = turn

    @classmethod
    def create(cls, path: Path, partitions: int) -> None:
        """Write and sync a file that says that nothing was acknowledged."""
        image = bytearray(_slot_bytes(partitions))
        _HEAD.pack_into(image, 0, _MAGIC, 0, 0, _NO_HASH, partitions)
        _seal(image)
        with path.open("wb") as file:
            file.write(image * 2)
            file.flush()
            os.fsync(file.fileno())

    @classmethod
    def load(cls, path: Path, partitions: int) -> Self:
        """Open the file. Raises Diverged where neither slot can be read."""
        size = _slot_bytes(partitions)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise _unreadable(path, "is missing") from error
        slots = [bytearray(os.pread(descriptor, size, at)) for at in (0, size)]
        whole = [slot for slot in slots if _is_whole(slot, size, partitions)]
        if not whole:
            os.close(descriptor)
            raise _unreadable(path, "is damaged")
        image = max(whole, key=_turn_of)
        return cls(descriptor, image, _turn_of(image))

    def record(self, partition: int) -> Acknowledged:
        """Say what was acknowledged last in a partition."""
        return Acknowledged(*_PARTITION.unpack_from(self._image, _offset(partition)))

    def progress(self) -> Acknowledged:
        """Say which entry of the progress history was decided last."""
        _, _, number, digest, _ = _HEAD.unpack_from(self._image)
        return Acknowledged(number, digest)

    def was_written(self) -> bool:
        """Say whether anything was ever acknowledged."""
        return self._turn > 0

    def set_record(self, partition: int, next_index: int, last_record: bytes) -> None:
        """Take note of a record; `write` puts it down."""
        digest = hashlib.sha256(last_record).digest()
        _PARTITION.pack_into(self._image, _offset(partition), next_index, digest)

    def set_progress(self, number: int, entry: bytes) -> None:
        """Take note of a progress entry; `write` puts it down."""
        digest = hashlib.sha256(entry).digest()
        struct.pack_into("<Q32s", self._image, 16, number, digest)

    def write(self) -> None:
        """Overwrite the older slot. It then survives a crash of this process."""
        self._turn += 1
        struct.pack_into("<Q", self._image, 8, self._turn)
        _seal(self._image)
        size = len(self._image)
        written = os.pwrite(self._descriptor, self._image, size * (self._turn % 2))
        if written != size:
            raise OSError(f"only {written} of {size} bytes of the high-water file were written")

    def sync(self) -> bool:
        """Sync what was written since the last call, from any thread; False: there was nothing.

        A power cut before it only makes the bound lower.
        """
        turn = self._turn
        if turn == self._synced_turn:
            return False
        os.fdatasync(self._descriptor)
        self._synced_turn = turn
        return True

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def hash_of(value: bytes) -> bytes:
    """Give the hash that the file names for a record or an entry."""
    return hashlib.sha256(value).digest()


def _slot_bytes(partitions: int) -> int:
    return _offset(partitions) + _CHECKSUM.size


def _offset(partition: int) -> int:
    return _HEAD.size + partition * _PARTITION.size


def _seal(image: bytearray) -> None:
    at = len(image) - _CHECKSUM.size
    _CHECKSUM.pack_into(image, at, zlib.crc32(memoryview(image)[:at]))


def _is_whole(image: bytearray, size: int, partitions: int) -> bool:
    if len(image) != size:
        return False
    magic, _, _, _, written_partitions = _HEAD.unpack_from(image)
    at = size - _CHECKSUM.size
    (checksum,) = _CHECKSUM.unpack_from(image, at)
    whole: bool = checksum == zlib.crc32(memoryview(image)[:at])
    return whole and magic == _MAGIC and written_partitions == partitions


def _turn_of(image: bytearray) -> int:
    (turn,) = struct.unpack_from("<Q", image, 8)
    assert isinstance(turn, int)
    return turn


def _unreadable(path: Path, what: str) -> Diverged:
    return Diverged(
        f"The high-water file {path} {what}, so it cannot be shown that no acknowledged scan is "
        f"missing. Nothing has been changed. Restore the whole folder from a backup.",
        reason="HIGH_WATER_UNREADABLE",
        metadata={"path": str(path)},
    )
