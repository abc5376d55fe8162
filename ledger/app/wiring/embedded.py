"""`up`: all roles in one process, on the embedded engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Final

from ingest.limits import IngestLimits
from ingest.policy import AdmissionPolicy
from ingest.service import SERVICE_NAMES as INGEST_SERVICES
from ingest.service import IngestService
from ledger.app.health import Health
from ledger.app.operator.upkeep import Kept
from ledger.app.settings import Settings, strict_sources_of
from ledger.app.wiring.asking import Unread, asking_log, asking_store, count_unread, marked
from ledger.app.wiring.operating import SideLogs, keeper_of, operator_of
from ledger.app.wiring.runner import Role, Running, Work, run_role
from ledger.backends.rocksdb_folder import Folder, open_folder
from ledger.errors import LedgerError
from ledger.facilities import load_facilities
from ledger.issuing import Issuer, load_ranges
from ledger.progress import keep_history
from ledger.vocabulary import load_mappings
from ledger.writer import Writer
from query.door import SERVICE_NAMES as QUERY_SERVICES
from query.door import QueryDoor
from query.texts import load_languages

UNREAD_EVERY_S: Final = 1.0
"""How often unread records are counted: they lie in memory here, and a lag reaches the senders."""


async def run_ledger(settings: Settings, *, on_up: Callable[[Running], None]) -> None:
    """Run all roles until SIGTERM or SIGINT; `on_up` is told when they serve.

    Raises LedgerError where they cannot start or cannot go on.
    """
    await run_role(UP, settings, on_up=on_up)


@asynccontextmanager
async def _open(settings: Settings, _: Health) -> AsyncIterator[Work]:
    mappings = load_mappings(settings.mappings)
    ranges = load_ranges(settings.number_ranges)
    facilities = load_facilities(settings.facilities)
    languages = load_languages(settings.texts)
    broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_fatal(error: LedgerError) -> None:
        if not broken.done():
            broken.set_exception(error)

    async def watch_engine() -> None:
        await broken

    try:
        async with open_folder(
            settings.data, partitions=settings.partitions, on_fatal=on_fatal
        ) as folder:
            log, store = folder.log, folder.store
            unread = Unread()
            ingest = IngestService(
                log,
                refusals=folder.refusals,
                receipts=folder.receipts,
                policy=AdmissionPolicy(strict_sources_of(settings)),
                lag_records=unread.records,
                limits=IngestLimits(lag_records_max=settings.lag_records_max),
                now_ns=time.time_ns,
                monotonic=time.monotonic,
                server_version=version("parcel-ledger"),
            )
            query = QueryDoor(
                store,
                generations={log.identity.generation: log.identity.partitions},
                mappings=mappings,
                issuer=Issuer(folder.numbers, ranges, now_ns=time.time_ns) if ranges else None,
                facilities=facilities,
                languages=languages,
                now_ns=time.time_ns,
                monotonic=time.monotonic,
            )
            keeper = keeper_of(settings, log, folder.quarantine, store)
            writer = Writer(log, store, keeper, monotonic=time.monotonic, now_ns=time.time_ns)
            kept = Kept(log, store, store, folder.generations, folder.backups)
            beside = SideLogs(folder.receipts, folder.refusals, folder.quarantine)
            operator = operator_of(kept, beside, mappings)
            yield Work(
                jobs={
                    "writer": writer.run(),
                    "history": keep_history(store, now_ns=time.time_ns),
                    "query": query.run(),
                    "ingest": ingest.run(),
                    "unread": count_unread(
                        log, marked(store, log.identity), unread, every_s=UNREAD_EVERY_S
                    ),
                    "operator": operator.run(),
                    "engine": watch_engine(),
                },
                asks={"log": asking_log(log), "store": asking_store(store)},
                facts=await _facts(settings, folder),
                handlers=[*ingest.handlers, *query.handlers],
                operator=operator.handlers,
                drain=ingest.drain,
                durability=log.identity.durability,
            )
    finally:
        broken.cancel()


async def _facts(settings: Settings, folder: Folder) -> dict[str, str]:
    partitions = folder.log.identity.partitions
    bounds = [await folder.log.bounds(place) for place in range(partitions)]
    records = sum(each.next - each.first for each in bounds)
    return {
        "data": f"{settings.data}",
        "log": f"{records:,} scans in {partitions} partitions",
    }


UP = Role(
    name="up",
    engines=("log", "store"),
    open=_open,
    service_names=(*INGEST_SERVICES, *QUERY_SERVICES),
    waits=False,
    operates=True,
)
