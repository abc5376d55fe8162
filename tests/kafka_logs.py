"""Logs on a real Kafka: each folder of a test has topics of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient

from ledger.backends.kafka_cluster import KafkaCluster
from ledger.backends.kafka_link import KafkaLink
from ledger.backends.kafka_topics import create_topics, wanted_topic
from ledger.backends.kafka_wire import create_topic
from ledger.backends.log_kafka import KafkaScanLog, open_kafka_log
from ledger.position import SCANS_LOG
from tests.contracts.patience import PATIENCE_S

PARTITIONS = 4
"""Enough to tell partitions apart."""


def cluster_of(bootstrap: str, folder: Path, **options: object) -> KafkaCluster:
    """One broker is enough, and the topics of a folder are its own."""
    some: dict[str, Any] = {"single_broker": True, "replication": 1, **options}
    prefix = f"test-{sha256(str(folder).encode()).hexdigest()[:12]}-"
    return KafkaCluster(bootstrap=bootstrap, topic_prefix=prefix, **some)


@asynccontextmanager
async def opened_on(
    cluster: KafkaCluster, *, name: str = SCANS_LOG, partitions: int = PARTITIONS
) -> AsyncIterator[KafkaScanLog]:
    """Makes the topics where they are missing, and opens one of the logs."""
    await create_topics(cluster, generation=1, partitions=partitions)
    async with open_kafka_log(cluster, name=name, generation=1, partitions=partitions) as log:
        yield log


async def make_topic(
    cluster: KafkaCluster,
    settings: Mapping[str, str] | None = None,
    *,
    log: str = SCANS_LOG,
    partitions: int = PARTITIONS,
) -> str:
    """Makes a log's topic as it should be but for some settings; gives its name."""
    topic = wanted_topic(cluster, log=log, generation=1, partitions=partitions)
    async with asking(cluster) as client:
        await create_topic(
            client,
            topic.name,
            partitions=partitions,
            replication=cluster.replication,
            settings={**topic.settings, **(settings or {})},
            timeout_s=20,
        )
    return topic.name


@asynccontextmanager
async def asking(cluster: KafkaCluster) -> AsyncIterator[AIOKafkaClient]:
    """A client for some requests."""
    link = KafkaLink(cluster)
    try:
        yield await link.connect()
    finally:
        await link.close()


@asynccontextmanager
async def administering(cluster: KafkaCluster) -> AsyncIterator[AIOKafkaAdminClient]:
    """A client for what no role does: changing and deleting topics."""
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def until(condition: Callable[[], bool]) -> None:
    """Waits until something is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - of what goes on elsewhere, in tasks and brokers.
            await asyncio.sleep(0.05)
