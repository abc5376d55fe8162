"""A node of Cassandra is killed right after numbers were taken, and none is repeated."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from ledger.app.engines import Cassandra, CassandraOptions
from ledger.backends.numbers_cassandra import open_cassandra_numbers
from ledger.errors import Busy, Uncertain
from ledger.insist import insist
from ledger.issuing import Issuer
from ledger.issuing.issuer import numbers_of
from ledger.v1.number_block_pb2 import NumberBlock, NumberSpace
from tests.cassandra_stores import shared_cluster
from tests.engines import running
from tests.number_blocks import own_space, small_range, wanted

if TYPE_CHECKING:
    from pathlib import Path

    from ledger.issuing import NumberBlocks

pytestmark = pytest.mark.engines

SYNC_S = 5
"""How often the node syncs its commit log: long, so that what is younger can be killed."""

AWAY_S = 120.0
KILLS = 3


async def taken_of(blocks: NumberBlocks, name: str) -> int:
    """How many numbers are taken of the one range of a space."""
    space: bytes | None = await insist(lambda: blocks.space(name))
    [state] = NumberSpace.FromString(space or b"").ranges
    return state.taken


async def test_a_node_that_is_killed_repeats_no_number(tmp_path: Path) -> None:
    """Who waited for numbers while the node died is told none; what anybody was told of is never
    given again, whether or not the node forgot what it had not synced.
    """
    options = CassandraOptions(entries={"commitlog_sync_period": f"{SYNC_S}s"})
    with running(Cassandra(tmp_path, options=options)) as node:
        one = small_range(500, mailer_id=own_space())
        told: list[str] = []
        async with open_cassandra_numbers(shared_cluster(node), monotonic=time.monotonic) as blocks:
            issuer = Issuer(blocks, [one], now_ns=time.time_ns)
            for _ in range(KILLS):
                told += await numbers_of(await issued(issuer))
                settled = await taken_of(blocks, one.space)
                under_way = asyncio.create_task(issuer.issue(wanted(5)))
                while await taken_of(blocks, one.space) == settled:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                node.nodes[0].kill()
                with pytest.raises((Busy, Uncertain)):
                    await under_way
                await asyncio.to_thread(node.nodes[0].start)
                async with asyncio.timeout(AWAY_S):
                    after = await taken_of(blocks, one.space)
                    told += await numbers_of(await issued(issuer))
                assert settled <= after

    assert len(told) == len(set(told))


async def issued(issuer: Issuer) -> NumberBlock:
    """A block, again where it was busy or uncertain."""
    request = wanted(5)
    return await insist(lambda: issuer.issue(request))
