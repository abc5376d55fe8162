"""What the commands share that test a file of somebody's own."""

from __future__ import annotations

from pathlib import Path

from ledger.app.exits import CommandFailed


def file_to_check(file: Path, bytes_max: int) -> bytes:
    """Read a file, but no more than one byte beyond its limit: the check says that it is too long.

    Raises CommandFailed where it cannot be read.
    """
    try:
        with file.open("rb") as opened:
            return opened.read(bytes_max + 1)
    except OSError as error:
        raise CommandFailed(f"{file} cannot be read: {error.strerror}.") from None
