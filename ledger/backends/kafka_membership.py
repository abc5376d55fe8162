"""A member of a consumer group: which partitions are ours, and who is told when they come and go.

aiokafka's consumer does this and only this: all its partitions are paused as they come, so it never
fetches, and what its callbacks may not do (wait, fail) is done elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError, NoOffsetForPartitionError

from ledger import metrics
from ledger.backends.kafka_link import unreachable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from ledger.backends.kafka_cluster import KafkaCluster

logger = logging.getLogger(__name__)

SESSION_S: Final = 10.0
"""After so long without a sign of life a member is taken for dead, and others get its partitions.
"""

HEARTBEAT_S: Final = 1.0
"""How often a member shows that it lives, and learns that others came or went."""

REBALANCE_S: Final = 20.0
"""How long the others wait for a member that has to finish first; then they go on without it."""

JOIN_ANSWER_S: Final = REBALANCE_S + 10.0
"""Longest wait for an answer of the group: it comes when all members have joined."""

REST_S: Final = 0.5
"""How often is asked who leads the group, while nobody says it."""

LOOK_S: Final = 0.5
"""How often is looked whether the group has something to say against us."""

AGREE_S: Final = 60.0
"""After so long without an agreement about the partitions we join anew: every member had its time
to finish, and the cluster to come back.
"""

STOP_S: Final = 5.0
"""Longest wait for the farewell to a group; without it the others wait SESSION_S."""


class Membership:
    """One member. `stop` ends it, also where it never began."""

    def __init__(
        self,
        cluster: KafkaCluster,
        topic: str,
        group: str,
        *,
        on_lost: Callable[[], Awaitable[None]],
        on_change: Callable[[], None],
        monotonic: Callable[[], float],
    ) -> None:
        """`on_lost` is awaited before others get our partitions, `on_change` at each change."""
        self._topic = topic
        self._options = {
            **cluster.client_options(),
            "request_timeout_ms": int(JOIN_ANSWER_S * 1_000),
            "retry_backoff_ms": int(REST_S * 1_000),
            "group_id": group,
            "partition_assignment_strategy": (_sticky_assignor(),),
            "enable_auto_commit": False,
            "auto_offset_reset": "none",
            "session_timeout_ms": int(SESSION_S * 1_000),
            "heartbeat_interval_ms": int(HEARTBEAT_S * 1_000),
            "rebalance_timeout_ms": int(REBALANCE_S * 1_000),
            "consumer_timeout_ms": 1_000,
        }
        self._on_lost = on_lost
        self._on_change = on_change
        self._monotonic = monotonic
        self._consumer: AIOKafkaConsumer | None = None
        self._starting: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[KafkaError | None] | None = None
        self._since = 0.0
        """Since when the partitions are shared out."""
        self.assigned: Sequence[int] | None = None
        """Our partitions; None while they are shared out."""

    async def join(self) -> None:
        """Be a member, or go on trying. Raises Busy where cluster or group do not let us."""
        if self._consumer is None:
            if self._starting is None:
                self._starting = asyncio.create_task(self._start())
            # A start that is cancelled would leak a connection.
            await asyncio.shield(self._starting)
        elif self._looking is None:
            # It returns soon, or, while partitions are shared out, when that is done.
            self._looking = asyncio.create_task(self._look(self._consumer))
        elif self._looking.done():
            looking, self._looking = self._looking, None
            if error := looking.result():
                await self._leave()
                raise unreachable(f"the consumer group: {error}")
        if self.assigned is None and self._monotonic() - self._since > AGREE_S:
            await self._leave()
            raise unreachable(f"the consumer group has not agreed for {AGREE_S:.0f} seconds")

    async def commit(self, places: Mapping[int, int]) -> None:
        """Tell the group how far we are: nothing rests on it, so no error of it matters."""
        if not places or self._consumer is None or self.assigned is None:
            return
        # An error of any kind: aiokafka has several for partitions that just went.
        with suppress(Exception):
            await self._consumer.commit(
                {TopicPartition(self._topic, number): place for number, place in places.items()}
            )

    async def stop(self) -> None:
        """Leave the group, for good."""
        starting = self._starting  # It forgets itself when it is done.
        if starting is not None:
            await asyncio.wait([starting], timeout=STOP_S)
            starting.cancel()
            await asyncio.wait([starting])
        await self._leave()

    async def _leave(self) -> None:
        """Leave the group; the next `join` begins anew."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
            self._looking = None
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            if self.assigned is not None:
                await self.lost()
            await _stop(consumer)

    async def _start(self) -> None:
        consumer = AIOKafkaConsumer(**self._options)
        try:
            await consumer.start()
        except KafkaError as error:
            await _stop(consumer)
            raise unreachable(str(error)) from error
        except BaseException:
            await _stop(consumer)
            raise
        finally:
            self._starting = None
        self._consumer = consumer
        self._since = self._monotonic()
        consumer.subscribe([self._topic], listener=_Listener(self, consumer))

    async def _look(self, consumer: AIOKafkaConsumer) -> KafkaError | None:
        try:
            # Nothing comes, as all is paused. It also says that we are at work.
            await consumer.getmany(timeout_ms=0)
            await asyncio.sleep(LOOK_S)
        except NoOffsetForPartitionError:
            return None  # We never ask for one; it is asked for before we are told.
        except KafkaError as error:
            return error
        return None

    async def lost(self) -> None:
        """Have what is in flight finished."""
        self.assigned = None
        self._since = self._monotonic()
        self._on_change()
        await self._on_lost()

    def gained(self, partitions: Sequence[int]) -> None:
        """Say what is ours from now on."""
        self.assigned = partitions
        metrics.LOG_REBALANCES.inc()
        self._on_change()


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka has no types.
    """What aiokafka calls. An error in here would be logged and forgotten."""

    def __init__(self, membership: Membership, consumer: AIOKafkaConsumer) -> None:
        self._membership = membership
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """All are taken from all members at any change."""
        await self._membership.lost()

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Not async: records from a committed place could come in between."""
        for each in assigned:
            self._consumer.seek(each, 0)  # Any place will do: without one, it looks for one.
        self._consumer.pause(*assigned)
        self._membership.gained(sorted(each.partition for each in assigned))


def _sticky_assignor() -> type[Any]:
    """Make an assignor for one member: aiokafka's keeps what it remembers in its class."""
    return type(
        "OwnStickyAssignor",
        (StickyPartitionAssignor,),
        {"member_assignment": None, "generation": -1},
    )


async def _stop(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer, also where its group keeps it waiting."""
    stopping = asyncio.create_task(consumer.stop())
    done, _ = await asyncio.wait([stopping], timeout=STOP_S)
    if not done:
        # What it waits for fails then.
        with suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(STOP_S):
                await consumer._client.close()
        await asyncio.wait([stopping], timeout=STOP_S)
        stopping.cancel()
    with suppress(KafkaError, asyncio.CancelledError):
        await stopping
