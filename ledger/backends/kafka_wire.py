"""The requests that we send to Kafka's brokers ourselves, on connections of aiokafka.

aiokafka promises its producer and consumer, not what is used here: all of that is in this file, in
`kafka_link` and in `kafka_records`, so that a new version breaks there, and their tests say how.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import aiokafka.client
from aiokafka.errors import IncompatibleBrokerVersion, NodeNotReadyError, NoError, for_code
from aiokafka.protocol.admin import CreateTopicsRequest, DescribeConfigsRequest
from aiokafka.protocol.api import RequestHeader_v1, ResponseHeader_v0
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.protocol.transaction import InitProducerIdRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from io import BytesIO

    from aiokafka.client import AIOKafkaClient

ACKS_ALL: Final = -1
"""The leader answers when all replicas that are in sync have the records."""

PRODUCE_ANSWER_MS: Final = 8_000
"""How long a leader waits for the replicas before it says that it does not know. Below the wait for
a request, so that the other partitions in it get their answers.
"""

EARLIEST: Final = -2
LATEST: Final = -1

TOPIC: Final = 2
"""A topic, among the things that have settings."""

GROUP: Final = 0
"""A consumer group, among the things that a broker coordinates."""

UNKNOWN_TOPIC: Final = 3
TOPIC_EXISTS: Final = 36


class _CarefulMetadataRequest(MetadataRequest):  # type: ignore[misc] # aiokafka has no types.
    """Asks about topics without making those that are missing, which brokers do by default."""

    def __init__(
        self, topics: Sequence[str] | None = None, allow_auto_topic_creation: bool | None = None
    ) -> None:
        super().__init__(topics, allow_auto_topic_creation or False)


# A log that was deleted would come back empty, with the broker's default settings.
aiokafka.client.MetadataRequest = _CarefulMetadataRequest


class Produced(NamedTuple):
    """What became of one partition's batch."""

    partition: int
    code: int
    offset: int
    """Of the first record; below 0 where the broker does not know it."""


class Fetched(NamedTuple):
    """What one partition had."""

    partition: int
    code: int
    next_index: int
    """Where the partition ends, for readers."""
    data: bytes
    """Record batches; the last one may be cut off."""


class TopicFacts(NamedTuple):
    """What the cluster says about a topic."""

    replicas: Sequence[int]
    """How many of them each partition has."""
    leaders: int
    """How many partitions have a leader."""
    settings: Mapping[str, str]


async def produce(
    client: AIOKafkaClient, node: int, topic: str, batches: Sequence[tuple[int, bytearray]]
) -> Sequence[Produced]:
    """Hand encoded record batches to their leader, one for each partition."""
    answer: Sequence[Produced] = await client.send(node, _Produce(topic, batches))
    return answer


async def fetch(
    client: AIOKafkaClient,
    node: int,
    topic: str,
    places: Sequence[tuple[int, int, int]],
    *,
    max_wait_ms: int,
    max_bytes: int,
) -> Sequence[Fetched]:
    """Get record batches of partitions from their leader: (partition, index, most bytes) each.

    Waits up to `max_wait_ms` where there are none. A batch is never split, so the first may have
    more bytes than wanted.
    """
    request = FetchRequest(max_wait_ms, 1, max_bytes, 0, [(topic, list(places))])
    answer = await client.send(node, request)
    return [
        Fetched(partition, code, end, bytes(more[-1]))
        for _, partitions in answer.topics
        for partition, code, end, *more in partitions
    ]


async def find_offset(
    client: AIOKafkaClient, node: int, topic: str, partition: int, where: int
) -> int:
    """Ask a leader where a partition begins (EARLIEST) or ends (LATEST)."""
    answer = await client.send(node, OffsetRequest(-1, 0, [(topic, [(partition, where)])]))
    [(_, [(_, code, _, offset)])] = answer.topics
    _check(code)
    return int(offset)


async def new_producer(client: AIOKafkaClient) -> tuple[int, int]:
    """Get the id and epoch under which a broker tells our batches from their repeats."""
    answer = await _ask_any(client, InitProducerIdRequest(None, 0))
    _check(answer.error_code)
    return answer.producer_id, answer.producer_epoch


async def committed_places(
    client: AIOKafkaClient, group: str, topic: str, partitions: Sequence[int]
) -> Mapping[int, int]:
    """Ask a consumer group how far it is, by partition; without those of which it was never told,
    or not for so long that the broker forgot.
    """
    answer = await _ask_any(client, FindCoordinatorRequest(group, GROUP))
    _check(answer.error_code)
    request = OffsetFetchRequest(group, [(topic, list(partitions))])
    answer = await client.send(answer.coordinator_id, request)
    _check(answer.error_code)
    places = {}
    for _, found in answer.topics:
        for partition, place, _, code in found:
            _check(code)
            if place >= 0:
                places[partition] = place
    return places


