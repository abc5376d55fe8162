"""The file calls of a spool: few, by name, in one folder, so that a simulation can replace them.

What `append` has written survives a crash of the process at once, and a power cut when `sync` has
returned; names (made, renamed, removed) survive a power cut when `sync_names` has returned.
"""

from __future__ import annotations

import fcntl
import os
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, Protocol

from ledger.errors import NotPossibleNow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

LOCK: Final = "LOCK"
"""The file that a process holds while it uses the folder."""


class Files(Protocol):
    """The files of one folder. Every method may raise OSError.

    One thread at a time changes something; reading goes on beside it.
    """

    def names(self) -> Sequence[str]:
        """Give the names of all files, in any order."""

    def size(self, name: str) -> int:
        """Give the length of a file in bytes; 0 where it is not there."""

    def read(self, name: str, offset: int, size: int) -> bytes:
        """Read up to `size` bytes; fewer where the file ends."""

    def append(self, name: str, data: bytes) -> None:
        """Write behind the end of a file, which is made where it is not there. After an error any
        part of the data may stand there.
        """

    def sync(self, name: str) -> None:
        """Make what stands in a file outlive a power cut. After an error nobody knows what does."""

    def cut(self, name: str, size: int) -> None:
        """Make a file shorter."""

    def rename(self, old: str, new: str) -> None:
        """Give a file another name; one that has it is gone."""

    def remove(self, name: str) -> None:
        """Remove a file."""

    def sync_names(self) -> None:
        """Make the names of the folder outlive a power cut."""


class DiskFiles:
    """The files of a folder on a real disk. Descriptors stay open: a spool has some dozen files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptors: dict[str, int] = {}
        self._changing = threading.Lock()  # Of descriptors: one that is read is not closed.

    def names(self) -> Sequence[str]:
        """As in Files."""
        return [name for name in os.listdir(self._folder) if name != LOCK]

    def size(self, name: str) -> int:
        """As in Files."""
        try:
            return os.stat(self._folder / name).st_size
        except FileNotFoundError:
            return 0

    def read(self, name: str, offset: int, size: int) -> bytes:
        """As in Files."""
        with self._changing:
            return os.pread(self._open(name), size, offset)

    def append(self, name: str, data: bytes) -> None:
        """As in Files."""
        with self._changing:
            descriptor = self._open(name, os.O_CREAT)
        left = memoryview(data)
        while left:
            left = left[os.write(descriptor, left) :]

    def sync(self, name: str) -> None:
        """As in Files."""
        with self._changing:
            descriptor = self._open(name)
        os.fdatasync(descriptor)

    def cut(self, name: str, size: int) -> None:
        """As in Files."""
        with self._changing:
            os.ftruncate(self._open(name), size)

    def rename(self, old: str, new: str) -> None:
        """As in Files."""
        with self._changing:
            self._close(old)
            self._close(new)
            os.rename(self._folder / old, self._folder / new)

    def remove(self, name: str) -> None:
        """As in Files."""
        with self._changing:
            self._close(name)
            os.unlink(self._folder / name)

    def sync_names(self) -> None:
        """As in Files."""
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Close all descriptors."""
        with self._changing:
            for name in list(self._descriptors):
                self._close(name)

    def _open(self, name: str, flags: int = 0) -> int:
        descriptor = self._descriptors.get(name)
        if descriptor is None:
            how = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | flags
            descriptor = os.open(self._folder / name, how, 0o600)
            self._descriptors[name] = descriptor
        return descriptor

    def _close(self, name: str) -> None:
        descriptor = self._descriptors.pop(name, None)
        if descriptor is not None:
            os.close(descriptor)


@contextmanager
def disk_files(folder: Path) -> Iterator[DiskFiles]:
    """Hold a folder, made where it is not there. Raises NotPossibleNow where another process does,
    or the disk refuses.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise NotPossibleNow(
            f"The folder {folder} cannot be used: {error.strerror}.",
            reason="SPOOL_FOLDER_UNUSABLE",
            metadata={"path": str(folder)},
        ) from error
    files = DiskFiles(folder)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise NotPossibleNow(
                f"Another process uses the spool in {folder}. Stop it, or use another folder.",
                reason="SPOOL_IN_USE",
                metadata={"path": str(folder)},
            ) from error
        _sync_above(folder)
        yield files
    finally:
        files.close()
        os.close(lock)  # The file stays, or two processes could hold two of them.


def _sync_above(folder: Path) -> None:
    """Make the folder itself outlive a power cut; a disk that cannot do it says so later."""
    with suppress(OSError):
        descriptor = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
