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

import pytest

from ledger.app.engines import Cassandra
from ledger.backends.cassandra_cluster import CassandraCluster
from ledger.backends.cassandra_connect import open_session
from ledger.backends.cassandra_schema import create_schema
from ledger.backends.cassandra_serving import LOOKS, Looks
from ledger.backends.store_cassandra import CassandraTrailStore, open_cassandra_store

T = TypeVar("T")

QUICK: Final = Looks(every_s=0.05, believed_s=0.5, stands_s=0.7)
"""Looks of processes that a test waits for."""

TABLE_2: Final = (
    "CREATE TABLE $keyspace.rows_s2 (tracking_key blob, order_key blob, record blob, "
    "PRIMARY KEY ((tracking_key), order_key))"
)
"""Makes the rows of a second generation, so that to begin it takes no time."""

FAR_NS = 1 << 62
"""A time after all that tests put into the history: seen from there, it is there for good."""


class Crash(Exception):
    """The process ended here."""


@pytest.fixture
async def own_keyspace(one_cassandra: Cassandra) -> CassandraCluster:
    """A keyspace of one test's own: numbers begin with 1."""
    cluster = cluster_of(one_cassandra)
    await create_schema(cluster, generation=1)
    return cluster


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


def crash_at(store: CassandraTrailStore, step: str, *, after: bool) -> None:
    """End the process at a durable step of its generations: to `define` changes the schema, to
    `change` the row.
    """
    generations, name = store.generations, f"_{step}"
    do: Callable[..., Coroutine[None, None, object]] = getattr(generations, name)

    async def crash(*args: object) -> None:
        if after:
            await do(*args)
        raise Crash

    setattr(generations, name, crash)
