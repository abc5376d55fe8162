"""Comparing on real engines: a ledger in use is the same, and a row that got lost is named."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ledger.app.exits import DIVERGED, DONE, REFUSED
from ledger.backends.cassandra_connect import open_session
from ledger.backends.cassandra_wire import encode_int
from tests.cassandra_stores import cluster_of
from tests.distributed.ledger import Ledger
from tests.distributed.load import Load
from tests.roles import RoleProcess
from tests.shells import free_address, typed

if TYPE_CHECKING:
    from ledger.app.engines import Cassandra, Kafka

pytestmark = pytest.mark.timeout(600)


async def lose_a_row(cassandra: Cassandra, keyspace: str) -> bytes:
    """Delete some row behind the ledger's back; give the key of its trail."""
    cluster = replace(cluster_of(cassandra), keyspace=keyspace)
    async with open_session(cluster, generation=1) as session:
        some = await session.prepare(
            "SELECT tracking_key, order_key FROM $keyspace.rows_s$generation LIMIT ?"
        )
        [(key, order)] = await session.read(some, (encode_int(1),), key=None)
        where = f"tracking_key = 0x{key.hex()} AND order_key = 0x{order.hex()}"
        await session.define(f"DELETE FROM {keyspace}.rows_s1 WHERE {where}")  # noqa: S608 - hex.
        return bytes(key)


def test_a_ledger_in_use_is_compared(
    tmp_path_factory: pytest.TempPathFactory,
    one_kafka: Kafka,
    one_cassandra: Cassandra,
) -> None:
    """Compared while scans come: the same. With a row less: exit code 3, and its item is named.
    Backups are left to the engines' own tools, and that is said.
    """
    operator, name = free_address(), "upkeep"
    folder = tmp_path_factory.mktemp(name)
    with (
        Ledger(folder, one_kafka, one_cassandra, name=name) as ledger,
        RoleProcess("writer", ledger.config, "--operator-listen", operator) as writer,
    ):
        writer.wait_ready()
        with Load(ledger.ingest.address) as load:
            load.wait_for(2_000)
            ledger.wait_settled(1_000)
            same = typed("compare", "--json", "--server", operator)
            load.wait_for_more(500)
        ledger.wait_settled(len(load.said.acknowledged))
        still = typed("compare", "--json", "--server", operator)
        key = asyncio.run(lose_a_row(one_cassandra, name))
        differ = typed("compare", "--json", "--server", operator)
        refused = typed("backup", "--to", str(folder / "backup"), "--server", operator)

    assert same.code == still.code == DONE, (same, still)
    during, after = (json.loads(said.answer)["comparison"] for said in (same, still))
    assert int(during["records"]) >= 1_000
    assert int(after["records"]) == int(after["rows"]) >= len(load.said.acknowledged)
    assert differ.code == DIVERGED, differ
    [position] = json.loads(differ.answer)["comparison"]["positions"]
    assert position["tracking_key"] == key.decode()
    assert position["fault"] == "COMPARED_FAULT_MISSING"
    assert refused.code == REFUSED
    assert "its own tools" in refused.remark
