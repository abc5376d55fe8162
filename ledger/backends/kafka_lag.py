"""How far the readers of a name are, for who may not look into their store: what they last told
their consumer group.

It is some seconds old, and may be ahead of the store by what is on its way there: enough to slow
senders by, and nothing else is decided by it.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
)

from ledger.backends.kafka_link import KafkaLink, unreachable
from ledger.backends.kafka_wire import committed_places
from ledger.errors import Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from ledger.backends.kafka_cluster import KafkaCluster
    from ledger.scan_log import LogIdentity

ASK_S: Final = 10.0
"""Longest wait for the group's answer."""


class KafkaLag:
    """Asks one group. Connects when it is first asked."""

    def __init__(self, cluster: KafkaCluster, reader: str, log: LogIdentity) -> None:
        self._group = cluster.group(reader, log.name)
        self._topic = cluster.topic(log.name, log.generation)
        self._partitions = range(log.partitions)
        self._link = KafkaLink(cluster)

    async def reached(self) -> Mapping[int, int]:
        """Give the next index of each partition that readers told of. Raises Busy where nobody
        answers, and Refused where we have no right to know.
        """
        try:
            async with asyncio.timeout(ASK_S):
                client = await self._link.connect()
                return await committed_places(client, self._group, self._topic, self._partitions)
        except (GroupAuthorizationFailedError, TopicAuthorizationFailedError) as error:
            raise Refused(
                f"Kafka does not tell us how far the readers in the consumer group "
                f"`{self._group}` are ({error}). Give us the right `Describe` on that group, as "
                f"`parcel-ledger init --dry-run` prints it.",
                reason="KAFKA_NO_RIGHT",
                metadata={"group": self._group},
            ) from error
        except (KafkaError, TimeoutError) as error:
            # Perhaps all brokers that we know of have gone.
            self._link.renew()
            raise unreachable(f"the group `{self._group}`: {str(error) or 'no answer'}") from error

    async def close(self) -> None:
        """Close the connections."""
        await self._link.close()


@asynccontextmanager
async def open_kafka_lag(
    cluster: KafkaCluster, *, reader: str, log: LogIdentity
) -> AsyncIterator[KafkaLag]:
    """Open the way to the group of the readers of a name."""
    lag = KafkaLag(cluster, reader, log)
    try:
        yield lag
    finally:
        await lag.close()
