"""A scan log that is made up: written, then durable, with everything that may go wrong in between.

A record is *written* first and *durable* a moment later: synced on one node, or replicated to
others. Only what is durable is acknowledged and read. A crash takes what was written and was not
durable yet, or a part of it.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeVar

from ledger.errors import Closed, Diverged, Refused, TooLarge
from ledger.position import SCANS_LOG
from ledger.scan_log import (
    APPEND_BYTES_MAX,
    APPEND_RECORDS_MAX,
    RECORD_BYTES_MAX_OF,
    Bounds,
    LogIdentity,
)
from ledger.v1.ingest_service_pb2 import Durability
from tests.simulation.faults import NOT_YET, Requests, fail, succeed, uncertain
from tests.simulation.sim_group import Group, SimFollower

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from random import Random

    from ledger.scan_log import Assignment
    from tests.simulation.faults import Faults, Timers

T = TypeVar("T")

READ_BYTES_MAX: Final = 1 << 20
"""Where a read ends, as the port says."""


class Partition:
    """Records, and up to where they are durable."""

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self.durable = 0
        self.ends: list[int] = []
        """Where appends end that are written and not durable."""
        self.life = 0
        """Grows with each crash."""


class LogCluster:
    """The log's engine: what all processes share, and what outlives them."""

    acknowledges_written: frozenset[Durability.ValueType] = frozenset()
    """A planted bug sets it: logs of these kinds acknowledge what is written, and not durable."""

    def __init__(
        self,
        timers: Timers,
        random: Random,
        faults: Faults,
        *,
        name: str = SCANS_LOG,
        partitions: int,
        durability: Durability.ValueType = Durability.DURABILITY_SYNCED,
        latency_s: float = 0.004,
        settle_s: float = 0.02,
    ) -> None:
        """`settle_s` is the time from written to durable at most, in seconds."""
        self.identity = LogIdentity(name, 1, partitions, durability, RECORD_BYTES_MAX_OF[name])
        self.partitions = [Partition() for _ in range(partitions)]
        self.requests = Requests(timers, random, faults, latency_s=latency_s)
        self.timers = timers
        self.random = random
        self.settle_s = settle_s
        self.on_written: Callable[[Sequence[bytes]], object] = bool
        """Told of what is written, before it is durable."""
        self.followers: dict[SimFollower, None] = {}
        self.groups: dict[str, Group] = {}

    def group(self, reader: str) -> Group:
        """Give the group of readers of a name."""
        if reader not in self.groups:
            self.groups[reader] = Group(self.timers, self.random, len(self.partitions))
        return self.groups[reader]

    def write(
        self,
        where: object,
        number: int,
        values: Sequence[bytes],
        answer: asyncio.Future[object] | None,
    ) -> object:
        """Write records, all or none; they are durable a moment later, and then acknowledged."""
        partition = self.partitions[number]
        first = len(partition.values)
        partition.values += values
        self.on_written(values)
        partition.ends.append(len(partition.values))
        if self.identity.durability in self.acknowledges_written and answer is not None:
            self.timers.later(where, self.requests.some_s(), succeed, answer, first)
        settle_s = self.settle_s * self.random.random()
        self.timers.later(
            self.timers.outside,
            settle_s,
            self._become_durable, where, number, first, len(values), partition.life, answer,
        )  # fmt: skip
        return NOT_YET

    def crash(self, numbers: Sequence[int]) -> int:
        """Lose what is not durable of these partitions, or a part of it; say how much was lost."""
        lost = 0
        for number in numbers:
            partition = self.partitions[number]
            kept = self.random.choice([partition.durable, *partition.ends])
            lost += len(partition.values) - kept
            self._end_at(partition, kept)
        return lost

    def cut(self, number: int, end: int) -> None:
        """Lose records that were durable: what no log may do, and some did."""
        self._end_at(self.partitions[number], end)
        for follower in list(self.followers):
            follower.wake()

    def grow(self, number: int, value: bytes) -> None:
        """Another program appends a record."""
        partition = self.partitions[number]
        partition.values.append(value)
        partition.durable = len(partition.values)
        for follower in list(self.followers):
            follower.wake_for(number)

    def _end_at(self, partition: Partition, end: int) -> None:
        del partition.values[end:]
        partition.durable = end
        partition.ends.clear()
        partition.life += 1

    def _become_durable(  # noqa: PLR0917 - what was noted when it was written.
        self,
        where: object,
        number: int,
        first: int,
        count: int,
        life: int,
        answer: asyncio.Future[object] | None,
    ) -> None:
        partition, back_s = self.partitions[number], self.requests.some_s()
        if partition.life != life:  # It crashed meanwhile; some of it may be there.
            if answer is not None:
                self.timers.later(where, back_s, fail, answer, uncertain("log.append"))
            return
        # A log is one sequence: what stands before is durable too.
        if first + count > partition.durable:
            partition.durable = first + count
            partition.ends = [end for end in partition.ends if end > partition.durable]
        if answer is not None:
            self.timers.later(where, back_s, succeed, answer, first)
        for follower in self.followers:
            follower.wake_for(number)

    def read(self, number: int, index: int, max_records: int, max_bytes: int) -> list[bytes]:
        """Give durable records from an index on, at least one."""
        partition = self.partitions[number]
        if not 0 <= index < partition.durable:
            raise Diverged(
                f"Index {index} is not in partition {number}: it ends at {partition.durable}.",
                reason="INDEX_NOT_IN_LOG",
            )
        found: list[bytes] = []
        size = 0
        for value in partition.values[index : min(index + max_records, partition.durable)]:
            found.append(value)
            size += len(value)
            if size >= max_bytes:
                break
        return found


