"""Numbers are issued on three nodes of Cassandra, of which one is killed: none is repeated."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ledger.app.engines import Cassandra
from ledger.backends import cassandra_nodes
from ledger.backends.numbers_cassandra import open_cassandra_numbers
from ledger.insist import insist
from ledger.issuing import BlockRequest, Issuer, NumberBlocks, Range
from ledger.issuing.issuer import numbers_of
from ledger.v1.number_block_pb2 import NumberBlock, NumberSpace
from tests.cassandra_stores import shared_cluster
from tests.number_blocks import own_space, small_range, wanted

COUNT = 5
SETTLE_S = 2.0
"""Twice the period in which these nodes sync; what is added to that elsewhere is time alone."""

REQUESTS = 3
"""At once, of each issuer: each takes some seconds, most of them until the nodes have synced."""


async def test_a_node_of_three_is_killed_while_two_issue(
    three_cassandra: Cassandra, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two issuers take blocks of one range while a node dies, and go on without it and with it
    again: every request gets a block, the same again, and no number is in two of them.
    """
    monkeypatch.setattr(cassandra_nodes, "SETTLE_AT_LEAST_S", SETTLE_S)
    one = small_range(500, mailer_id=own_space())
    victim = three_cassandra.nodes[2]
    async with issuing(three_cassandra, one) as first, issuing(three_cassandra, one) as second:
        issuers = (first[1], second[1])
        requests = [wanted(COUNT) for _ in range(2 * REQUESTS)]
        try:
            async with asyncio.TaskGroup() as tasks:
                asked = [
                    tasks.create_task(issued(issuers[at % 2], request))
                    for at, request in enumerate(requests)
                ]
                while await taken_of(first[0], one) == 0:  # noqa: ASYNC110 - another task moves it.
                    await asyncio.sleep(0.01)
                victim.kill()
            blocks = [task.result() for task in asked]
            without = await taken_of(second[0], one)
            # The other issuer finds what was given while a node was away.
            again = await issued(issuers[1], requests[0])
        finally:
            await asyncio.to_thread(victim.start)
        blocks += await asyncio.gather(*(issued(each, wanted(COUNT)) for each in issuers))
        taken = await taken_of(first[0], one)

    told = [number for block in blocks for number in await numbers_of(block)]
    assert again == blocks[0]
    assert len(told) == len(set(told)) == COUNT * (2 * REQUESTS + 2)
    assert without > 2 * REQUESTS * COUNT, "what was taken as the node died was given to nobody"
    assert taken >= without + 2 * COUNT


@asynccontextmanager
async def issuing(cassandra: Cassandra, one: Range) -> AsyncIterator[tuple[NumberBlocks, Issuer]]:
    """An issuer with connections of its own, as another process has."""
    async with open_cassandra_numbers(
        shared_cluster(cassandra), monotonic=time.monotonic
    ) as blocks:
        yield blocks, Issuer(blocks, [one], now_ns=time.time_ns)


async def issued(issuer: Issuer, request: BlockRequest) -> NumberBlock:
    """The block of a request, asked for again where it was busy or uncertain."""
    return await insist(lambda: issuer.issue(request))


async def taken_of(blocks: NumberBlocks, one: Range) -> int:
    """How many numbers of the range are taken."""
    space: bytes | None = await insist(lambda: blocks.space(one.space))
    return sum(each.taken for each in NumberSpace.FromString(space or b"").ranges)
