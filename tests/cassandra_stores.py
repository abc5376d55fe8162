"""Trail stores in a Cassandra that tests share: one keyspace for all that do not need their own,
since making the tables takes seconds.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import cache
from string import Template
from typing import Final, TypeVar

from ledger.app.engines import Cassandra
from ledger.backends.cassandra_cluster import CassandraCluster
from ledger.backends.cassandra_connect import open_session
from ledger.backends.cassandra_schema import create_schema
from ledger.backends.cassandra_serving import LOOKS, Looks
from ledger.backends.store_cassandra import CassandraTrailStore, open_cassandra_store

T = TypeVar("T")

QUICK: Final = Looks(every_s=0.05, believed_s=0.5, stands_s=0.7)
"""Looks of processes that a test waits for."""

FAR_NS = 1 << 62
"""A time after all that tests put into the history: seen from there, it is there for good."""


def cluster_of(cassandra: Cassandra) -> CassandraCluster:
    """A keyspace of its own, which has not been made yet."""
    return CassandraCluster(
        contact_points=tuple(cassandra.contact_points),
        port=cassandra.port,
        data_centre=cassandra.data_centre,
        keyspace=f"test_{os.urandom(5).hex()}",
        replication=len(cassandra.nodes),
        single_node_ok=len(cassandra.nodes) == 1,
    )


@cache
def shared_cluster(cassandra: Cassandra) -> CassandraCluster:
    """The keyspace that tests of one Cassandra share, with its tables."""
    cluster = cluster_of(cassandra)
    in_thread(lambda: create_schema(cluster, generation=1))
    return cluster


def in_thread(call: Callable[[], Coroutine[None, None, T]]) -> T:
    """Await something where this thread may have an event loop already."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(call())).result()


async def run_cql(cluster: CassandraCluster, *statements: str, **values: object) -> None:
    """Change a keyspace by hand; `$keyspace` stands for its name, others for these values."""
    async with open_session(cluster, generation=1) as session:
        for statement in statements:
            filled = Template(statement).substitute(keyspace=cluster.keyspace, **values)
            await session.define(filled)


@asynccontextmanager
async def opened_store(
    cluster: CassandraCluster,
    *,
    now_ns: Callable[[], int] = lambda: FAR_NS,
    monotonic: Callable[[], float] = time.monotonic,
    looks: Looks = LOOKS,
) -> AsyncIterator[CassandraTrailStore]:
    """The store of a keyspace."""
    async with open_cassandra_store(
        cluster, generation=1, now_ns=now_ns, monotonic=monotonic, looks=looks
    ) as store:
        yield store
