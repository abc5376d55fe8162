"""The high-water file: what has been acknowledged, beside the database, so that a loss is noticed.

It names, per partition, the next index and the hash of the record before it, and the last entry of
the progress history. It is overwritten after each sync and before anyone is told. It is a lower
bound: of three slots with checksums one is always whole on disk, so a torn one only says less.
"""

from __future__ import annotations

import hashlib
import os
import struct
import threading
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
_SLOTS: Final = 3
_PAGE_BYTES: Final = 4096  # What a kernel writes out at once: no two slots share one.


class Acknowledged(NamedTuple):
    """The last thing of a sequence that was acknowledged."""

    next: int
    """One more than its index (of a record), or its number (of a progress entry); 0 is none."""
    hash: bytes
    """SHA-256 of its bytes."""


class HighWater:
    """The open file. One thread writes, another one syncs.

    Between two syncs only one slot is written, again and again. A sync freezes it and lets writes
    go on in a slot that is neither frozen nor the one synced before; so whatever a power cut leaves
    of the pages in between, the slot that was synced last is whole.
    """

    def __init__(self, descriptor: int, image: bytearray, slot: int) -> None:
        """For `create` and `load`: `slot` is the one that `image` was read from."""
        self._descriptor = descriptor
        self._image = image
        self._turn = _turn_of(image)
        self._synced_turn = self._turn
        self._synced_slot = slot
        self._slot = (slot + 1) % _SLOTS
        self._placing = threading.Lock()

    @classmethod
    def create(cls, path: Path, partitions: int) -> None:
        """Write and sync a file that says that nothing was acknowledged."""
        image = bytearray(_image_bytes(partitions))
        _HEAD.pack_into(image, 0, _MAGIC, 0, 0, _NO_HASH, partitions)
        _seal(image)
        with path.open("wb") as file:
            file.write(image.ljust(_slot_bytes(len(image)), b"\0") * _SLOTS)
            file.flush()
            os.fsync(file.fileno())

    @classmethod
    def load(cls, path: Path, partitions: int) -> Self:
        """Open the file. Raises Diverged where no slot can be read."""
        size = _image_bytes(partitions)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise _unreadable(path, "is missing") from error
        images = [
            bytearray(os.pread(descriptor, size, slot * _slot_bytes(size)))
            for slot in range(_SLOTS)
        ]
        whole = [slot for slot in range(_SLOTS) if _is_whole(images[slot], size, partitions)]
        if not whole:
            os.close(descriptor)
            raise _unreadable(path, "is damaged")
        # Synced again: what was read may be in the page cache alone.
        os.fdatasync(descriptor)
        newest = max(whole, key=lambda slot: _turn_of(images[slot]))
        return cls(descriptor, images[newest], newest)

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
        """Put down what was noted. It then survives a crash of this process."""
        size = len(self._image)
        with self._placing:
            self._turn += 1
            struct.pack_into("<Q", self._image, 8, self._turn)
            _seal(self._image)
            written = os.pwrite(self._descriptor, self._image, self._slot * _slot_bytes(size))
        if written != size:
            raise OSError(f"only {written} of {size} bytes of the high-water file were written")

    def copy(self) -> bytes:
        """Give a whole file that says the same."""
        image = bytearray(self._image)
        _seal(image)
        return bytes(image.ljust(_slot_bytes(len(image)), b"\0") * _SLOTS)

    def sync(self) -> bool:
        """Sync what was written since the last call, from any one thread; False: there was nothing.

        A power cut before it only makes the bound lower.
        """
        with self._placing:
            turn, frozen = self._turn, self._slot
            if turn == self._synced_turn:
                return False
            self._slot = _SLOTS - frozen - self._synced_slot  # The third of 0, 1 and 2.
        os.fdatasync(self._descriptor)
        # If we crash before this line the slot that was synced before has not been touched.
        self._synced_slot, self._synced_turn = frozen, turn
        return True

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def hash_of(value: bytes) -> bytes:
    """Give the hash that the file names for a record or an entry."""
    return hashlib.sha256(value).digest()


def _image_bytes(partitions: int) -> int:
    return _offset(partitions) + _CHECKSUM.size


def _slot_bytes(image_bytes: int) -> int:
    """Give the size of a slot: whole pages."""
    return -(-image_bytes // _PAGE_BYTES) * _PAGE_BYTES


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
