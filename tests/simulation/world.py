"""One seed: a ledger with its engines, senders and readers, faults while it works, and the end.

First everything works and fails; then it heals, and runs until all that was sent has its result and
is settled; then every trail is compared with what was acknowledged.
"""

from __future__ import annotations

import asyncio
import logging
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from ingest.limits import IngestLimits
from ingest.service import IngestService
from ingest.stream import Stream
from ledger.marks import TRAIL_READER
from ledger.progress import keep_history
from ledger.trail_store import MarkKind
from ledger.v1.ingest_service_pb2 import Durability
from ledger.writer import Writer
from query.door import QueryDoor
from tests.simulation.auditors import Auditor
from tests.simulation.devices import BASE_NS, NUMBERS, Device
from tests.simulation.faults import Faults
from tests.simulation.history import History
from tests.simulation.loop import SimLoop
from tests.simulation.network import Network
from tests.simulation.plan import Plan
from tests.simulation.sim_log import LogCluster, SimLog
from tests.simulation.sim_store import SimStore, StoreCluster
from tests.simulation.twists import SHARE, TWISTS, Twist

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tests.simulation.loop import Process

PARTITIONS = 3
SCANS = 210
"""Scans of one seed, a few more or less."""

ACTIVE_S = 9.0
"""Seconds in which faults fall."""

HEAL_MOST_S = 90.0
"""Longest time until a healed world has done all its work: far beyond every back-off."""

END_MOST_S = 8.0
"""Longest time that a program takes to end: a writer waits so long for the store, and some more."""

LIMITS = IngestLimits(
    window_scans=24,
    window_bytes=6_000,
    pending_bytes_max=16_000,
    flush_records_enough=40,
    batches_per_stream_max=6,
    busy_retry_s=0.1,
)
"""Small windows and little memory: their bounds are met all the time."""


class Result(NamedTuple):
    """What came of one seed."""

    seed: int
    broken: list[str]
    fell: dict[str, int]
    """How often each fault fell."""
    scans: int
    answers: int
    signature: int
    """Equal for equal schedules."""
    steps: int


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


