"""The schema is made once, and every way in which it may be wrong is named before a role starts."""

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest

from ledger.app.engines import Cassandra
from ledger.backends.cassandra_schema import check_schema, create_schema
from ledger.errors import Busy, Refused
from tests.cassandra_stores import cluster_of, opened_store, run_cql


async def test_the_schema_is_made_once(one_cassandra: Cassandra) -> None:
    """Making it again, or what is missing of it, makes nothing else; then it has no fault, and a
    keyspace that somebody else made is taken.
    """
    cluster = cluster_of(one_cassandra)
    tables = ["rows_s1", "marks_s1", "progress_s1", "progress_times_s1"]
    tables += ["number_spaces", "number_requests", "serving"]
    await run_cql(
        cluster,
        "CREATE KEYSPACE $keyspace WITH replication = "
        f"{{'class': 'NetworkTopologyStrategy', '{cluster.data_centre}': 1}}",
    )

    made = await create_schema(replace(cluster, data_centre=""), generation=1)
    again = await create_schema(cluster, generation=1)
    await run_cql(cluster, "DROP TABLE $keyspace.marks_s1")
    mended = await create_schema(cluster, generation=1)

    assert (made, again, mended) == (tables, [], ["marks_s1"])
    assert await check_schema(cluster, generation=1) == []


async def test_each_fault_is_named(one_cassandra: Cassandra) -> None:
    """Whatever is missing or different is said in words, all at once, and no store is opened."""
    cluster = cluster_of(one_cassandra)
    [fault] = await check_schema(cluster, generation=1)
    assert f"keyspace `{cluster.keyspace}` is missing" in fault
    await create_schema(cluster, generation=1)

    [fault] = await check_schema(replace(cluster, single_node_ok=False), generation=1)
    assert "replication 1 in `datacenter1`" in fault
    *missing, serving = await check_schema(cluster, generation=2)
    assert len(missing) == 4
    assert "table `rows_s2` is missing" in missing[0]
    assert "begun as generation 1, and `store_generation` is 2" in serving

    await run_cql(
        cluster,
        "ALTER TABLE $keyspace.rows_s1 DROP record",
        "DROP TABLE $keyspace.marks_s1",
        "DROP TABLE $keyspace.progress_times_s1",
        "CREATE TABLE $keyspace.progress_times_s1 "
        "(day bigint, number bigint, time_ns bigint, PRIMARY KEY ((day), number))",
        "DELETE FROM $keyspace.serving WHERE what = 'trails' IF EXISTS",
    )
    assert await check_schema(cluster, generation=1) == [
        "the table `rows_s1` has no column `record`",
        "the table `marks_s1` is missing; `parcel-ledger init` makes it",
        "the column `day` of `progress_times_s1` is bigint (partition_key 0), not int "
        "(partition_key 0)",
        "the column `time_ns` of `progress_times_s1` is bigint (regular), not bigint (clustering "
        "0)",
        "the column `number` of `progress_times_s1` is bigint (clustering 0), not bigint (regular)",
        "no generation of the store is named as serving",
    ]
    with pytest.raises(Refused) as refused:
        async with opened_store(cluster):
            pass
    assert refused.value.reason == "STORE_SCHEMA_FAULTS"
    assert "no column `record`" in refused.value.message


async def test_too_few_replicas_are_named(one_cassandra: Cassandra) -> None:
    """Fewer replicas than asked for are a fault, also where there are too few nodes to read it."""
    cluster = replace(cluster_of(one_cassandra), replication=2)
    with pytest.raises(Busy):
        await create_schema(cluster, generation=1)

    faults = await check_schema(replace(cluster, replication=3), generation=1)

    assert faults == [
        f"the keyspace `{cluster.keyspace}` has replication 2 in `datacenter1`, less than the 3 of "
        f"`cassandra_replication`"
    ]


async def test_a_keyspace_for_one_data_centre_is_asked_for(one_cassandra: Cassandra) -> None:
    """A keyspace whose strategy knows no data centres is named as a fault."""
    cluster = cluster_of(one_cassandra)
    await run_cql(
        cluster,
        "CREATE KEYSPACE $keyspace WITH replication = "
        "{'class': 'SimpleStrategy', 'replication_factor': 1}",
    )

    fault, *_ = await check_schema(cluster, generation=1)

    assert "has SimpleStrategy, not NetworkTopologyStrategy" in fault


async def test_another_data_centre_is_refused(one_cassandra: Cassandra) -> None:
    """A data centre that the nodes are not in is named, and not taken for nodes that are away."""
    cluster = replace(cluster_of(one_cassandra), data_centre="the-moon")

    with pytest.raises(Refused, match="the-moon"):
        await check_schema(cluster, generation=1)


async def test_nodes_that_are_away_are_waited_for(one_cassandra: Cassandra) -> None:
    """Where no node answers, the error says so, and that trying again may help."""
    cluster = replace(cluster_of(one_cassandra), port=1)

    with pytest.raises(Busy, match=r"127\.0\.0\.1"):
        async with opened_store(cluster):
            pass


async def test_a_node_that_dies_while_we_connect_is_waited_for(one_cassandra: Cassandra) -> None:
    """It says who and where it is, and is gone before the next connection: no wrong setting."""
    cluster = cluster_of(one_cassandra)
    taken = 0

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        taken += 1
        if taken == 1:  # The driver's own, by which it learns of nodes and data centres.
            [host] = one_cassandra.contact_points
            there = await asyncio.open_connection(host, one_cassandra.port)
            with suppress(OSError, asyncio.CancelledError):
                await asyncio.gather(_carry(reader, there[1]), _carry(there[0], writer))
            there[1].close()
        writer.close()

    async with await asyncio.start_server(take, "127.0.0.1", 0) as door:
        port = door.sockets[0].getsockname()[1]
        with pytest.raises(Busy, match="took no connection"):
            async with opened_store(replace(cluster, port=port)):
                pass

    assert taken > 1


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while some := await reader.read(65_536):
        writer.write(some)
    writer.close()
