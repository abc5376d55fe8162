"""A backup of the embedded engine's folder while it is in use.

The high-water files are read first, then RocksDB makes a checkpoint of all that was written: files
that never change, under second names. So the copy holds all that its high-water files name, as a
folder that is opened must. The checkpoint is copied, and the manifest comes last.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from typing import TYPE_CHECKING, Final, TypeVar

from ledger.backends.rocksdb_format import DATABASE, FORMAT, high_water_path, sync_folder
from ledger.backends.rocksdb_manifest import FILES, BackedUpFile, Manifest, write_manifest
from ledger.errors import NotPossibleNow
from ledger.position import SCANS_LOG
from ledger.v1.backup_pb2 import BackedUpPartition, Backup

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ledger.backends.rocksdb_engine import Engine
    from ledger.upkeep import Told

T = TypeVar("T")

CHECKPOINT: Final = "checkpoint"
"""Folder of the checkpoint, beside the database: only there files can have second names."""

COPY_BYTES: Final = 8 << 20
"""Bytes that are copied at once, in a thread: some 30 ms, after which a backup can be cancelled."""


class FolderBackups:
    """A `Backups`. One backup is made at a time."""

    def __init__(self, path: Path, engine: Engine, *, partitions: int) -> None:
        """`path` is the folder that is open."""
        self._path = path
        self._engine = engine
        self._partitions = partitions
        self._making = asyncio.Lock()

    async def back_up(self, folder: Path, told: Told) -> Backup:
        """Make a backup."""
        async with self._making:
            try:
                made = self._begin(folder)
            except OSError as error:
                raise _unusable(folder, error) from error
            try:
                manifest = await self._make(folder, told)
            except BaseException as error:
                await _in_thread(lambda: self._undo(folder, made=made))
                if isinstance(error, OSError):
                    raise _unusable(folder, error) from error
                raise
        return Backup(
            folder=str(folder),
            files=len(manifest.files),
            bytes=manifest.bytes,
            partitions=[
                BackedUpPartition(partition=partition, next_index=next_index)
                for partition, next_index in enumerate(manifest.covers[SCANS_LOG])
            ],
        )

    def _begin(self, folder: Path) -> bool:
        """Make the folder; say whether it was not there before."""
        if not folder.is_absolute() or folder.resolve().is_relative_to(self._path.resolve()):
            raise _refused(folder, "it is named by an absolute path, outside of the ledger's own")
        is_new = not folder.exists()
        if not is_new and (not folder.is_dir() or any(folder.iterdir())):
            raise _refused(folder, "it is not an empty folder, and nothing is written over")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILES / DATABASE).mkdir(parents=True)
        return is_new

    async def _make(self, folder: Path, told: Told) -> Manifest:
        self._engine.check()
        # In this order: what the high-water files name is on disk, and so in the checkpoint.
        high_waters = {log: one.copy() for log, one in self._engine.high_waters.items()}
        covers = {
            log: [one.record(partition).next for partition in range(self._partitions)]
            for log, one in self._engine.high_waters.items()
        }
        checkpoint = self._path / CHECKPOINT
        await _in_thread(lambda: discard_checkpoint(self._path))
        await _in_thread(lambda: self._engine.make_checkpoint(checkpoint))
        self._engine.on_step("backup: after the checkpoint")
        sources = sorted(checkpoint.iterdir())
        told.total(sum(source.stat().st_size for source in sources))
        copying = _Copying(folder / FILES, told)
        for source in sources:
            await copying.copy(source, f"{DATABASE}/{source.name}")
        self._engine.on_step("backup: after the database")
        for log, content in high_waters.items():
            await copying.write(content, high_water_path(self._path, log).name)
        await copying.write((self._path / FORMAT).read_bytes(), FORMAT)
        for each in (folder / FILES / DATABASE, folder / FILES, folder, folder.parent):
            sync_folder(each)
        # Left behind by a crash it is removed when the folder is opened next.
        await _in_thread(lambda: discard_checkpoint(self._path))
        self._engine.on_step("backup: before the manifest")
        # Nothing is waited for from here on: who is told of a cancellation finds no backup.
        manifest = Manifest(self._partitions, covers, copying.files)
        write_manifest(folder, manifest)
        self._engine.on_step("backup: after the manifest")
        return manifest

    def _undo(self, folder: Path, *, made: bool) -> None:
        """Leave nothing behind."""
        _remove(folder, made=made)
        discard_checkpoint(self._path)


class _Copying:
    """Copies files into a folder, and remembers what they are. Each is on disk when it is done."""

    def __init__(self, to: Path, told: Told) -> None:
        self.files: list[BackedUpFile] = []
        self._to = to
        self._told = told
        self._done = 0

    async def copy(self, source: Path, path: str) -> None:
        """Copy a file bit by bit."""
        digest, size = hashlib.sha256(), 0
        with source.open("rb") as read, (self._to / path).open("wb") as written:

            def copy_some() -> int:
                some = read.read(COPY_BYTES)
                digest.update(some)
                written.write(some)
                return len(some)

            def sync() -> None:
                written.flush()
                os.fsync(written.fileno())

            while count := await _in_thread(copy_some):
                size += count
                self._done += count
                self._told.done(self._done, f"copies {path}")
            await _in_thread(sync)
        self.files.append(BackedUpFile(path, size, digest.hexdigest()))

    async def write(self, content: bytes, path: str) -> None:
        """Write a small file."""

        def write_and_sync() -> None:
            with (self._to / path).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())

        await _in_thread(write_and_sync)
        digest = hashlib.sha256(content).hexdigest()
        self.files.append(BackedUpFile(path, len(content), digest))


def discard_checkpoint(path: Path) -> None:
    """Remove what a backup that was cut short left in the ledger's folder."""
    shutil.rmtree(path / CHECKPOINT, ignore_errors=True)


async def _in_thread(call: Callable[[], T]) -> T:
    """Call in a thread. Who is cancelled waits until it is over: it is undone behind it."""
    running = asyncio.ensure_future(asyncio.to_thread(call))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


def _remove(folder: Path, *, made: bool) -> None:
    """Remove what was begun, and the folder itself where it was made."""
    for entry in folder.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    if made:
        folder.rmdir()


def _refused(folder: Path, why: str) -> NotPossibleNow:
    return NotPossibleNow(
        f"No backup is made in {folder}: {why}. Name another folder.",
        reason="BACKUP_FOLDER_REFUSED",
        field="folder",
        metadata={"path": str(folder)},
    )


def _unusable(folder: Path, error: OSError) -> NotPossibleNow:
    return NotPossibleNow(
        f"The backup in {folder} cannot be made: {error.strerror}.",
        reason="BACKUP_FOLDER_UNUSABLE",
        metadata={"path": str(folder)},
    )
