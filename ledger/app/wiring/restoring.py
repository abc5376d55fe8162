"""Restores a backup of the embedded engine, while no process uses it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ledger.backends.rocksdb_restore import restore_folder
from ledger.position import SCANS_LOG
from ledger.upkeep import Told


def restored(backup: Path, data: Path, told: Told) -> tuple[int, int]:
    """Restore a folder; give how many scans it holds for sure, and its number of partitions."""
    manifest = asyncio.run(restore_folder(backup, data, told))
    return sum(manifest.covers[SCANS_LOG]), manifest.partitions
