"""What goes wrong in one seed, and when: drawn before it begins, so that it can be played again.

A fault that needs a moment (a crash just after something was written) waits for it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from tests.simulation.faults import FATES
from tests.simulation.sim_store import RESTART_LEAST_S
from tests.simulation.spooled_devices import SpooledDevice
from tests.simulation.twists import TWISTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.calls import Wire
    from tests.simulation.programs import Role
    from tests.simulation.world import World

FAULTS_LEAST, FAULTS_MOST = 22, 30
"""Faults in one seed's plan; some find no occasion."""

REQUEST_FAULTS: Final = [f"{what} {fate}" for what, fates in FATES.items() for fate in fates]

DISK_FAULTS: Final = {
    "device dies before a disk call": "before",
    "device dies after a disk call": "after",
    "device dies in a disk call": "torn",
    "device's disk is full": "full",
    "device's disk fails": "fails",
    "device's power is cut": "",
}
"""By name: what goes wrong in one of the next calls of a spool."""

DISK_CALLS_MOST: Final = 6
"""Within so many calls of a disk a fault falls."""

DOINGS: Final = (
    "net lost",
    "net silent",
    "net again",
    "net slow up",
    "net slow down",
    "net refused",
    "log crash",
    "log away",
    "store away",
    "store node dies",
    "ingest killed",
    "ingest drains",
    "ingest paused",
    "writer killed",
    "writer ended",
    "writer paused",
    "query killed",
    "device killed",
    "device paused",
    *DISK_FAULTS,
    "clock jumps",
    "partitions shared anew",
)
"""Faults that fall when their time comes."""

ALL_FAULTS: Final = (*REQUEST_FAULTS, *DOINGS, *TWISTS)

SESSION_S: Final = 2.0
"""After so long without a sign of life the group of readers takes a member for dead."""


