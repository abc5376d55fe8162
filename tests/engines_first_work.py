"""The first work of engines that have just started: it takes longer than any later."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from cassandra import ConsistencyLevel, DriverException
from cassandra.cluster import (
    EXEC_PROFILE_DEFAULT,
    Cluster,
    ExecutionProfile,
    NoHostAvailable,
    ResultSet,
)
from cassandra.policies import DCAwareRoundRobinPolicy

from ledger.app import engines

WITHIN_S = 120.0
"""Seconds in which a cluster that is ready does its first work."""


def first_work(cluster: engines.Cluster) -> None:
    """See that topics are made, that groups have a coordinator, and that rows are kept."""
    if isinstance(cluster, engines.Kafka):
        # In a thread of its own, since this one's event loop is the test's.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, _kafka(cluster)).result()
    if isinstance(cluster, engines.Cassandra):
        _cassandra(cluster)


async def _kafka(kafka: engines.Kafka) -> None:
    bootstrap = {"bootstrap_servers": kafka.bootstrap}
    admin = AIOKafkaAdminClient(**bootstrap)
    async with asyncio.timeout(WITHIN_S):
        try:
            await admin.start()
            await admin.create_topics([NewTopic("warm-up", 1, len(kafka.nodes))])
            async with AIOKafkaProducer(**bootstrap, acks="all") as producer:
                await producer.send_and_wait("warm-up", b"ready")
            # Nothing is committed: the next one begins at the beginning too.
            begin = {"auto_offset_reset": "earliest", "enable_auto_commit": False, **bootstrap}
            async with AIOKafkaConsumer("warm-up", group_id="warm-up", **begin) as consumer:
                assert (await consumer.getone()).value == b"ready"
            await admin.delete_topics(["warm-up"])
        finally:
            await admin.close()


def _cassandra(cassandra: engines.Cassandra) -> None:
    """See that every node keeps rows and decides: the first of each takes longer."""
    profile = ExecutionProfile(
        load_balancing_policy=DCAwareRoundRobinPolicy(cassandra.data_centre),
        consistency_level=ConsistencyLevel.ALL,
        request_timeout=WITHIN_S,
    )
    copies = {"class": "SimpleStrategy", "replication_factor": len(cassandra.nodes)}
    with Cluster(
        cassandra.contact_points,
        port=cassandra.port,
        protocol_version=5,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        idle_heartbeat_interval=0,  # A busy machine is no reason to give a connection up.
    ) as client:
        session = client.connect()

        def do(statement: str, *values: int) -> ResultSet:
            return patiently(lambda: session.execute(statement, values or None))

        do(f"CREATE KEYSPACE IF NOT EXISTS warm_up WITH replication = {copies}")
        do("CREATE TABLE IF NOT EXISTS warm_up.t (k int PRIMARY KEY, v int)")
        for key in range(len(cassandra.nodes) * 2):
            do("INSERT INTO warm_up.t (k, v) VALUES (%s, 1)", key)
            do("UPDATE warm_up.t SET v = 2 WHERE k = %s IF EXISTS", key)
            assert do("SELECT v FROM warm_up.t WHERE k = %s", key).one().v == 2
        do("DROP KEYSPACE IF EXISTS warm_up")


def patiently(ask: Callable[[], ResultSet]) -> ResultSet:
    """Ask again where a node gave up: its own patience is two seconds, a busy machine's first work
    takes longer. Every statement here may be repeated.
    """
    until_s = time.monotonic() + WITHIN_S
    while True:
        try:
            return ask()
        except (DriverException, NoHostAvailable):
            if time.monotonic() >= until_s:
                raise
            time.sleep(0.5)