class SimLog:
    """A `ScanLog`: one process's way to the cluster."""

    def __init__(self, cluster: LogCluster) -> None:
        self._cluster = cluster
        self._closed = False

    def close(self) -> None:
        """End it; followers and callers are told."""
        self._closed = True
        for follower in list(self._cluster.followers):
            if follower.log is self:
                follower.wake()

    @property
    def identity(self) -> LogIdentity:
        return self._cluster.identity

    async def append(self, partition: int, keys: Sequence[bytes], values: Sequence[bytes]) -> int:
        self.check_open()
        _check(keys, values, self.identity.record_bytes_max)
        cluster = self._cluster
        where = cluster.timers.here()
        values = list(values)
        answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        cluster.requests.send(
            "log.append",
            lambda: cluster.write(where, partition, values, answer),
            answer,
            quiet=lambda: cluster.write(where, partition, values, None),
        )
        first = await answer
        assert isinstance(first, int)
        return first

    async def read(self, partition: int, index: int, max_records: int) -> Sequence[bytes]:
        return await self._ask(
            lambda: self._cluster.read(partition, index, max_records, READ_BYTES_MAX)
        )

    async def bounds(self, partition: int) -> Bounds:
        return await self._ask(lambda: Bounds(0, self._cluster.partitions[partition].durable))

    @asynccontextmanager
    async def follow(self, reader: str, assignment: Assignment) -> AsyncIterator[SimFollower]:
        self.check_open()
        follower = SimFollower(self, self._cluster, self._cluster.group(reader), assignment)
        self._cluster.followers[follower] = None
        try:
            yield follower
        finally:
            await follower.leave()
            self._cluster.followers.pop(follower, None)

    def check_open(self) -> None:
        """Raise Closed after the end."""
        if self._closed:
            raise Closed("The log has been closed.", reason="CLOSED")

    async def _ask(self, effect: Callable[[], T]) -> T:
        self.check_open()
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._cluster.requests.send("log.look", effect, answer)  # type: ignore[arg-type]
        return await answer


def _check(keys: Sequence[bytes], values: Sequence[bytes], record_bytes_max: int) -> None:
    if len(keys) != len(values) or not 0 < len(values) <= APPEND_RECORDS_MAX:
        raise Refused("This is no append.", reason="APPEND_MALFORMED")
    largest = max(map(len, values))
    if largest > record_bytes_max or sum(map(len, keys)) + sum(map(len, values)) > APPEND_BYTES_MAX:
        raise TooLarge("An append is too large.", reason="APPEND_TOO_LARGE")
