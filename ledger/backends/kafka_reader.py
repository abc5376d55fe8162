"""Records by their index, and where a partition begins and ends: each call for itself, any number
at once.

A fetch says the same about an index before the beginning and beyond the end, and nothing about one
at the end. So whoever finds nothing asks for the bounds, and only they decide.
"""

from __future__ import annotations

import asyncio
from itertools import accumulate
from typing import TYPE_CHECKING, Final, TypeVar

from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    NoError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
    for_code,
)

from ledger.backends.kafka_cluster import RETRY_S
from ledger.backends.kafka_link import KafkaLink, unreachable
from ledger.backends.kafka_records import read_batches
from ledger.backends.kafka_wire import EARLIEST, LATEST, Fetched, fetch, find_offset
from ledger.errors import Busy, Diverged
from ledger.scan_log import Bounds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from aiokafka.client import AIOKafkaClient

    from ledger.backends.kafka_cluster import KafkaCluster

READ_S: Final = 10.0
"""Longest that a read takes while the log cannot be reached."""

REST_S_MAX: Final = 1.0
"""Longest wait before a leader that did not answer is asked again."""

READ_BYTES_MAX: Final = 1 << 20
"""Where a read ends, as the port says."""

NO_RIGHT: Final = (TopicAuthorizationFailedError, GroupAuthorizationFailedError)
"""Errors that asking again does not help against, until somebody gives us the right."""

T = TypeVar("T")


class KafkaReader:
    """Reads one topic."""

    def __init__(
        self, cluster: KafkaCluster, topic: str, *, log: str, record_bytes_max: int
    ) -> None:
        """`log` is its name for people; `record_bytes_max` is what is asked for at least."""
        self._record_bytes_max = record_bytes_max
        self._link = KafkaLink(cluster, topic)
        self._topic = topic
        self._log = log

    async def read(self, partition: int, index: int, max_records: int) -> Sequence[bytes]:
        """Read values from an index on, at least one."""
        values: list[bytes] = []
        size = 0
        while len(values) < max_records and size < READ_BYTES_MAX:
            at = index + len(values)
            more = await self._read_some(partition, at, max_records - len(values))
            if not more and values:
                break
            if not more:
                await self.check_within(partition, at)
                # It is there; a leader that has just begun does not show all yet.
                await asyncio.sleep(RETRY_S)
            values += more
            size += sum(map(len, more))
        sizes = accumulate(map(len, values))
        full = next((at for at, size in enumerate(sizes, 1) if size >= READ_BYTES_MAX), len(values))
        return values[:full]

    async def bounds(self, partition: int) -> Bounds:
        """Ask the leader where the partition begins and ends."""

        async def ask(client: AIOKafkaClient, node: int) -> Bounds:
            first, end = [
                await find_offset(client, node, self._topic, partition, where)
                for where in (EARLIEST, LATEST)
            ]
            return Bounds(first, end)

        return await self._insist(partition, ask)

    async def check_within(self, partition: int, index: int, *, at_end: bool = False) -> None:
        """Raise Diverged unless a record is at that index, or, where allowed, will be next."""
        first, end = await self.bounds(partition)
        if first <= index < end or (at_end and index == end):
            return
        where = f"Index {index} is not in partition {partition} of the log `{self._log}`"
        metadata = {
            "partition": str(partition),
            "index": str(index),
            "first_index": str(first),
            "next_index": str(end),
        }
        if index < first:
            raise Diverged(
                f"{where}: records {index} to {first - 1} are gone. Something deleted them.",
                reason="RECORDS_GONE",
                metadata=metadata,
            )
        raise Diverged(
            f"{where}: it holds {first} to {end - 1}.", reason="INDEX_NOT_IN_LOG", metadata=metadata
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._link.close()

    async def _read_some(self, partition: int, index: int, max_records: int) -> list[bytes]:
        """Read what one fetch gives; nothing where there is nothing at that index."""
        wanted = min(max_records * self._record_bytes_max, READ_BYTES_MAX)

        async def ask(client: AIOKafkaClient, node: int) -> Fetched:
            places = [(partition, index, wanted)]
            [fetched] = await fetch(
                client, node, self._topic, places, max_wait_ms=0, max_bytes=wanted
            )
            error = for_code(fetched.code)
            if error not in {NoError, OffsetOutOfRangeError}:
                raise error
            return fetched

        fetched = await self._insist(partition, ask)
        values: list[bytes] = []
        for batch in read_batches(fetched.data, partition, index):
            values += batch
            if len(values) >= max_records:
                break
        return values[:max_records]

    async def _insist(
        self, partition: int, ask: Callable[[AIOKafkaClient, int], Awaitable[T]]
    ) -> T:
        """Ask the partition's leader until it answers."""
        why = "no answer"
        rest_s = RETRY_S
        try:
            async with asyncio.timeout(READ_S):
                while True:
                    try:
                        client = await self._link.connect()
                        if (node := self._link.leader(partition)) is not None:
                            return await ask(client, node)
                        why = f"partition {partition} has no leader"
                    except NO_RIGHT as error:
                        raise unreachable(str(error)) from error
                    except KafkaError as error:
                        why = str(error)
                    except Busy as error:
                        why = error.message
                    self._link.look_again()
                    await asyncio.sleep(rest_s)
                    rest_s = min(2 * rest_s, REST_S_MAX)
        except TimeoutError:
            # Perhaps all brokers that we know of have gone.
            self._link.renew()
            raise unreachable(why) from None
