"""The scan log in Kafka: one topic for each generation, one Kafka partition for each of the log's.

What an acknowledgement promises is read from the topic's settings on opening, and a topic that
promises too little is refused.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ledger.backends.kafka_follower import KafkaFollower
from ledger.backends.kafka_reader import KafkaReader
from ledger.backends.kafka_sender import KafkaSender
from ledger.backends.kafka_topics import look_at_topic, wanted_topic
from ledger.errors import Closed, Diverged, Refused, TooLarge
from ledger.position import SCANS_LOG
from ledger.scan_log import (
    APPEND_BYTES_MAX,
    APPEND_RECORDS_MAX,
    RECORD_BYTES_MAX_OF,
    Bounds,
    LogIdentity,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from ledger.backends.kafka_cluster import KafkaCluster
    from ledger.scan_log import Assignment


class KafkaScanLog:
    """A `ScanLog`. Its parts connect when they are first used: a role pays for what it does."""

    def __init__(
        self, cluster: KafkaCluster, identity: LogIdentity, *, monotonic: Callable[[], float]
    ) -> None:
        self._cluster = cluster
        self._identity = identity
        self._topic = cluster.topic(identity.name, identity.generation)
        self._monotonic = monotonic
        self._sender = KafkaSender(
            cluster, self._topic, identity.partitions, log=identity.name, monotonic=monotonic
        )
        self._reader = KafkaReader(
            cluster,
            self._topic,
            log=identity.name,
            record_bytes_max=identity.record_bytes_max,
        )
        self._followers: set[KafkaFollower] = set()
        self._closed = False

    @property
    def identity(self) -> LogIdentity:
        """Which log this is."""
        return self._identity

    async def append(self, partition: int, keys: Sequence[bytes], values: Sequence[bytes]) -> int:
        """Send one batch, or join one that waits."""
        self._check(partition)
        if len(keys) != len(values) or not 0 < len(values) <= APPEND_RECORDS_MAX:
            raise Refused(
                f"An append has 1 to {APPEND_RECORDS_MAX} records and a key for each of them; this "
                f"has {len(values)} records and {len(keys)} keys.",
                reason="APPEND_MALFORMED",
            )
        size = sum(map(len, keys)) + sum(map(len, values))
        largest = max(map(len, values))
        name, record_bytes_max = self._identity.name, self._identity.record_bytes_max
        if size > APPEND_BYTES_MAX or largest > record_bytes_max:
            raise TooLarge(
                f"An append to the log `{name}` has at most {APPEND_BYTES_MAX} bytes, a record "
                f"{record_bytes_max}; this has {size}, its largest record {largest}.",
                reason="APPEND_TOO_LARGE",
            )
        return await self._sender.append(partition, keys, values, size)

    async def read(self, partition: int, index: int, max_records: int) -> Sequence[bytes]:
        """Fetch from the partition's leader."""
        self._check(partition)
        return await self._reader.read(partition, index, max_records)

    async def bounds(self, partition: int) -> Bounds:
        """Ask the partition's leader."""
        self._check(partition)
        return await self._reader.bounds(partition)

    @asynccontextmanager
    async def follow(self, reader: str, assignment: Assignment) -> AsyncIterator[KafkaFollower]:
        """Join the consumer group of that name, on the first `next`."""
        self.check_open()
        follower = KafkaFollower(self, self._cluster, reader, assignment, monotonic=self._monotonic)
        self._followers.add(follower)
        try:
            yield follower
        finally:
            self._followers.discard(follower)
            await follower.leave()

    def check_open(self) -> None:
        """Raise Closed after the end."""
        if self._closed:
            raise Closed("The log has been closed.", reason="CLOSED")

    async def check_within(self, partition: int, index: int) -> None:
        """Raise Diverged unless a record is at that index, or will be next."""
        await self._reader.check_within(partition, index, at_end=True)

    async def check_same(self, partition: int, index: int, value: bytes) -> None:
        """Raise Diverged where the record at an index is not the one that was read, or is gone. One
        that was trimmed since says nothing.
        """
        if (await self._reader.bounds(partition)).first > index:
            return
        [found] = await self._reader.read(partition, index, 1)
        if found != value:
            raise Diverged(
                f"The log is not the one that was read before: record {index} of partition "
                f"{partition} of the log `{self._identity.name}` has other bytes than when it was "
                f"read. It was cut, and has grown again. Nothing more is read.",
                reason="LOG_DIFFERS",
                metadata={"partition": str(partition), "index": str(index)},
            )

    async def close(self) -> None:
        """Take no more calls, and wait a little for what is on its way."""
        self._closed = True
        for follower in self._followers:
            follower.wake()
        await self._sender.close()
        await self._reader.close()

    def _check(self, partition: int) -> None:
        self.check_open()
        if not 0 <= partition < self._identity.partitions:
            raise Refused(
                f"Partition {partition} is not in 0..{self._identity.partitions - 1}.",
                reason="NO_SUCH_PARTITION",
            )


@asynccontextmanager
async def open_kafka_log(
    cluster: KafkaCluster,
    *,
    name: str = SCANS_LOG,
    generation: int,
    partitions: int,
    monotonic: Callable[[], float] = time.monotonic,
) -> AsyncIterator[KafkaScanLog]:
    """Open a log whose topic is there. Raises Refused, naming each fault, where the topic is not
    fit for one; Busy where the cluster cannot be reached.
    """
    topic = wanted_topic(cluster, log=name, generation=generation, partitions=partitions)
    durability = await look_at_topic(cluster, topic)
    identity = LogIdentity(name, generation, partitions, durability, RECORD_BYTES_MAX_OF[name])
    log = KafkaScanLog(cluster, identity, monotonic=monotonic)
    try:
        yield log
    finally:
        await log.close()
