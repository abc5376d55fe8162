"""The roles on Kafka and Cassandra, each a process of its own: `ingest`, `writer`, `query`."""

from __future__ import annotations

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
from ledger.app.settings import Settings, generations_of, strict_sources_of
from ledger.app.wiring.asking import Unread, asking_log, asking_store, count_unread, marked
from ledger.app.wiring.engines import (
    cassandra_cluster,
    kafka_cluster,
    log_opener,
    numbers_opener,
    open_lag,
    store_opener,
)
from ledger.app.wiring.operating import SideLogs, keeper_of, operator_of
from ledger.app.wiring.runner import Role, Running, Work, run_role
from ledger.app.wiring.waiting import opened
from ledger.facilities import load_facilities
from ledger.issuing import Issuer, load_ranges
from ledger.position import QUARANTINE_LOG, RECEIPTS_LOG, REFUSALS_LOG, SCANS_LOG
from ledger.progress import keep_history
from ledger.scan_log import ScanLog
from ledger.trail_store import TrailStore
from ledger.vocabulary import load_mappings
from ledger.writer import Writer
from query.door import SERVICE_NAMES as QUERY_SERVICES
from query.door import QueryDoor
from query.texts import load_languages

STEPS_AT_ONCE: Final = 4
"""Steps of a writer that are on their way together: while Cassandra keeps the rows of one, the next
are read and sent.
"""

LAG_EVERY_S: Final = 5.0
"""How often ingest counts unread records: as often as writers tell their group how far they are."""


async def run_ingest(settings: Settings, *, on_up: Callable[[Running], None]) -> None:
    """Take scans into Kafka until SIGTERM or SIGINT."""
    await run_role(INGEST, settings, on_up=on_up)


async def run_writer(settings: Settings, *, on_up: Callable[[Running], None]) -> None:
    """Carry scans from Kafka to Cassandra until SIGTERM or SIGINT."""
    await run_role(WRITER, settings, on_up=on_up)


async def run_query(settings: Settings, *, on_up: Callable[[Running], None]) -> None:
    """Answer from Cassandra until SIGTERM or SIGINT."""
    await run_role(QUERY, settings, on_up=on_up)


@asynccontextmanager
async def _open_ingest(settings: Settings, health: Health) -> AsyncIterator[Work]:
    openers = [log_opener(settings, name=n) for n in (SCANS_LOG, REFUSALS_LOG, RECEIPTS_LOG)]
    async with (
        opened("log", openers[0], health) as log,
        opened("log", openers[1], health) as refusals,
        opened("log", openers[2], health) as receipts,
        open_lag(settings, log.identity) as lag,
    ):
        unread = Unread()
        ingest = IngestService(
            log,
            refusals=refusals,
            receipts=receipts,
            policy=AdmissionPolicy(strict_sources_of(settings)),
            lag_records=unread.records,
            limits=IngestLimits(lag_records_max=settings.lag_records_max),
            now_ns=time.time_ns,
            monotonic=time.monotonic,
            server_version=version("parcel-ledger"),
        )
        yield Work(
            # Trails are out of reach from here: the writers' consumer group tells of them.
            jobs={
                "ingest": ingest.run(),
                "unread": count_unread(log, lag.reached, unread, every_s=LAG_EVERY_S),
            },
            asks={"log": asking_log(log)},
            facts={"log": _where_log(settings, log)},
            handlers=ingest.handlers,
            drain=ingest.drain,
            durability=log.identity.durability,
        )


@asynccontextmanager
async def _open_writer(settings: Settings, health: Health) -> AsyncIterator[Work]:
    open_log, open_store = log_opener(settings), store_opener(settings)
    names = (RECEIPTS_LOG, REFUSALS_LOG, QUARANTINE_LOG)
    receipts_opener, refusals_opener, quarantine_opener = (
        log_opener(settings, name=name) for name in names
    )
    mappings = load_mappings(settings.mappings)
    async with (
        opened("log", open_log, health) as log,
        opened("log", receipts_opener, health) as receipts,
        opened("log", refusals_opener, health) as refusals,
        opened("log", quarantine_opener, health) as quarantine,
        opened("store", open_store, health) as store,
    ):
        operator = operator_of(
            Kept(log, store, store, store.generations),
            SideLogs(receipts, refusals, quarantine),
            mappings,
            audits=bool(settings.operator_listen),  # One writer of many is enough.
        )
        writer = Writer(
            log,
            store,
            keeper_of(settings, log, quarantine, store),
            monotonic=time.monotonic,
            now_ns=time.time_ns,
            steps_at_once=STEPS_AT_ONCE,
        )
        # Cancelled, a writer finishes and marks what is on its way, and then leaves the group.
        yield Work(
            jobs={
                "writer": writer.run(),
                "history": keep_history(store, now_ns=time.time_ns),
                "unread": count_unread(log, marked(store, log.identity), Unread()),
                "operator": operator.run(),
            },
            asks={"log": asking_log(log), "store": asking_store(store)},
            facts={"log": _where_log(settings, log), "store": _where_store(settings, store)},
            operator=operator.handlers,
        )


@asynccontextmanager
async def _open_query(settings: Settings, health: Health) -> AsyncIterator[Work]:
    mappings = load_mappings(settings.mappings)
    facilities = load_facilities(settings.facilities)
    languages = load_languages(settings.texts)
    async with (
        opened("store", store_opener(settings), health) as store,
        _opened_issuer(settings, health) as issuer,
    ):
        generations = generations_of(settings)
        query = QueryDoor(
            store,
            generations=generations,
            mappings=mappings,
            issuer=issuer,
            facilities=facilities,
            languages=languages,
            now_ns=time.time_ns,
            monotonic=time.monotonic,
        )
        shown = ", ".join(f"{number} of {count}" for number, count in sorted(generations.items()))
        yield Work(
            jobs={"query": query.run()},
            asks={"store": asking_store(store)},
            facts={
                "store": _where_store(settings, store),
                "shows": f"log generations with their partitions: {shown}",
            },
            handlers=query.handlers,
        )


@asynccontextmanager
async def _opened_issuer(settings: Settings, health: Health) -> AsyncIterator[Issuer | None]:
    """Open what issues numbers, where the settings name ranges."""
    ranges = load_ranges(settings.number_ranges)
    if not ranges:
        yield None
        return
    async with opened("store", numbers_opener(settings), health) as blocks:
        yield Issuer(blocks, ranges, now_ns=time.time_ns)


def _where_log(settings: Settings, log: ScanLog) -> str:
    cluster = kafka_cluster(settings)
    topic = cluster.topic(SCANS_LOG, log.identity.generation)
    return f"topic {topic} with {log.identity.partitions} partitions, Kafka at {cluster.bootstrap}"


def _where_store(settings: Settings, store: TrailStore) -> str:
    keyspace = cassandra_cluster(settings).keyspace
    return f"keyspace {keyspace}, generation {store.generation}, Cassandra at {settings.cassandra}"


INGEST = Role("ingest", ("log",), _open_ingest, INGEST_SERVICES)
WRITER = Role("writer", ("log", "store"), _open_writer, operates=True)
QUERY = Role("query", ("store",), _open_query, QUERY_SERVICES)
