"""A member of a consumer group that is told to end before it has begun."""

import asyncio
import time
from pathlib import Path

import pytest

from ledger.app.engines import Kafka
from ledger.backends.kafka_membership import Membership
from tests.kafka_logs import cluster_of


@pytest.mark.parametrize("turns", [0, 1, 5, 20])
async def test_it_leaves_while_it_still_joins(one_kafka: Kafka, tmp_path: Path, turns: int) -> None:
    """However far it has come, nothing is left behind and no error comes out."""

    async def nothing_to_lose() -> None:
        """Nothing was taken."""

    member = Membership(
        cluster_of(one_kafka.bootstrap, tmp_path),
        "no-topic",
        "group",
        on_lost=nothing_to_lose,
        on_change=lambda: None,
        monotonic=time.monotonic,
    )
    before = asyncio.all_tasks()
    joining = asyncio.create_task(member.join())
    for _ in range(turns):
        await asyncio.sleep(0)
    joining.cancel()
    await asyncio.wait([joining])
    await member.stop()

    assert asyncio.all_tasks() == before
