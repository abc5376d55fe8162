"""Ports of what looks after stored things: who is told how far it is, and who makes backups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from ledger.v1.backup_pb2 import Backup


class Told(Protocol):
    """Who is told how far some work is."""

    def total(self, total: int) -> None:
        """Say how much there is to do."""

    def done(self, count: int, message: str = "") -> None:
        """Say how much is done by now, and what is being done."""


class Backups(Protocol):
    """Makes backups of an engine that is in use."""

    async def back_up(self, folder: Path, told: Told) -> Backup:
        """Make a whole backup in a folder that is empty or does not exist; say what is in it.

        It holds everything that was acknowledged before the call, and nothing of it is in memory
        or in a cache alone when the call returns. Until then, whatever happens, the folder does
        not look like a backup, and where the call fails or is cancelled what was begun is removed.
        Raises NotPossibleNow where the folder is not fit, or the disk refuses; Diverged where a
        file of the engine cannot be read.
        """