class Plan:
    """The faults of one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._random = world.random
        self._is_over = False
        self._doings: dict[str, Callable[[], bool]] = {
            "net lost": lambda: self._to_a_wire(world.network.lose),
            "net silent": lambda: self._to_a_wire(world.network.go_silent),
            "net again": lambda: self._to_a_wire(world.network.play_again),
            "net slow up": lambda: self._to_a_wire(lambda wire: wire.hold_up(self._some_s())),
            "net slow down": lambda: self._to_a_wire(lambda wire: wire.hold_down(self._some_s())),
            "net refused": self._refuse,
            "log crash": self._crash_log,
            "log away": lambda: self._away("log"),
            "store away": lambda: self._away("store"),
            "store node dies": self._kill_node,
            "ingest killed": lambda: self._kill("ingest"),
            "ingest drains": self._drain,
            "ingest paused": lambda: self._pause("ingest"),
            "writer killed": lambda: self._kill("writer"),
            "writer ended": self._end_writer,
            "writer paused": lambda: self._pause("writer"),
            "query killed": lambda: self._kill("query"),
            "device killed": lambda: self._kill("gate"),
            "device paused": lambda: self._pause("gate"),
            "clock jumps": self._jump,
            **{name: partial(self._hit_disk, name) for name in DISK_FAULTS},
            "partitions shared anew": self._rebalance,
        }

    def begin(self) -> None:
        """Draw what is to go wrong."""
        world, random = self._world, self._random
        assert self._doings.keys() == set(DOINGS)
        kinds = [*REQUEST_FAULTS, *DOINGS, *DOINGS]
        for _ in range(random.randint(FAULTS_LEAST, FAULTS_MOST)):
            at_s = 0.2 + random.random() * 7.5
            kind = random.choice(kinds)
            world.loop.later(world.loop.outside, at_s, self._do, kind)

    def heal(self) -> None:
        """Nothing goes wrong any more, and what stood still goes on."""
        self._is_over = True
        world = self._world
        world.auditor.is_over = True
        world.faults.disarm()
        for device in world.devices:
            if isinstance(device, SpooledDevice):
                device.disk.plan.clear()
        logs = (world.log, *world.beside.values())
        for requests in (world.store.requests, *(log.requests for log in logs)):
            requests.away_until_s = 0.0
        for node in list(world.store.down):
            world.store.revive(node)
        for process in world.loop.processes:
            if process.is_paused:
                world.loop.resume(process)

    def _do(self, kind: str) -> None:
        if self._is_over:
            return
        doing = self._doings.get(kind)
        if doing is None:
            self._world.faults.arm(*kind.rsplit(" ", 1))
        elif doing():
            self._world.faults.fell[kind] += 1

    # --- the network ------------------------------------------------------------------------------

    def _to_a_wire(self, do: Callable[[Wire], object]) -> bool:
        wires = list(self._world.network.wires)
        return bool(wires) and do(self._random.choice(wires)) is not False

    def _refuse(self) -> bool:
        """Refuse the next call; it is counted then."""
        self._world.faults.arm("net", "refused")
        return False

    # --- engines ----------------------------------------------------------------------------------

    def _crash_log(self) -> bool:
        """Crash when something was written that is not durable."""
        log = self._world.log
        numbers = [n for n, part in enumerate(log.partitions) if part.ends]
        if not numbers and not self._is_over:
            # The moment is short: look again soon.
            self._world.loop.later(self._world.loop.outside, 0.003, self._crash_again)
            return False
        log.crash(numbers)
        for other in self._world.beside.values():
            other.crash(range(len(other.partitions)))
        return True

    def _crash_again(self) -> None:
        if self._crash_log():
            self._world.faults.fell["log crash"] += 1

    def _away(self, engine: str) -> bool:
        world = self._world
        until_s = world.loop.time() + self._some_s()
        engines = [world.log, *world.beside.values()] if engine == "log" else [world.store]
        for each in engines:
            each.requests.away_until_s = until_s
        return True

    def _kill_node(self) -> bool:
        world = self._world
        up = [node for node in world.store.lives if node not in world.store.down]
        if not up:
            return False
        node = self._random.choice(up)
        world.store.kill(node)
        down_s = RESTART_LEAST_S + self._random.random()
        world.loop.later(world.loop.outside, down_s, self._revive, node)
        return True

    def _revive(self, node: str) -> None:
        if node in self._world.store.down:
            self._world.store.revive(node)

    # --- processes --------------------------------------------------------------------------------

    def _one_of(self, name: str) -> Role | None:
        roles = [
            role
            for role in self._world.roles
            if role.name.startswith(name)
            and role.process is not None
            and role.process.is_alive
            and not role.process.is_paused
            and role.task is not None
            and not role.task.done()
        ]
        return self._random.choice(roles) if roles else None

    def _kill(self, name: str) -> bool:
        """Kill between two of its next steps, whichever they are."""
        role = self._one_of(name)
        if role is None or role.process is None or role.process.fuse >= 0:
            return False
        silent = self._random.random() < 0.3
        dying = role
        role.process.on_fuse = lambda: self._world.kill(dying, silent=silent)
        role.process.fuse = self._random.randrange(40)
        return True

    def _pause(self, name: str) -> bool:
        """Let a process stand still, at times so long that others take it for dead."""
        world, role = self._world, self._one_of(name)
        if role is None or role.process is None:
            return False
        process = role.process
        seconds = self._random.choice([0.1, 1.0, 4.0]) * (0.5 + self._random.random())
        world.loop.pause(process)
        world.loop.later(world.loop.outside, seconds, world.loop.resume, process)
        if seconds > SESSION_S:
            for group in world.log.groups.values():
                world.loop.later(world.loop.outside, SESSION_S, group.expire, process)
        return True

    def _hit_disk(self, name: str) -> bool:
        """Let a call of a device's disk go wrong; a power cut falls at once."""
        world, role = self._world, self._one_of("gate")
        device = next(
            (d for d in world.devices if role is not None and d.source == role.name), None
        )
        if role is None or not isinstance(device, SpooledDevice):
            return False
        if fault := DISK_FAULTS[name]:
            device.disk.in_calls(self._random.randrange(DISK_CALLS_MOST), fault)
        else:
            world.kill(role, silent=True)
            device.disk.cut_power()
        return True

    def _drain(self) -> bool:
        """SIGTERM to a server of ingest."""
        role = self._one_of("ingest")
        if role is None or role.service is None or role.process is None:
            return False
        grace_s = self._random.choice([0.01, 0.5])
        self._world.loop.spawn(role.process, self._drained(role, grace_s))
        return True

    async def _drained(self, role: Role, grace_s: float) -> None:
        assert role.service is not None
        await role.service.drain(grace_s)
        self._world.end(role)

    def _end_writer(self) -> bool:
        """SIGTERM to a writer."""
        role = self._one_of("writer")
        if role is None or role.process is None or role.task is None:
            return False
        self._world.end(role)
        return True

    def _jump(self) -> bool:
        """A wall clock goes forward or back."""
        role = self._one_of(self._random.choice(["ingest", "writer", "gate"]))
        if role is None:
            return False
        role.clock_off_ns = int(self._random.choice([-2.0, -0.5, 0.5, 3.0]) * 1e9)
        return True

    def _rebalance(self) -> bool:
        groups = list(self._world.log.groups.values())
        for group in groups:
            group.rebalance()
        return bool(groups)

    def _some_s(self) -> float:
        return self._random.choice([0.05, 0.5, 2.0]) * (0.5 + self._random.random())
