"""`gateway`: what a facility installs between its scanners and the ledger.

The door in, with a spool as its log; a watched folder; and the way on to the ledger. It is ready
while its spool takes scans, also when the ledger is away: that is what it is for.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Final

import grpc

from ingest.forwarder import Forwarder
from ingest.limits import GATEWAY_REFUSALS_PER_MINUTE_MAX, IngestLimits
from ingest.minted import Minted
from ingest.scanner import CHANNEL_OPTIONS
from ingest.service import SERVICE_NAMES, IngestService
from ingest.spool import Spool
from ingest.spool_limits import SpoolLimits
from ingest.spool_log import SpooledRefusals, SpoolLog, read_spooled
from ingest.spool_opening import open_spool
from ledger import metrics
from ledger.app.health import Health
from ledger.app.inbox import Inbox
from ledger.app.settings import Settings, invalid
from ledger.app.wiring.runner import Role, Running, Work, run_role
from ledger.errors import Busy

logger = logging.getLogger(__name__)

FIGURES_EVERY_S: Final = 1.0
"""How often the spool's metrics are taken."""


async def run_gateway(settings: Settings, *, on_up: Callable[[Running], None]) -> None:
    """Take scans and forward them until SIGTERM or SIGINT; `on_up` is told when it serves.

    Raises LedgerError where it cannot start or cannot go on.
    """
    if not settings.ledger:
        raise invalid("ledger", "Say where the ledger is: --ledger host:port.")
    if settings.watch_folder is not None and not settings.watch_folder.is_dir():
        raise invalid("watch_folder", f"`watch_folder` is {settings.watch_folder}: no folder.")
    await run_role(GATEWAY, settings, on_up=on_up)


def spool_folder(settings: Settings) -> Path:
    """Say where a gateway's spool is."""
    return settings.data / "gateway"


@asynccontextmanager
async def _open(settings: Settings, _: Health) -> AsyncIterator[Work]:
    limits = SpoolLimits(bytes_max=settings.spool_bytes_max, age_max_s=settings.spool_age_max_s)
    async with (
        open_spool(spool_folder(settings), limits=limits) as spool,
        grpc.aio.insecure_channel(settings.ledger, options=CHANNEL_OPTIONS) as channel,
    ):
        log, minted = SpoolLog(spool), Minted(monotonic=time.monotonic)
        ingest = IngestService(
            log,
            refusals=SpooledRefusals(spool),
            minted=minted,
            limits=IngestLimits(refusals_per_minute_max=GATEWAY_REFUSALS_PER_MINUTE_MAX),
            now_ns=time.time_ns,
            monotonic=time.monotonic,
            server_version=version("parcel-ledger"),
        )
        forwarder = Forwarder(
            channel,
            spool,
            read=read_spooled,
            progress=lambda: minted.progress(ingest.speaking),
            minted_through=minted.through,
            client="parcel-ledger-gateway",
            version=version("parcel-ledger"),
        )
        forwarded = asyncio.Event()

        async def forward() -> None:
            await forwarder.run()
            forwarded.set()

        async def drain(grace_s: float) -> None:
            try:
                async with asyncio.timeout(grace_s):
                    await ingest.drain(grace_s)
                    forwarder.end()
                    await forwarded.wait()
            except TimeoutError:
                pass  # What has no result is in the spool, and is sent at the next start.

        jobs: dict[str, Coroutine[None, None, None]] = {
            "ingest": ingest.run(),
            "forwarder": forward(),
            "figures": _tell_figures(spool, forwarder),
        }
        facts = {
            "ledger": settings.ledger,
            "spool": f"{spool_folder(settings)}, {spool.unsettled:,} scans to forward",
        }
        if settings.watch_folder is not None:
            inbox = Inbox(
                settings.watch_folder, log, source=settings.watch_source, now_ns=time.time_ns
            )
            jobs["inbox"] = inbox.run()
            facts["watches"] = str(settings.watch_folder)
        yield Work(
            jobs=jobs,
            asks={"spool": lambda: _ask(spool)},
            facts=facts,
            handlers=ingest.handlers,
            drain=drain,
            durability=log.identity.durability,
        )


async def _ask(spool: Spool) -> None:
    """Ask whether the spool takes scans."""
    if spool.is_full:
        raise Busy("The spool is full.", reason="SPOOL_FULL", retry_after_s=1.0)


async def _tell_figures(spool: Spool, forwarder: Forwarder) -> None:
    """Take the spool's metrics, and say it once when scans are overdue."""
    metrics.SPOOL_BYTES_MAX.set(spool.limits.bytes_max)
    turned_away = forwarded = 0
    was_overdue = False
    while True:
        oldest_s = spool.oldest_s()
        is_overdue = oldest_s > spool.limits.age_max_s
        metrics.SPOOL_BYTES.set(spool.size_bytes)
        metrics.SPOOL_UNSETTLED.set(spool.unsettled)
        metrics.SPOOL_OLDEST_SECONDS.set(oldest_s)
        metrics.SPOOL_OVERDUE.set(is_overdue)
        metrics.SPOOL_LISTED.set(spool.refused)
        metrics.SPOOL_LET_GO.set(spool.let_go)
        metrics.SPOOL_HELD_SOURCES.set(forwarder.held_back)
        metrics.SPOOL_LEDGER_CONNECTED.set(forwarder.counts.is_open)
        metrics.SPOOL_TURNED_AWAY.inc(spool.turned_away - turned_away)
        metrics.SPOOL_FORWARDED.inc(forwarder.counts.durable - forwarded)
        turned_away, forwarded = spool.turned_away, forwarder.counts.durable
        if is_overdue and not was_overdue:
            logger.warning(
                "scans wait in the spool for longer than the limit",
                extra={"oldest_s": round(oldest_s), "scans": spool.unsettled},
            )
        was_overdue = is_overdue
        await asyncio.sleep(FIGURES_EVERY_S)


GATEWAY = Role(
    name="gateway", engines=("spool",), open=_open, service_names=SERVICE_NAMES, waits=False
)
