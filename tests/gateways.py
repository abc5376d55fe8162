"""A gateway in this process: its door on a free port, its spool, and its way to a ledger."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

import grpc

from ingest.forwarder import Forwarder
from ingest.minted import Minted
from ingest.scanner import CHANNEL_OPTIONS
from ingest.scanner_settings import ScannerSettings
from ingest.spool_log import SpooledRefusals, SpoolLog, read_spooled
from ingest.spool_opening import open_spool
from tests.ingest_server import Served, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from ingest.spool import Spool
    from ingest.spool_limits import SpoolLimits

FAST = ScannerSettings(backoff_first_s=0.01, backoff_max_s=0.05, linger_s=0.0)
PATIENCE_S = 20.0


class Gateway(NamedTuple):
    """What runs."""

    served: Served
    spool: Spool
    forwarder: Forwarder

    @property
    def address(self) -> str:
        """Where it takes scans."""
        return self.served.address

    async def forwarded(self) -> None:
        """Wait until the ledger has all that it will take."""
        async with asyncio.timeout(PATIENCE_S):
            while self.spool.unsettled:  # noqa: ASYNC110 - nothing tells.
                await asyncio.sleep(0.01)


@asynccontextmanager
async def gateway(
    folder: Path,
    ledger: str,
    *,
    limits: SpoolLimits | None = None,
    settings: ScannerSettings = FAST,
) -> AsyncIterator[Gateway]:
    """Run one until the end of the block; it is cut off then, but for its spool."""
    minted = Minted(monotonic=time.monotonic)
    async with (
        open_spool(folder / "gateway", limits=limits) as spool,
        serving(SpoolLog(spool), refusals=SpooledRefusals(spool), minted=minted) as served,
        grpc.aio.insecure_channel(ledger, options=CHANNEL_OPTIONS) as channel,
    ):
        forwarder = Forwarder(
            channel,
            spool,
            read=read_spooled,
            progress=lambda: minted.progress(served.service.speaking),
            minted_through=minted.through,
            client="test",
            version="1",
            settings=settings,
        )
        running = asyncio.create_task(forwarder.run())
        try:
            yield Gateway(served, spool, forwarder)
        finally:
            running.cancel()
            await asyncio.wait([running])
        if not running.cancelled():
            running.result()
