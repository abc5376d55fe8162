"""Makes what Kafka and Cassandra need before a role can start, looks at it, or writes it down.

Nothing that is there is ever changed: a program that sets a topic right can also set it wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ledger.app.settings import Settings, invalid
from ledger.app.wiring.engines import cassandra_cluster, kafka_cluster, no_driver
from ledger.errors import Busy


class Found(NamedTuple):
    """What became of one engine."""

    engine: str
    where: str
    made: Sequence[str]
    """What was made, by name."""
    faults: Sequence[str]
    """What no role would start with, each in a sentence."""


class Plan(NamedTuple):
    """What somebody else may apply."""

    topics: Sequence[str]
    """Commands of Kafka's own tools."""
    rights: Sequence[str]
    """The same, for what each role may do."""
    cql: Sequence[str]
    """Statements, without the semicolons."""


async def make(settings: Settings) -> Sequence[Found]:
    """Make what is missing in the engines that the settings name, and look at all of it."""
    return await _each(settings, makes=True)


async def look(settings: Settings) -> Sequence[Found]:
    """Look at the engines that the settings name. An engine that is away is a fault like others."""
    return await _each(settings, makes=False)


def plan(settings: Settings) -> Plan:
    """Write down what `make` would do, and which rights the roles need; no engine is asked."""
    _refuse_neither(settings)
    topics: Sequence[str] = ()
    rights: Sequence[str] = ()
    cql: Sequence[str] = ()
    if settings.kafka:
        try:
            from ledger.backends.kafka_commands import acl_lines, topic_lines
        except ModuleNotFoundError as error:
            raise no_driver("Kafka", "kafka", error) from error
        kafka = kafka_cluster(settings)
        generation, partitions = settings.log_generation, settings.partitions
        topics = topic_lines(kafka, generation=generation, partitions=partitions)
        rights = acl_lines(kafka, generation=generation, partitions=partitions)
    if settings.cassandra:
        try:
            from ledger.backends.cassandra_schema import schema_statements
        except ModuleNotFoundError as error:
            raise no_driver("Cassandra", "cassandra", error) from error
        cql = schema_statements(cassandra_cluster(settings), settings.store_generation)
    return Plan(topics, rights, cql)


async def _each(settings: Settings, *, makes: bool) -> Sequence[Found]:
    _refuse_neither(settings)
    found = []
    for engine, address, act in (
        ("Kafka", settings.kafka, _kafka),
        ("Cassandra", settings.cassandra, _cassandra),
    ):
        if not address:
            continue
        try:
            made, faults = await act(settings, makes=makes)
        except Busy as error:
            if makes:
                raise
            made, faults = (), [error.message]
        found.append(Found(engine, address, made, faults))
    return found


async def _kafka(settings: Settings, *, makes: bool) -> tuple[Sequence[str], Sequence[str]]:
    try:
        from ledger.backends.kafka_topics import check_topics, create_topics
    except ModuleNotFoundError as error:
        raise no_driver("Kafka", "kafka", error) from error
    cluster = kafka_cluster(settings)
    generation, partitions = settings.log_generation, settings.partitions
    made: Sequence[str] = ()
    if makes:
        made = await create_topics(cluster, generation=generation, partitions=partitions)
    faults = await check_topics(cluster, generation=generation, partitions=partitions)
    return [f"topic {name}" for name in made], faults


async def _cassandra(settings: Settings, *, makes: bool) -> tuple[Sequence[str], Sequence[str]]:
    try:
        from ledger.backends.cassandra_schema import check_schema, create_schema
    except ModuleNotFoundError as error:
        raise no_driver("Cassandra", "cassandra", error) from error
    cluster = cassandra_cluster(settings)
    made: Sequence[str] = ()
    if makes:
        made = await create_schema(cluster, generation=settings.store_generation)
    faults = await check_schema(cluster, generation=settings.store_generation)
    kinds = {cluster.keyspace: "keyspace"}
    return [f"{kinds.get(name, 'table')} {name}" for name in made], faults


def _refuse_neither(settings: Settings) -> None:
    if not settings.kafka and not settings.cassandra:
        raise invalid(
            "kafka",
            "Say where Kafka is, or Cassandra, or both: --kafka host:port, --cassandra host:port, "
            "or the settings `kafka` and `cassandra`.",
        )
