"""Opening a spool, in a folder or on any files, and closing it."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ingest.spool import Spool
from ingest.spool_files import disk_files
from ingest.spool_limits import SpoolLimits
from ingest.spool_recovery import recover
from ledger.errors import NotPossibleNow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from ingest.spool import Worker
    from ingest.spool_files import Files


@asynccontextmanager
async def open_spool(
    folder: Path,
    *,
    source_id: str = "",
    limits: SpoolLimits | None = None,
    now_ns: Callable[[], int] = time.time_ns,
    random_bytes: Callable[[int], bytes] = os.urandom,
) -> AsyncIterator[Spool]:
    """Open the spool in a folder, or make one; close it on leaving. `source_id` is whose scans it
    has; empty is those of many.

    Raises NotPossibleNow where another process has it or the disk refuses, Diverged where something
    that was spooled is gone or altered, and Refused where the folder is of another format, or of
    another source.
    """
    with disk_files(folder) as files:
        async with spool_on(
            files, source_id=source_id, limits=limits, now_ns=now_ns, random_bytes=random_bytes
        ) as spool:
            yield spool


@asynccontextmanager
async def spool_on(
    files: Files,
    *,
    source_id: str = "",
    limits: SpoolLimits | None = None,
    now_ns: Callable[[], int],
    random_bytes: Callable[[int], bytes],
    worker: Worker = asyncio.to_thread,
) -> AsyncIterator[Spool]:
    """Open the spool on any files; as `open_spool`. `worker` runs what blocks."""
    limits = limits or SpoolLimits()

    def begin() -> Spool:
        found = recover(
            files,
            source_id=source_id,
            segment_bytes=limits.segment_bytes,
            random_bytes=random_bytes,
        )
        return Spool(files, found, limits=limits, now_ns=now_ns, worker=worker)

    try:
        spool: Spool = await worker(begin)
    except OSError as error:
        raise NotPossibleNow(
            f"The spool cannot be opened: {error.strerror}.", reason="SPOOL_DISK"
        ) from error
    running = asyncio.create_task(spool.run(), name="spool")
    try:
        yield spool
    finally:
        spool.close()
        await asyncio.wait([running])
        if not running.cancelled():
            running.result()
