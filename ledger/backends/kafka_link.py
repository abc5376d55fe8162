"""A client of aiokafka's for one topic: made when it is needed, and made anew when it fell silent.

A client that knows only brokers that are gone asks no others; a new one begins at the bootstrap
addresses again. Closing waits for what is being connected, since a cancelled connection leaks.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from ledger.backends.kafka_cluster import RETRY_S
from ledger.errors import Busy, Closed, LedgerError, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ledger.backends.kafka_cluster import KafkaCluster

CLOSE_S: Final = 3.0
"""Longest wait for connections to close."""

LOOK_S: Final = 0.25
"""Shortest time between two questions who leads what, where one error comes after the other."""

WHY_MS: Final = 2_000
"""How long is looked for the reason why no broker could be reached."""

_REFUSALS: Final = (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
    ssl.SSLCertVerificationError,
)
"""Errors that only another setting helps against."""


class KafkaLink:
    """A way to the leaders of one topic."""

    def __init__(self, cluster: KafkaCluster, topic: str = "") -> None:
        """Without a topic it is for asking about any."""
        self.topic = topic
        self._options = cluster.client_options()
        self._bootstrap = cluster.bootstrap
        self._client: AIOKafkaClient | None = None
        self._connecting: asyncio.Task[AIOKafkaClient] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False
        self._looked = 0.0

    @property
    def client(self) -> AIOKafkaClient | None:
        """The client, where there is one now."""
        return self._client

    async def connect(self) -> AIOKafkaClient:
        """Give the client; make one where there is none. Raises Busy or Refused."""
        if self._closed:
            raise Closed("The log has been closed.", reason="CLOSED")
        if self._client is not None:
            return self._client
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._connect())
            self._connecting.add_done_callback(self._connected)
        # Others wait for the same one, and a cancelled connection would leak.
        return await asyncio.shield(self._connecting)

    def leader(self, partition: int) -> int | None:
        """Name the node that leads a partition, as far as is known."""
        if self._client is None:
            return None
        node = self._client.cluster.leader_for_partition(TopicPartition(self.topic, partition))
        return None if node in {None, -1} else node

    def look_again(self) -> None:
        """Ask the brokers who leads what, in the background; not again and again."""
        now = asyncio.get_running_loop().time()
        if self._client is not None and now - self._looked > LOOK_S:
            self._looked = now
            self._client.force_metadata_update()

    async def answers(self) -> bool:
        """Tell whether any broker answers."""
        client = await self.connect()
        return bool(await client.force_metadata_update())

    def renew(self) -> None:
        """Give the client up, with what is on its way; the next `connect` makes a new one."""
        if self._client is not None:
            closing = asyncio.create_task(_close(self._client))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
            self._client = None

    async def close(self) -> None:
        """Close the connections."""
        self._closed = True
        if self._connecting is not None:
            await asyncio.wait([self._connecting], timeout=CLOSE_S)
            self._connecting.cancel()
            with suppress(asyncio.CancelledError, LedgerError):
                await self._connecting
        self.renew()
        if self._closing:
            await asyncio.wait(self._closing)

    async def _connect(self) -> AIOKafkaClient:
        client = AIOKafkaClient(**self._options)
        try:
            await client.bootstrap()
            if self.topic:
                await client.set_topics([self.topic])
        except KafkaConnectionError as error:
            await _close(client)
            raise await self._why(error) from error
        except BaseException:
            await _close(client)
            raise
        return client

    def _connected(self, task: asyncio.Task[AIOKafkaClient]) -> None:
        self._connecting = None
        if not task.cancelled() and not task.exception():
            self._client = task.result()

    async def _why(self, error: KafkaError) -> LedgerError:
        """Find out what aiokafka only logs."""
        options: Mapping[str, object] = {
            name: value
            for name, value in self._options.items()
            if name.startswith(("sasl", "ssl", "security"))
        }
        reasons: dict[str, None] = {}
        for address in self._bootstrap.split(","):
            host, _, port = address.strip().rpartition(":")
            try:
                connection = await create_conn(
                    host.strip("[]"), int(port), request_timeout_ms=WHY_MS, **options
                )
                connection.close()
            except _REFUSALS as reason:
                return Refused(
                    f"Kafka at {address} does not let us in: {reason!s}.",
                    reason="KAFKA_REFUSES_US",
                    metadata={"broker": address},
                )
            except (OSError, KafkaError, TimeoutError) as reason:
                reasons[f"{address}: {reason or type(reason).__name__}"] = None
        return unreachable("; ".join(reasons) or str(error))


async def _close(client: AIOKafkaClient) -> None:
    with suppress(TimeoutError, KafkaError):
        async with asyncio.timeout(CLOSE_S):
            await client.close()


def unreachable(why: str) -> Busy:
    """Say that no broker, or not the one that it takes, can be reached."""
    return Busy(
        f"Kafka cannot be reached ({why}).", reason="LOG_UNREACHABLE", retry_after_s=5 * RETRY_S
    )
