"""The life of every process that serves: open the engines, serve, drain, end.

A process has one event loop, and its jobs run in one task group. A job that cannot go on ends them
all, and the process with them: what is acknowledged is in the log, so starting again is the way
back.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from typing import Final, NamedTuple

import grpc

from ledger.app.doors import Doors
from ledger.app.endpoint import endpoint_at
from ledger.app.health import Ask, Health
from ledger.app.operator.service import OPERATOR_SERVICE
from ledger.app.rpc import RpcServer
from ledger.app.settings import Settings, is_loopback, split_address
from ledger.app.wiring.ending import first_error, told_to_end, unless_told
from ledger.app.wiring.operating import is_beside, operator_at
from ledger.metrics import BUILD
from ledger.v1.ingest_service_pb2 import Durability

logger = logging.getLogger(__name__)

LAST_ANSWERS_S: Final = 1.0
"""How long answers that are on their way get after the drain: reads take milliseconds, and a watch
never ends by itself.
"""

COLLECT_AFTER: Final = (20_000, 20, 100)
"""After how many new objects, and how many collections of the younger ones, garbage is looked for.
With Python's 700, 10, 10 it is a tenth of what a scan costs at the door; what is found is little.
"""

Job = Coroutine[None, None, None]


async def _nothing_to_drain(_: float) -> None:
    """Whatever it does may be broken off."""


class Work(NamedTuple):
    """What a role does once its engines are open."""

    jobs: Mapping[str, Job]
    asks: Mapping[str, Ask]
    """By engine that it needs: `log`, `store`."""
    facts: Mapping[str, str]
    """What to tell a person, by name."""
    handlers: Sequence[grpc.GenericRpcHandler] = ()
    operator: Sequence[grpc.GenericRpcHandler] = ()
    """The operator's service, which is taken on loopback alone."""
    drain: Callable[[float], Awaitable[None]] = _nothing_to_drain
    """Finishes what is on its way, within so many seconds."""
    durability: Durability.ValueType | None = None
    """What an acknowledgement means, where it gives any."""


class Role(NamedTuple):
    """What makes a process this and no other."""

    name: str
    engines: Sequence[str]
    open: Callable[[Settings, Health], AbstractAsyncContextManager[Work]]
    service_names: Sequence[str] = ()
    waits: bool = True
    """Whether its engines are other processes, which may be away when it starts."""
    operates: bool = False
    """Whether it takes the operator's service."""


class Running(NamedTuple):
    """What is said when a process serves."""

    address: str
    """Where it takes gRPC: host and port; empty where it takes none."""
    metrics: str
    """Where its metrics and health are; empty where they are off."""
    facts: Mapping[str, str]
    durability: Durability.ValueType | None


async def run_role(role: Role, settings: Settings, *, on_up: Callable[[Running], None]) -> None:
    """Run a role until SIGTERM or SIGINT; `on_up` is told when it serves.

    Raises LedgerError where it cannot start or cannot go on.
    """
    warn_of_insecurity(settings)
    BUILD.info({"version": version("parcel-ledger"), "role": role.name})
    health = Health(role.name, engines=role.engines)
    try:
        with (
            told_to_end(settings.drain_s) as ends,
            endpoint_at(settings.metrics, health) as metrics,
        ):
            async with _jobs({"heartbeat": health.beat_forever()}):
                await _Process(role, settings, health, ends).run(metrics, on_up)
    except BaseExceptionGroup as group:
        raise first_error(group) from group
    logger.info("ended")


class _Process:
    """One run of a role."""

    def __init__(self, role: Role, settings: Settings, health: Health, ends: asyncio.Event) -> None:
        self._role = role
        self._settings = settings
        self._health = health
        self._ends = ends
        names = list(role.service_names)
        self._operates_beside = role.operates and bool(names) and is_beside(settings)
        if self._operates_beside:
            names.append(OPERATOR_SERVICE)
        self._doors = Doors(names)
        self._server = RpcServer([self._doors], service_names=names, share_port=settings.share_port)
        self._port = 0

    async def run(self, metrics: str, on_up: Callable[[Running], None]) -> None:
        # On a shared port others serve already: a connection is theirs until we can serve it too.
        if self._role.waits and not self._settings.share_port:
            await self._listen(ready=False)
        opening = unless_told(self._ends)
        try:
            async with opening, self._role.open(self._settings, self._health) as work:
                opening.over()
                await self._serve(work, metrics, on_up)
        except TimeoutError:
            if not opening.told:
                raise
            logger.info("told to end before it served")
        finally:
            await self._server.stop(0)

    async def _serve(self, work: Work, metrics: str, on_up: Callable[[Running], None]) -> None:
        asks = {
            f"ask {engine}": self._health.ask_forever(engine, ask)
            for engine, ask in work.asks.items()
        }
        async with (
            _jobs({**work.jobs, **asks, "readiness": self._tell_readiness()}),
            operator_at(self._settings.operator_listen, work.operator) as operator,
        ):
            beside = work.operator if self._operates_beside else ()
            self._doors.open([*work.handlers, *beside])
            facts = {**work.facts, **({"operator": operator} if operator else {})}
            try:
                for engine in work.asks:
                    self._health.found(engine)  # It has just been opened.
                self._health.serves()
                await self._listen(ready=self._health.is_ready)
                _leave_alone_what_stays()
                on_up(Running(self._address(), metrics, facts, work.durability))
                await self._ends.wait()
                logger.info("draining", extra={"at_most_s": self._settings.drain_s})
                self._health.ends()
                await self._server.say_draining()
                await work.drain(self._settings.drain_s)
            finally:
                await self._server.stop(LAST_ANSWERS_S)

    async def _listen(self, *, ready: bool) -> None:
        if self._role.service_names and not self._port:
            self._port = await self._server.start(self._settings.listen, ready=ready)

    async def _tell_readiness(self) -> None:
        while True:
            await self._server.say_ready(self._health.is_ready)
            await self._health.changed()

    def _address(self) -> str:
        host, _, _ = self._settings.listen.rpartition(":")
        return f"{host}:{self._port}" if self._port else ""


@asynccontextmanager
async def _jobs(jobs: Mapping[str, Job]) -> AsyncIterator[None]:
    """Run jobs beside what is within; they end with it, and it ends with one that fails."""
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(job, name=name) for name, job in jobs.items()]
        yield
        for job in running:
            job.cancel()


def _leave_alone_what_stays() -> None:
    """Keep the garbage collector from what was made at the start: looking through it stops the
    process for 25 to 75 ms, again and again, and it is never garbage.

    And from looking too often at what is on its way: it goes without a collector.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


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
