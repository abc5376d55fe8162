"""What each process of a world runs: the real roles, with a clock, engines and network of ours."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from ingest.limits import IngestLimits
from ingest.service import IngestService
from ingest.stream import Stream
from ledger.position import QUARANTINE_LOG, RECEIPTS_LOG, REFUSALS_LOG
from ledger.progress import keep_history
from ledger.quarantine.keeper import Keeper
from ledger.writer import Writer
from query.door import QueryDoor
from tests.simulation.devices import BASE_NS
from tests.simulation.sim_log import SimLog
from tests.simulation.sim_store import SimStore
from tests.simulation.spooled_devices import SpooledDevice

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tests.simulation.devices import Device
    from tests.simulation.process import Process
    from tests.simulation.world import World

UNFIT_MOST = 50
"""Of the last records of a writer so many may go into quarantine."""

LIMITS = IngestLimits(
    window_scans=24,
    window_bytes=6_000,
    pending_bytes_max=16_000,
    flush_records_enough=40,
    batches_per_stream_max=6,
    busy_retry_s=0.1,
)
"""Small windows and little memory: their bounds are met all the time."""


class _InOrder(dict[Stream, None]):
    """A set that is walked through in the order of its making, and not of addresses in memory."""

    def add(self, stream: Stream) -> None:
        self[stream] = None

    def discard(self, stream: Stream) -> None:
        self.pop(stream, None)


class Role:
    """A program that is started again whenever it ends."""

    def __init__(self, name: str, main: Callable[[Process], Coroutine[Any, Any, object]]) -> None:
        self.name = name
        self.main = main
        self.process: Process | None = None
        self.task: asyncio.Task[object] | None = None
        self.service: IngestService | None = None
        self.clock_off_ns = 0


class Programs:
    """Makes the roles of a world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def roles(self) -> list[Role]:
        """Give all roles: one or two servers, one or two writers, and who sends and reads."""
        world = self._world
        return [
            *(Role(f"ingest-{n}", self._ingest) for n in range(world.random.randint(1, 2))),
            *(Role(f"writer-{n}", self._writer) for n in range(world.random.randint(1, 2))),
            Role("query-0", self._query),
            *(Role(device.source, self._sender(device)) for device in world.devices),
            Role("auditor", self._auditing),
        ]

    def clock(self, process: Process) -> Callable[[], int]:
        """A process's wall clock, which may be wrong."""
        role, loop = self._world.by_process[process], self._world.loop
        return lambda: BASE_NS + int(loop.time() * 1e9) + role.clock_off_ns

    async def _ingest(self, process: Process) -> None:
        role = self._world.by_process[process]
        role.service = service = IngestService(
            SimLog(self._world.log),
            refusals=SimLog(self._world.beside[REFUSALS_LOG]),
            receipts=SimLog(self._world.beside[RECEIPTS_LOG]),
            now_ns=self.clock(process),
            monotonic=self._world.loop.time,
            limits=LIMITS,
            server_version="simulated",
        )
        service._streams = _InOrder()  # type: ignore[assignment] # It is used as the set it is.
        self._world.network.listen(role.name, process, service.handlers)
        await service.run()

    async def _writer(self, process: Process) -> None:
        log, store = SimLog(self._world.log), SimStore(self._world.store)
        now_ns = self.clock(process)
        writer = Writer(
            log,
            store,
            Keeper(
                log,
                SimLog(self._world.beside[QUARANTINE_LOG]),
                store,
                now_ns=now_ns,
                most=UNFIT_MOST,
            ),
            monotonic=self._world.loop.time,
            now_ns=now_ns,
            steps_at_once=self._world.random.choice([1, 4]),
        )
        async with asyncio.TaskGroup() as jobs:
            jobs.create_task(writer.run())
            jobs.create_task(keep_history(store, now_ns=now_ns, spread=self._world.random.random))

    async def _query(self, process: Process) -> None:
        door = QueryDoor(
            SimStore(self._world.store),
            generations={1: len(self._world.log.partitions)},
            now_ns=self.clock(process),
            monotonic=self._world.loop.time,
        )
        self._world.network.listen(self._world.by_process[process].name, process, door.handlers)
        await door.run()

    def _sender(self, device: Device) -> Callable[[Process], Coroutine[Any, Any, object]]:
        async def send(process: Process) -> None:
            if isinstance(device, SpooledDevice):
                role = self._world.by_process[process]
                device.die = partial(self._world.kill, role, silent=False)
            await device.run(self._world.network.channel(process, "ingest"), self.clock(process))

        return send

    async def _auditing(self, process: Process) -> None:
        await self._world.auditor.run(self._world.network.channel(process, "query"))
