"""Puts the process together: the one place that names an engine, and that starts and ends roles.

All roles run in one event loop and one task group. A role that cannot go on ends them all, and the
process with them: what is acknowledged is on disk, so starting again is the way back.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import Final, NamedTuple

from prometheus_client import start_http_server

from ingest.service import SERVICE_NAMES as INGEST_SERVICES
from ingest.service import IngestService
from ledger.app.rpc import RpcServer
from ledger.app.settings import Settings, is_loopback, split_address
from ledger.backends.rocksdb_folder import Folder, open_folder
from ledger.errors import LedgerError, Refused
from ledger.metrics import REGISTRY
from ledger.progress import keep_history
from ledger.scan_log import LogIdentity
from ledger.writer import Writer
from query.door import SERVICE_NAMES as QUERY_SERVICES
from query.door import QueryDoor

logger = logging.getLogger(__name__)

LAST_ANSWERS_S: Final = 1.0
"""How long answers that are on their way get after the drain: reads take milliseconds, and a watch
never ends by itself.
"""

Job = Coroutine[None, None, None]


class Running(NamedTuple):
    """What is said when the ledger is up."""

    address: str
    """Where it takes gRPC: host and port."""
    metrics: str
    """Where its metrics are; empty where they are off."""
    log: LogIdentity
    records: int
    """Records in the log."""


async def run_ledger(settings: Settings, *, on_up: Callable[[Running], None]) -> None:
    """Run all roles on the embedded engine until SIGTERM or SIGINT; `on_up` is told when it serves.

    Raises LedgerError where it cannot start or cannot go on.
    """
    broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_fatal(error: LedgerError) -> None:
        if not broken.done():
            broken.set_exception(error)

    warn_of_insecurity(settings)
    try:
        async with open_folder(
            settings.data, partitions=settings.partitions, on_fatal=on_fatal
        ) as folder:
            await _run_roles(folder, settings, broken=broken, on_up=on_up)
    except BaseExceptionGroup as group:
        raise first_error(group) from group
    finally:
        broken.cancel()
    logger.info("ended")


async def _run_roles(
    folder: Folder,
    settings: Settings,
    *,
    broken: asyncio.Future[None],
    on_up: Callable[[Running], None],
) -> None:
    log, store = folder.log, folder.store
    ingest = IngestService(
        log,
        now_ns=time.time_ns,
        monotonic=time.monotonic,
        server_version=version("parcel-ledger"),
    )
    query = QueryDoor(
        store,
        generations={log.identity.generation: log.identity.partitions},
        monotonic=time.monotonic,
    )
    writer = Writer(log, store, monotonic=time.monotonic, now_ns=time.time_ns)
    server = RpcServer(
        [*ingest.handlers, *query.handlers], service_names=[*INGEST_SERVICES, *QUERY_SERVICES]
    )

    async def watch_engine() -> None:
        await broken

    async with asyncio.TaskGroup() as tasks:
        jobs = _start(
            tasks,
            {
                "writer": writer.run(),
                "history": keep_history(store, now_ns=time.time_ns),
                "query": query.run(),
                "ingest": ingest.run(),
                "engine": watch_engine(),
            },
        )
        try:
            port = await server.start(settings.listen)
            with _metrics_at(settings.metrics) as metrics, _told_to_end() as ends:
                host, _, _ = settings.listen.rpartition(":")
                records = await _records(folder)
                _leave_alone_what_stays()
                on_up(Running(f"{host}:{port}", metrics, log.identity, records))
                await ends.wait()
                logger.info("draining", extra={"at_most_s": settings.drain_s})
                await server.say_draining()
                await ingest.drain(settings.drain_s)
        finally:
            await server.stop(LAST_ANSWERS_S)
        for job in jobs:
            job.cancel()


def _leave_alone_what_stays() -> None:
    """Keep the garbage collector from what was made at the start: looking through it stops the
    process for 25 to 75 ms, again and again, and it is never garbage.
    """
    gc.collect()
    gc.freeze()


def warn_of_insecurity(settings: Settings) -> None:
    """Say at every start where others can reach what is not protected."""
    for name in ("listen", "metrics"):
        address = getattr(settings, name)
        if address and not is_loopback(split_address(name, address)[0]):
            logger.warning(
                "others can reach this ledger, without encryption and without being asked who "
                "they are",
                extra={"setting": name, "address": address},
            )


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Give the error that ended a task group: a ledger's error before any other."""
    errors: list[BaseException] = []
    waiting: list[BaseException] = [group]
    while waiting:
        error = waiting.pop(0)
        if isinstance(error, BaseExceptionGroup):
            waiting += error.exceptions
        else:
            errors.append(error)
    return next((error for error in errors if isinstance(error, LedgerError)), errors[0])


def _start(tasks: asyncio.TaskGroup, jobs: Mapping[str, Job]) -> list[asyncio.Task[None]]:
    return [tasks.create_task(job, name=name) for name, job in jobs.items()]


async def _records(folder: Folder) -> int:
    bounds = [await folder.log.bounds(p) for p in range(folder.log.identity.partitions)]
    return sum(each.next - each.first for each in bounds)


@contextmanager
def _metrics_at(address: str) -> Iterator[str]:
    """Show the metrics at an address, in a thread of their own; give the address that it became."""
    if not address:
        yield ""
        return
    host, port = split_address("metrics", address)
    try:
        server, thread = start_http_server(port, host, REGISTRY)
    except OSError as error:
        raise Refused(
            f"Cannot show metrics at {address}: {error.strerror}. Choose another address with "
            f"--metrics, or none with --metrics ''.",
            reason="ADDRESS_NOT_FREE",
            metadata={"address": address},
        ) from error
    try:
        yield f"{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def _told_to_end() -> Iterator[asyncio.Event]:
    """Give an event that SIGTERM and SIGINT set. A second signal ends the process at once.

    That loses nothing: what is acknowledged is on disk.
    """
    loop = asyncio.get_running_loop()
    ends = asyncio.Event()
    signals = (signal.SIGTERM, signal.SIGINT)

    def end(number: signal.Signals) -> None:
        ends.set()
        loop.remove_signal_handler(number)

    for number in signals:
        loop.add_signal_handler(number, end, number)
    try:
        yield ends
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
