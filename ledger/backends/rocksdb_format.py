"""What lies in the folder beside the database, and how it is made: `FORMAT`, and the high-water
file of each log.

`FORMAT` is written last: with it the folder is a ledger's. It names the logs whose files are there;
a folder that was made before a log was known gets that log, empty, when it is opened.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.backends.numbers_rocksdb import NUMBERS
from ledger.backends.rocksdb_high_water import HighWater
from ledger.errors import Diverged, Refused
from ledger.position import LOGS, SCANS_LOG

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

FORMAT_VERSION: Final = 1
"""Version of everything in the folder. Another one is refused. A further log is none: a program
that does not know it leaves it as it is.
"""

LOG_GENERATION: Final = 1

FORMAT: Final = "FORMAT"
"""Name of the file that makes a folder a ledger's."""

HIGH_WATERS: Final = (*LOGS, NUMBERS)
"""What has a high-water file: each log, and the number blocks, which `FORMAT` counts among them."""

DATABASE: Final = "database"
"""Name of RocksDB's folder."""

_NEW: Final = "FORMAT.new"
_HIGH_WATER: Final = "HIGHWATER"


class Format(NamedTuple):
    """What `FORMAT` says."""

    partitions: int
    logs: Sequence[str]
    """Also those of a later program."""


def read_format(path: Path, partitions: int) -> Format | None:
    """Read `FORMAT`; None where there is none. Raises Refused where it is of another version or
    number of partitions, Diverged where it cannot be read.
    """
    if not (path / FORMAT).exists():
        return None
    text = (path / FORMAT).read_text(encoding="utf-8")
    try:
        made = json.loads(text)
        version, made_with = int(made["format"]), int(made["partitions"])
        logs = [str(log) for log in made.get("logs", [SCANS_LOG])]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Diverged(
            f"The file {path / FORMAT} cannot be read. Restore it from a backup.",
            reason="FOLDER_FORMAT_UNREADABLE",
            metadata={"path": str(path)},
        ) from error
    if version != FORMAT_VERSION:
        raise Refused(
            f"The folder {path} has format {version}; this program reads format {FORMAT_VERSION}. "
            f"Use the program that made it.",
            reason="FOLDER_FORMAT_UNKNOWN",
            metadata={"path": str(path), "format": str(version)},
        )
    if made_with != partitions:
        raise Refused(
            f"The folder {path} was made with {made_with} partitions, not {partitions}. Set "
            f"partitions to {made_with}, or use another folder.",
            reason="FOLDER_OTHER_PARTITIONS",
            metadata={"path": str(path), "partitions": str(made_with)},
        )
    return Format(partitions, logs)


def make(path: Path, partitions: int, *, beside: str) -> Format:
    """Make the files of a new folder, in which nothing but `beside` lies."""
    ours = {beside, _NEW, *(high_water_path(path, log).name for log in HIGH_WATERS)}
    if {entry.name for entry in path.iterdir()} - ours:
        raise Refused(
            f"The folder {path} is not empty and has no file {FORMAT}, so it is not a ledger's. "
            f"Use another folder.",
            reason="FOLDER_NOT_A_LEDGER",
            metadata={"path": str(path)},
        )
    return add_logs(path, Format(partitions, []), HIGH_WATERS)


def add_logs(path: Path, made: Format, logs: Iterable[str]) -> Format:
    """Make the files of logs that the folder does not have yet."""
    missing = [log for log in logs if log not in made.logs]
    if not missing:
        return made
    for log in missing:
        HighWater.create(high_water_path(path, log), made.partitions)
    # If we crash here nothing names the new files: they are made again, and nothing was in them.
    made = Format(made.partitions, [*made.logs, *missing])
    content = {
        "format": FORMAT_VERSION,
        "partitions": made.partitions,
        "log_generation": LOG_GENERATION,
        "store_generation": 1,  # Of a new folder; which one serves is said in the database.
        "logs": made.logs,
    }
    with (path / _NEW).open("w", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    (path / _NEW).rename(path / FORMAT)
    sync_folder(path)
    return made


def load_high_water(path: Path, log: str, partitions: int) -> HighWater:
    """Open the high-water file of a log. Raises Diverged where it is missing or damaged."""
    return HighWater.load(high_water_path(path, log), partitions)


def sync_folder(path: Path) -> None:
    """Put down which files are in a folder."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def high_water_path(path: Path, log: str) -> Path:
    """Give where the high-water file of a log is."""
    # That of `scans`, which also names the last progress entry, is older than the other logs.
    return path / (_HIGH_WATER if log == SCANS_LOG else f"{_HIGH_WATER}-{log}")
