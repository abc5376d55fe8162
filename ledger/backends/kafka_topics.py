"""The topics: what they have to be like, making them, and what is wrong with those that are there.

Nothing may eat the log: it is the source of truth. A topic under whose settings a promise would be
untrue is never used, and each such setting is named.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from aiokafka.errors import InvalidReplicationFactorError, KafkaError

from ledger.backends.kafka_cluster import RETRY_S
from ledger.backends.kafka_link import KafkaLink, unreachable
from ledger.backends.kafka_records import BATCH_BYTES_MAX
from ledger.backends.kafka_wire import TopicFacts, create_topic, describe_topic
from ledger.errors import Refused
from ledger.position import LOGS, REFUSALS_LOG
from ledger.v1.ingest_service_pb2 import Durability

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from aiokafka.client import AIOKafkaClient

    from ledger.backends.kafka_cluster import KafkaCluster

CREATE_S: Final = 30.0
"""How long a cluster may take to make a topic and to give each partition a leader."""

ASSEMBLE_S: Final = 10.0
"""How long brokers are waited for that a topic needs: those of a cluster that has just been started
come one by one.
"""

APPEAR_S: Final = 2.0
"""How long a topic is looked for before it is said to be missing: not all brokers hear of a new one
at once.
"""

MESSAGE_BYTES_MAX: Final = 2 << 20
"""Most bytes of a batch that the topics take: more than our largest, with room for a larger one."""

DAY_MS: Final = 86_400_000

LEAST_COPIES: Final = 2
"""Replicas that must have a record before it is acknowledged, unless a single broker is accepted:
then the loss of any one machine loses nothing.
"""

_REFUSED_CODES: Final = frozenset({17, 29, 31, 36, 37, 38, 39, 40, 41, 42, 44})


class WantedTopic(NamedTuple):
    """A topic as it has to be."""

    name: str
    partitions: int
    replication: int
    settings: Mapping[str, str]


def wanted_topics(
    cluster: KafkaCluster, *, generation: int, partitions: int
) -> Sequence[WantedTopic]:
    """Give all topics of one generation."""
    return [
        wanted_topic(cluster, log=log, generation=generation, partitions=partitions) for log in LOGS
    ]


def wanted_topic(
    cluster: KafkaCluster, *, log: str, generation: int, partitions: int
) -> WantedTopic:
    """Give the topic of one generation of a log. Nothing is ever deleted, but for refused scans."""
    is_kept_for_good = log != REFUSALS_LOG
    retention_ms = "-1" if is_kept_for_good else str(cluster.refusals_retention_days * DAY_MS)
    settings = {
        "cleanup.policy": "delete",
        "retention.ms": retention_ms,
        "retention.bytes": "-1",
        "unclean.leader.election.enable": "false",
        "min.insync.replicas": str(min(LEAST_COPIES, cluster.replication)),
        "max.message.bytes": str(MESSAGE_BYTES_MAX),
        "message.timestamp.type": "LogAppendTime",
        "compression.type": "producer",
    }
    return WantedTopic(cluster.topic(log, generation), partitions, cluster.replication, settings)


async def create_topics(
    cluster: KafkaCluster, *, generation: int, partitions: int
) -> Sequence[str]:
    """Make the topics that are missing, and wait until they can be used; return their names.

    Topics that are there are left as they are. Raises Refused where the cluster does not let us, or
    cannot; Busy where it cannot be reached.
    """
    made = []
    async with _asking(cluster) as client:
        for topic in wanted_topics(cluster, generation=generation, partitions=partitions):
            if await _create(client, topic):
                await _wait_for_leaders(client, topic)
                made.append(topic.name)
    return made


async def check_topics(cluster: KafkaCluster, *, generation: int, partitions: int) -> Sequence[str]:
    """Tell in words what is wrong with the topics; nothing where the list is empty.

    Takes the right to describe them and their settings. Raises Busy or Refused where the cluster
    cannot be asked.
    """
    topics = wanted_topics(cluster, generation=generation, partitions=partitions)
    async with _asking(cluster) as client:
        # Together: each that is missing is looked for a while.
        found = await asyncio.gather(*(_facts(client, topic) for topic in topics))
    faults = [faults_of(cluster, topic, facts) for topic, facts in zip(topics, found, strict=True)]
    return [fault for of_topic in faults for fault in of_topic]


async def look_at_topic(cluster: KafkaCluster, topic: WantedTopic) -> Durability.ValueType:
    """Tell what a topic promises. Raises Refused, naming each fault, where it promises too little;
    Busy or Refused where the cluster cannot be asked.
    """
    async with _asking(cluster) as client:
        facts = await _facts(client, topic)
    faults = faults_of(cluster, topic, facts)
    if faults or facts is None:
        raise Refused(
            f"The topic `{topic.name}` cannot be a log: {' '.join(faults)}",
            reason="TOPIC_UNFIT",
            metadata={"topic": topic.name},
        )
    if facts.settings.get("flush.messages") == "1":
        return Durability.DURABILITY_SYNCED
    if copies_of(facts) >= LEAST_COPIES:
        return Durability.DURABILITY_REPLICATED
    return Durability.DURABILITY_WRITTEN


def copies_of(facts: TopicFacts) -> int:
    """Tell how many replicas have a record before it is acknowledged. A topic with fewer replicas
    than `min.insync.replicas` acknowledges all the same.
    """
    return min(int(facts.settings.get("min.insync.replicas", "1")), *facts.replicas)


def faults_of(cluster: KafkaCluster, topic: WantedTopic, facts: TopicFacts | None) -> list[str]:
    """Tell in words what is wrong with a topic, each fault in a sentence of its own."""
    name, partitions, _, wanted = topic
    if facts is None:
        return [f"The topic `{name}` does not exist; `parcel-ledger init` makes it."]
    has = facts.settings
    faults = []
    if len(facts.replicas) != partitions:
        faults.append(
            f"`{name}` has {len(facts.replicas)} partitions, and the setting says {partitions}: "
            f"records would be filed under other partitions; a new number needs a new generation."
        )
    for setting, why in _NEEDED.items():
        if not _is_as_wanted(setting, has.get(setting, ""), wanted[setting]):
            faults.append(
                f"`{name}` has {setting}={has.get(setting)} instead of {wanted[setting]}: {why}."
            )
    if has.get("compression.type") not in {"producer", "uncompressed"}:
        faults.append(
            f"`{name}` has compression.type={has.get('compression.type')} instead of producer: "
            f"readers may lack what it takes to unpack it."
        )
    if int(has.get("max.message.bytes", "0")) < BATCH_BYTES_MAX:
        faults.append(
            f"`{name}` has max.message.bytes={has.get('max.message.bytes')}: it refuses the "
            f"largest batches, which have {BATCH_BYTES_MAX}; make it {wanted['max.message.bytes']}."
        )
    if not cluster.single_broker:
        faults += _faults_of_copies(name, facts)
    return faults


def _is_as_wanted(setting: str, has: str, wanted: str) -> bool:
    """Tell whether a setting keeps what it has to. What may be deleted may be kept longer too."""
    if setting == "retention.ms" and wanted != "-1":
        return has == "-1" or int(has or "0") >= int(wanted)
    return has == wanted


def _faults_of_copies(name: str, facts: TopicFacts) -> list[str]:
    faults = []
    if (fewest := min(facts.replicas)) < LEAST_COPIES:
        faults.append(
            f"`{name}` has replication factor {fewest}: one broken machine loses acknowledged "
            f"scans; make it 3, or accept that with `single_broker = true`."
        )
    in_sync = facts.settings.get("min.insync.replicas", "1")
    if int(in_sync) < LEAST_COPIES:
        faults.append(
            f"`{name}` has min.insync.replicas={in_sync}: scans would be acknowledged that one "
            f"broker has; make it 2, or accept that with `single_broker = true`."
        )
    return faults


_NEEDED: Final = {
    "cleanup.policy": "anything but plain deletion by retention would take scans of one item away",
    "retention.ms": "what has to be kept would be deleted",
    "retention.bytes": "what has to be kept would be deleted",
    "unclean.leader.election.enable": "a replica that lacks acknowledged scans could become leader",
    "message.timestamp.type": "brokers would refuse scans of a server whose clock is an hour ahead",
}
"""Settings that have one right value, and what another one would do. How much of a topic lies on
the brokers and how much in remote storage does not matter here: retention counts both.
"""


async def _create(client: AIOKafkaClient, topic: WantedTopic) -> bool:
    name, partitions, replication, settings = topic
    tries = int(ASSEMBLE_S / RETRY_S)
    while True:
        try:
            return await create_topic(
                client,
                name,
                partitions=partitions,
                replication=replication,
                settings=settings,
                timeout_s=CREATE_S,
            )
        except InvalidReplicationFactorError:
            if not tries:
                raise
        tries -= 1
        await asyncio.sleep(RETRY_S)


async def _facts(client: AIOKafkaClient, topic: WantedTopic) -> TopicFacts | None:
    facts = await describe_topic(client, topic.name)
    for _ in range(int(APPEAR_S / RETRY_S)):
        if facts is None:
            await asyncio.sleep(RETRY_S)
            facts = await describe_topic(client, topic.name)
    return facts


async def _wait_for_leaders(client: AIOKafkaClient, topic: WantedTopic) -> None:
    try:
        async with asyncio.timeout(CREATE_S):
            while True:
                facts = await describe_topic(client, topic.name)
                if facts and facts.leaders == topic.partitions:
                    return
                await asyncio.sleep(RETRY_S)
    except TimeoutError as error:
        raise unreachable(f"`{topic.name}` was made, but has no leaders yet") from error


@asynccontextmanager
async def _asking(cluster: KafkaCluster) -> AsyncIterator[AIOKafkaClient]:
    """Connect for some questions; say in our words why one was not answered."""
    link = KafkaLink(cluster)
    try:
        yield await link.connect()
    except KafkaError as error:
        code = getattr(error, "errno", None)
        text = ", ".join(str(one) for one in error.args) or getattr(error, "description", "")
        if code in _REFUSED_CODES:
            raise Refused(
                f"Kafka refuses: {type(error).__name__}: {text}", reason="KAFKA_REFUSES"
            ) from error
        raise unreachable(f"{type(error).__name__}: {text}") from error
    finally:
        await link.close()
