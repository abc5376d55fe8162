"""What a backup's folder holds: the file `BACKUP`, which is written last, and the files it names.

`BACKUP` says the length and the SHA-256 of each file, and its own. Without it a folder is no
backup; the files lie in `files`, without the file `FORMAT` until all others are there, so that half
a backup can be opened by nobody.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from ledger.backends.rocksdb_format import sync_folder
from ledger.errors import Diverged, NotPossibleNow, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

MANIFEST_VERSION: Final = 1
"""Version of all that a backup is, but for the folder's own format."""

FILES: Final = "files"
"""Folder of the files in a backup."""

_MANIFEST: Final = "BACKUP"
_NEW: Final = "BACKUP.new"


@dataclass(frozen=True, slots=True)
class BackedUpFile:
    """One file."""

    path: str
    """Below `files`, and below the folder that it is restored to."""
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What `BACKUP` says."""

    partitions: int
    covers: Mapping[str, Sequence[int]]
    """By log: for each partition the index behind the last record that is in it for sure."""
    files: Sequence[BackedUpFile]
    """In the order in which they are written: the one that makes a folder a ledger's is last."""

    @property
    def bytes(self) -> int:
        """How many bytes the files have."""
        return sum(file.bytes for file in self.files)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Make a folder a backup, whose files are all on disk."""
    content = {"version": MANIFEST_VERSION, **asdict(manifest)}
    document = {"backup": content, "sha256": _digest(content)}
    with (folder / _NEW).open("w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    # If we crash here the folder has no `BACKUP`: it is none.
    (folder / _NEW).rename(folder / _MANIFEST)
    sync_folder(folder)


def read_manifest(folder: Path) -> Manifest:
    """Read what a backup holds. Raises NotPossibleNow where there is no whole backup, Refused where
    it is of another version, Diverged where `BACKUP` is damaged.
    """
    try:
        text = (folder / _MANIFEST).read_bytes()
    except OSError as error:
        raise NotPossibleNow(
            f"The folder {folder} is no whole backup: its file {_MANIFEST}, which is written last, "
            f"cannot be read: {error.strerror}.",
            reason="NO_WHOLE_BACKUP",
            metadata={"path": str(folder)},
        ) from error
    try:
        document = json.loads(text)
        content = document["backup"]
        if document["sha256"] != _digest(content):
            raise _damaged(folder)
        if content.pop("version") != MANIFEST_VERSION:
            raise Refused(
                f"The backup {folder} was made by another version of this program. Use that one.",
                reason="BACKUP_VERSION_UNKNOWN",
                metadata={"path": str(folder)},
            )
        files = [BackedUpFile(**file) for file in content.pop("files")]
        manifest = Manifest(files=files, **content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(folder) from error
    assert all(_is_below(file.path) for file in files)  # The digest says that they are ours.
    return manifest


def _digest(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _is_below(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and ".." not in parts and not path.startswith("/")


def _damaged(folder: Path) -> Diverged:
    return Diverged(
        f"The backup {folder} is damaged: its file {_MANIFEST} is not what was written. Nothing "
        f"was restored. Take another backup.",
        reason="BACKUP_DAMAGED",
        metadata={"path": str(folder), "files": _MANIFEST},
    )
