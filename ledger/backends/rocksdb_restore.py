"""Makes a folder of the embedded engine from a backup. No process uses either of them.

Every file is compared with the manifest while it is copied. `FORMAT` comes last, so that a folder
that was not finished is no ledger's; then it is opened once, with all checks of the engine.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from typing import TYPE_CHECKING, Final

from ledger.backends.rocksdb_folder import open_folder
from ledger.backends.rocksdb_format import DATABASE, FORMAT, sync_folder
from ledger.backends.rocksdb_manifest import FILES, read_manifest
from ledger.errors import Diverged, LedgerError, NotPossibleNow

if TYPE_CHECKING:
    from pathlib import Path

    from ledger.backends.rocksdb_manifest import BackedUpFile, Manifest
    from ledger.upkeep import Told

COPY_BYTES: Final = 8 << 20
"""Bytes that are copied at once."""

NAMED_MAX: Final = 10
"""Most damaged files that an error names."""


async def restore_folder(backup: Path, path: Path, told: Told) -> Manifest:
    """Make the folder `path`, which is empty or does not exist, from a backup; say what that held.

    Raises NotPossibleNow where either is not as it has to be, Refused where the backup is of
    another version, Diverged where a file of it is missing or altered: all such files are named,
    and nothing is left in the folder.
    """
    manifest = read_manifest(backup)
    told.total(manifest.bytes)
    try:
        made = _begin(path)
        try:
            _copy_all(backup, path, manifest, told)
            await _check(path, manifest.partitions)
        except BaseException:
            _undo(path, made=made)
            raise
    except OSError as error:
        raise NotPossibleNow(
            f"The backup {backup} cannot be restored to {path}: {error.strerror}.",
            reason="FOLDER_UNUSABLE",
            metadata={"path": str(path)},
        ) from error
    return manifest


def _begin(path: Path) -> bool:
    """Make the folder; say whether it was not there before."""
    is_new = not path.exists()
    if not is_new and (not path.is_dir() or any(path.iterdir())):
        raise NotPossibleNow(
            f"The folder {path} is not empty, and nothing is written over. Name another one.",
            reason="FOLDER_NOT_EMPTY",
            metadata={"path": str(path)},
        )
    (path / DATABASE).mkdir(parents=True)
    return is_new


def _copy_all(backup: Path, path: Path, manifest: Manifest, told: Told) -> None:
    assert manifest.files[-1].path == FORMAT
    faults = []
    done = 0
    for file in manifest.files:
        if file is manifest.files[-1]:
            # If we crash before this one the folder is not a ledger's, and is refused.
            for folder in (path / DATABASE, path):
                sync_folder(folder)
        if fault := _copy(backup / FILES / file.path, path / file.path, file):
            faults.append(f"{FILES}/{file.path} {fault}")
        done += file.bytes
        told.done(done, f"copies {file.path}")
    if faults:
        more = f", and {len(faults) - NAMED_MAX} files more" if len(faults) > NAMED_MAX else ""
        raise Diverged(
            f"The backup {backup} is damaged: {', '.join(faults[:NAMED_MAX])}{more}. Nothing was "
            f"restored. Take another backup.",
            reason="BACKUP_DAMAGED",
            metadata={"path": str(backup), "files": str(len(faults))},
        )
    sync_folder(path)
    sync_folder(path.parent)


def _copy(source: Path, target: Path, file: BackedUpFile) -> str:
    """Copy a file to disk; say what is wrong with it, or nothing."""
    digest, size = hashlib.sha256(), 0
    try:
        read = source.open("rb")
    except FileNotFoundError:
        return "is missing"
    with read, target.open("wb") as written:
        while some := read.read(COPY_BYTES):
            digest.update(some)
            size += len(some)
            written.write(some)
        written.flush()
        os.fsync(written.fileno())
    if size != file.bytes:
        return f"has {size:,} bytes instead of {file.bytes:,}"
    return "" if digest.hexdigest() == file.sha256 else "has other bytes than were written"


async def _check(path: Path, partitions: int) -> None:
    failures: list[LedgerError] = []
    async with open_folder(path, partitions=partitions, on_fatal=failures.append):
        pass
    if failures:
        raise failures[0]


def _undo(path: Path, *, made: bool) -> None:
    for entry in path.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    if made:
        path.rmdir()
