"""Logs on a real Kafka: each folder of a test has topics of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from ledger.backends.kafka_cluster import KafkaCluster
from ledger.backends.kafka_topics import create_topics
from ledger.backends.log_kafka import KafkaScanLog, open_kafka_log

PARTITIONS = 4
"""Enough to tell partitions apart."""


def cluster_of(bootstrap: str, folder: Path, **options: object) -> KafkaCluster:
    """One broker is enough, and the topics of a folder are its own."""
    some: dict[str, Any] = {"single_broker": True, "replication": 1, **options}
    prefix = f"test-{sha256(str(folder).encode()).hexdigest()[:12]}-"
    return KafkaCluster(bootstrap=bootstrap, topic_prefix=prefix, **some)


@asynccontextmanager
async def opened_on(
    cluster: KafkaCluster, *, partitions: int = PARTITIONS
) -> AsyncIterator[KafkaScanLog]:
    """Makes the topics where they are missing, and opens the log."""
    await create_topics(cluster, generation=1, partitions=partitions)
    async with open_kafka_log(cluster, generation=1, partitions=partitions) as log:
        yield log
