"""Topics as a client of Kafka sees them: read, made alike, removed; how long their records are."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OF_THE_TOPIC: Final = 1
"""Kafka's number for a setting that was made on the topic itself."""

SAMPLE: Final = 20_000
"""Records whose lengths are looked at."""

ANSWER_MS: Final = 2_000


class Topic(NamedTuple):
    """What a topic is like.

    Attributes:
        partitions: how many.
        replicas: of each.
        settings: those made on the topic itself.
    """

    partitions: int
    replicas: int
    settings: Mapping[str, str]


def read_topic(bootstrap: str, name: str) -> Topic:
    """Read what a topic is like."""
    return asyncio.run(_read_topic(bootstrap, name))


def make_topic(bootstrap: str, name: str, like: Topic) -> None:
    """Make a topic like another."""
    asyncio.run(_make_topic(bootstrap, name, like))


def remove_topic(bootstrap: str, name: str) -> None:
    """Remove a topic with its records."""
    asyncio.run(_remove_topic(bootstrap, name))


def set_on_topic(bootstrap: str, name: str, settings: Mapping[str, str]) -> None:
    """Change settings of a topic, and leave the others."""
    asyncio.run(_set_on_topic(bootstrap, name, settings))


def record_lengths(bootstrap: str, name: str, partitions: int) -> Sequence[int]:
    """Give the lengths, key and value, of the first records of a topic."""
    return asyncio.run(_record_lengths(bootstrap, name, partitions))


async def _read_topic(bootstrap: str, name: str) -> Topic:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        (described,) = await admin.describe_topics([name])
        if described["error_code"]:
            raise RuntimeError(f"Kafka has no topic {name}: error {described['error_code']}")
        (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
        settings = {
            entry[0]: entry[1] for entry in answer.resources[0][4] if entry[3] == OF_THE_TOPIC
        }
        partitions = described["partitions"]
        return Topic(len(partitions), len(partitions[0]["replicas"]), settings)
    finally:
        await admin.close()


async def _make_topic(bootstrap: str, name: str, like: Topic) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        wanted = NewTopic(name, like.partitions, like.replicas, topic_configs=dict(like.settings))
        answer = await admin.create_topics([wanted])
        for error in answer.topic_errors:
            if error[1]:
                raise RuntimeError(f"Kafka made no topic {name}: {error}")
    finally:
        await admin.close()


async def _remove_topic(bootstrap: str, name: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([name])
    finally:
        await admin.close()


async def _set_on_topic(bootstrap: str, name: str, settings: Mapping[str, str]) -> None:
    # Kafka replaces all settings of a topic at once: those that stay are sent again.
    kept = (await _read_topic(bootstrap, name)).settings
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        wanted = {**kept, **settings}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, configs=wanted)])
    finally:
        await admin.close()


async def _record_lengths(bootstrap: str, name: str, partitions: int) -> Sequence[int]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False
    )
    await consumer.start()
    lengths: list[int] = []
    try:
        parts = [TopicPartition(name, number) for number in range(partitions)]
        consumer.assign(parts)
        await consumer.seek_to_beginning(*parts)
        while len(lengths) < SAMPLE:
            found = await consumer.getmany(timeout_ms=ANSWER_MS)
            if not found:
                break
            for records in found.values():
                lengths += [len(record.key) + len(record.value) for record in records]
    finally:
        await consumer.stop()
    if not lengths:
        raise RuntimeError(f"the topic {name} has no records")
    return lengths
