"""How the suites wait: long enough for a server far away, and not a moment longer than needed."""

import asyncio
import os
from collections.abc import Mapping, Sequence

from ledger.scan_log import Follower, ScanLog

PATIENCE_S = 45.0
"""How long anything may take: a group of Kafka consumers may need half a minute to agree."""

SHORT_S = 0.1
"""How long is waited for something that must not happen."""


def unique(what: str = "") -> bytes:
    """A key that no other test uses, since suites share servers."""
    return f"{what}{os.urandom(8).hex().upper()}".encode()


def records(count: int, size: int = 100) -> list[bytes]:
    """Different records of one size."""
    return [os.urandom(size) for _ in range(count)]


async def ends(log: ScanLog) -> dict[int, int]:
    """The next index of every partition."""
    return {p: (await log.bounds(p)).next for p in range(log.identity.partitions)}


async def append(log: ScanLog, partition: int, values: Sequence[bytes]) -> int:
    """Append with a key for each record."""
    return await log.append(partition, [unique() for _ in values], values)


class Starting:
    """An assignment that starts where it is told, and remembers what happened to it."""

    def __init__(self, start: Mapping[int, int]) -> None:
        """`start` is the index for each partition."""
        self.start = start
        self.taken_partitions: list[int] = []
        self.given_up_partitions: list[int] = []

    async def taken(self, partitions: Sequence[int]) -> Mapping[int, int]:
        """Start where it was told."""
        self.taken_partitions += partitions
        return {partition: self.start[partition] for partition in partitions}

    async def given_up(self, partitions: Sequence[int]) -> None:
        """Remember."""
        self.given_up_partitions += partitions


async def follow_until(
    follower: Follower, count: int, *, max_records: int = 1_000
) -> dict[int, dict[int, bytes]]:
    """Follow until so many records have come: partition, index, record. None may come twice."""
    seen: dict[int, dict[int, bytes]] = {}
    async with asyncio.timeout(PATIENCE_S):
        while sum(map(len, seen.values())) < count:
            for run in await follower.next(max_records):
                assert run.values, "an empty run"
                partition = seen.setdefault(run.partition, {})
                assert run.first_index not in partition
                assert not partition or run.first_index == max(partition) + 1
                partition.update(enumerate(run.values, run.first_index))
    return seen