async def describe_topic(client: AIOKafkaClient, topic: str) -> TopicFacts | None:
    """Tell what a topic is like; None where there is no such topic."""
    answer = await _ask_any(client, _CarefulMetadataRequest([topic]))
    [(code, _, _, partitions)] = answer.topics
    if code == UNKNOWN_TOPIC:
        return None
    _check(code)
    by_number = sorted((number, leader, len(nodes)) for _, number, leader, nodes, *_ in partitions)
    request = DescribeConfigsRequest([(TOPIC, topic, None)], include_synonyms=False)
    answer = await _ask_any(client, request)
    [(code, message, _, _, entries)] = answer.resources
    if code == UNKNOWN_TOPIC:
        return None  # This broker has not heard of it yet.
    _check(code, message)
    return TopicFacts(
        [count for _, _, count in by_number],
        sum(leader >= 0 for _, leader, _ in by_number),
        {name: value or "" for name, value, *_ in entries},
    )


async def create_topic(
    client: AIOKafkaClient,
    topic: str,
    *,
    partitions: int,
    replication: int,
    settings: Mapping[str, str],
    timeout_s: float,
) -> bool:
    """Make a topic; tell whether it was missing."""
    wanted: tuple[object, ...] = (topic, partitions, replication, [], list(settings.items()))
    request = CreateTopicsRequest([wanted], int(timeout_s * 1_000), validate_only=False)
    answer = await _ask_any(client, request)
    [(_, code, message)] = answer.topic_errors
    if code == TOPIC_EXISTS:
        return False
    _check(code, message)
    return True


async def _ask_any(client: AIOKafkaClient, request: object) -> Any:  # noqa: ANN401
    """Ask a broker that answers; all know the same."""
    for broker in client.cluster.brokers():
        if await client.ready(broker.nodeId):
            return await client.send(broker.nodeId, request)
    raise NodeNotReadyError("no broker answers")


def _check(code: int, message: str | None = None) -> None:
    error = for_code(code)
    if error is not NoError:
        raise error(message) if message else error()


class _Produce:
    """A produce request in version 7, written and read here: aiokafka's own takes 35 µs for each
    partition in it, this one 3.
    """

    API_KEY = 0
    API_VERSION = 7
    required_acks = ACKS_ALL

    def __init__(self, topic: str, batches: Sequence[tuple[int, bytearray]]) -> None:
        self._topic = topic.encode()
        self._batches = batches

    def prepare(self, versions: Mapping[int, tuple[int, int]]) -> _Produce:
        """Give the request in a version that the broker knows."""
        lowest, highest = versions[self.API_KEY]
        if not lowest <= self.API_VERSION <= highest:
            raise IncompatibleBrokerVersion(f"no version 7 of Produce, but {lowest} to {highest}")
        return self

    def build_request_header(self, correlation_id: int, client_id: str) -> Any:  # noqa: ANN401
        """Give the header."""
        return RequestHeader_v1(self, correlation_id=correlation_id, client_id=client_id)

    def encode(self) -> bytes:
        """Give the body."""
        parts: list[bytes | bytearray] = [
            struct.pack(">hhiih", -1, ACKS_ALL, PRODUCE_ANSWER_MS, 1, len(self._topic)),
            self._topic,
            struct.pack(">i", len(self._batches)),
        ]
        for partition, batch in self._batches:
            parts += (struct.pack(">ii", partition, len(batch)), batch)
        return b"".join(parts)

    def parse_response_header(self, answer: BytesIO) -> Any:  # noqa: ANN401
        """Read the header of the answer."""
        return ResponseHeader_v0.decode(answer)

    class RESPONSE_TYPE:  # noqa: N801 - what aiokafka calls it.
        """The answer."""

        @staticmethod
        def decode(answer: BytesIO) -> Sequence[Produced]:
            """Read the body of the answer."""
            body = answer.read()
            (name_length,) = struct.unpack_from(">h", body, 4)
            (count,) = struct.unpack_from(">i", body, 6 + name_length)
            start = 10 + name_length
            one = struct.Struct(">ihqqq")
            results = one.iter_unpack(body[start : start + count * one.size])
            return [Produced(partition, code, offset) for partition, code, offset, *_ in results]