class World:
    """Everything of one seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random = Random(seed)
        self.loop = loop = SimLoop(Random(random.random()))
        self.faults = Faults()
        self.network = Network(loop, Random(random.random()), self.faults)
        self.log = LogCluster(
            loop,
            Random(random.random()),
            self.faults,
            partitions=PARTITIONS,
            durability=random.choice(
                [Durability.DURABILITY_SYNCED, Durability.DURABILITY_REPLICATED]
            ),
        )
        self.store = StoreCluster(
            loop, Random(random.random()), self.faults, nodes=random.randint(1, 3)
        )
        self.history = History(loop, self.log, self.store)
        self.network.on_window = lambda what: self.history.breaks("windows are respected", what)
        self.items = random.sample(NUMBERS, 10)
        self.devices = [self._device(f"gate-{n}", 3 + n % 2) for n in range(3)]
        self.auditor = Auditor(
            loop=loop,
            random=Random(random.random()),
            history=self.history,
            log=self.log,
            store=self.store,
            items=self.items,
        )
        self.roles = [Role(f"ingest-{n}", self._ingest) for n in range(random.randint(1, 2))]
        self.roles += [Role(f"writer-{n}", self._writer) for n in range(random.randint(1, 2))]
        self.roles += [Role("query-0", self._query)]
        self.roles += [Role(device.source, self._sender(device)) for device in self.devices]
        self.roles += [Role("auditor", self._auditing)]
        self.by_process: dict[Process, Role] = {}
        self.twist = Twist(random.choice(TWISTS), self) if random.random() < SHARE else None
        self.plan = Plan(self)

    def _device(self, source: str, share: int) -> Device:
        del share
        return Device(
            source,
            loop=self.loop,
            random=Random(self.random.random()),
            history=self.history,
            items=self.items,
            scans=SCANS // 3,
            gap_s=ACTIVE_S / (SCANS / 3 / 5) / 1.3,
        )

    # --- the run ----------------------------------------------------------------------------------

    def run(self) -> Result:
        """Run the seed to its end."""
        loop, history = self.loop, self.history
        for role in self.roles:
            self.start(role)
        self.plan.begin()
        loop.run(ACTIVE_S)
        if not history.broken:
            self.plan.heal()
            finishing = loop.spawn(loop.outside, self._finish())
            if not loop.run(ACTIVE_S + HEAL_MOST_S):
                history.breaks("a healed world does its work", self._what_is_left())
            if finishing.done():
                finishing.result()
        result = Result(
            self.seed,
            [*history.broken, *(f"nobody caught: {what}" for what in loop.unhandled)],
            dict(self.faults.fell),
            history.scans,
            self.auditor.answers,
            loop.signature,
            loop.steps,
        )
        loop.take_apart()
        return result

    async def _finish(self) -> None:
        """Wait until all is done, and look at every trail."""
        while not all(device.is_done for device in self.devices) or not self._is_settled():
            await asyncio.sleep(0.1)
        self.history.check_log()
        channel = self.network.channel(self.loop.outside, "query")
        await self.auditor.final(channel)
        if self.twist is not None:
            await self.twist.play()
        self.loop.stop()

    def _is_settled(self) -> bool:
        settled = {
            cell.partition: cell.next_index
            for cell in self.store.marks_of(TRAIL_READER)
            if cell.kind is MarkKind.SETTLED
        }
        return all(
            settled.get(number, 0) == partition.durable
            for number, partition in enumerate(self.log.partitions)
        )

    def _what_is_left(self) -> str:
        devices = {
            device.source: sum(not scan.fate for scan in device.scans) for device in self.devices
        }
        marks = {
            (cell.kind.value, cell.partition): cell.next_index
            for cell in self.store.marks_of(TRAIL_READER)
        }
        ends = [partition.durable for partition in self.log.partitions]
        return f"without result {devices}, marks {marks}, log {ends}"

    # --- processes --------------------------------------------------------------------------------

    def start(self, role: Role) -> None:
        """Begin a new life of a role."""
        role.process = process = self.loop.process(role.name)
        self.by_process[process] = role
        task = role.task = self.loop.spawn(process, role.main(process))
        self.loop.later(process, 0, task.add_done_callback, self._ended)

    def _ended(self, task: asyncio.Task[object]) -> None:
        """A role's program ended by itself: start it again, unless its work is done."""
        if self.loop.is_over:
            return
        role = next(role for role in self.roles if role.task is task)
        if not task.cancelled() and (error := task.exception()) is not None:
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            if self.twist is None or not self.twist.failed(role, error):
                self.history.breaks("nothing fails by itself", f"{role.name}: {error!r}")
            return
        process = role.process
        assert process is not None
        self.network.unlisten(role.name)
        self.network.gone(process)
        is_done = role.name == "auditor" or any(
            device.source == role.name and device.is_done for device in self.devices
        )
        if not is_done:
            delay_s = 0.1 + self.random.random()
            self.loop.later(self.loop.outside, delay_s, self.start, role)

    def kill(self, role: Role, *, silent: bool) -> None:
        """End a program between two steps; it comes back later."""
        process = role.process
        assert process is not None
        if not process.is_alive:
            return
        self.loop.kill(process)
        self.network.unlisten(role.name, silent=silent)
        self.network.gone(process, silent=silent)
        for group in self.log.groups.values():
            self.loop.later(self.loop.outside, 2.0, group.expire, process)
        for follower in [f for f in self.log.followers if f.process is process]:
            del self.log.followers[follower]
        self.loop.later(self.loop.outside, 0.1 + 1.5 * self.random.random(), self.start, role)

    def end(self, role: Role) -> None:
        """Tell a program to end, as SIGTERM does: it must not take long."""
        assert role.process is not None
        assert role.task is not None
        self.loop.later(role.process, 0, role.task.cancel)
        self.loop.later(role.process, END_MOST_S, self._check_ended, role.task)

    def _check_ended(self, task: asyncio.Task[object]) -> None:
        if not task.done():
            self.history.breaks("who is told to end ends", repr(task))

    def clock(self, process: Process) -> Callable[[], int]:
        """A process's wall clock, which may be wrong."""
        role, loop = self.by_process[process], self.loop
        return lambda: BASE_NS + int(loop.time() * 1e9) + role.clock_off_ns

    async def _ingest(self, process: Process) -> None:
        role = self.by_process[process]
        role.service = service = IngestService(
            SimLog(self.log),
            now_ns=self.clock(process),
            monotonic=self.loop.time,
            limits=LIMITS,
            server_version="simulated",
        )
        service._streams = _InOrder()  # type: ignore[assignment] # It is used as the set it is.
        self.network.listen(role.name, process, service.handlers)
        await service.run()

    async def _writer(self, process: Process) -> None:
        log, store = SimLog(self.log), SimStore(self.store)
        now_ns = self.clock(process)
        writer = Writer(
            log,
            store,
            monotonic=self.loop.time,
            now_ns=now_ns,
            steps_at_once=self.random.choice([1, 4]),
        )
        async with asyncio.TaskGroup() as jobs:
            jobs.create_task(writer.run())
            jobs.create_task(keep_history(store, now_ns=now_ns, spread=self.random.random))

    async def _query(self, process: Process) -> None:
        door = QueryDoor(
            SimStore(self.store), generations={1: PARTITIONS}, monotonic=self.loop.time
        )
        self.network.listen(self.by_process[process].name, process, door.handlers)
        await door.run()

    def _sender(self, device: Device) -> Callable[[Process], Coroutine[Any, Any, object]]:
        async def send(process: Process) -> None:
            await device.run(self.network.channel(process, "ingest"), self.clock(process))

        return send

    async def _auditing(self, process: Process) -> None:
        await self.auditor.run(self.network.channel(process, "query"))


def simulate(seed: int) -> Result:
    """Run one seed."""
    logging.disable(logging.CRITICAL)
    try:
        return World(seed).run()
    finally:
        logging.disable(logging.NOTSET)
