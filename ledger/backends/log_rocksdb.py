"""A log in RocksDB: its blocks, its end, and its newest records in memory for readers.

What is appended goes through the committer, which all logs of the folder share.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from ledger import metrics
from ledger.backends.rocksdb_blocks import Block, Blocks
from ledger.backends.rocksdb_follower import RocksdbFollower
from ledger.backends.rocksdb_options import LOG
from ledger.backends.rocksdb_tail import Tail
from ledger.errors import Busy, Diverged, Refused, TooLarge
from ledger.position import SCANS_LOG
from ledger.scan_log import (
    APPEND_BYTES_MAX,
    APPEND_RECORDS_MAX,
    RECORD_BYTES_MAX_OF,
    Bounds,
    LogIdentity,
)
from ledger.v1.ingest_service_pb2 import Durability

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from ledger.backends.rocksdb_committer import Committer
    from ledger.backends.rocksdb_engine import Engine
    from ledger.scan_log import Assignment

PENDING_BYTES_MAX: Final = 16 << 20
"""Most bytes of scans that wait for a commit: sixteen of the largest appends, half a second of
traffic.
"""

SIDE_PENDING_BYTES_MAX: Final = 4 << 20
"""The same for each other log: a flood there delays scans by one commit at most."""

TAIL_BYTES_MAX: Final = 16 << 20
"""Most bytes of the newest scans that are kept for readers: about a second of traffic."""

SIDE_TAIL_BYTES_MAX: Final = 1 << 20
"""The same for each other log, whose readers are in no hurry."""

READ_BYTES_MAX: Final = 1 << 20
"""Where a read ends, as the port says."""

BUSY_RETRY_AFTER_S: Final = 0.1
"""What a refused append is told to wait: some commits."""


class RocksdbScanLog:
    """A `ScanLog`, of any name. Its committer writes what is appended."""

    def __init__(
        self, engine: Engine, committer: Committer, *, name: str, generation: int, partitions: int
    ) -> None:
        """Read where each partition ends."""
        self._committer = committer
        self._identity = LogIdentity(
            name,
            generation,
            partitions,
            Durability.DURABILITY_SYNCED,
            RECORD_BYTES_MAX_OF[name],
        )
        is_main = name == SCANS_LOG
        self._blocks = Blocks(engine.family(LOG), name, generation)
        last = [self._blocks.last(partition) for partition in range(partitions)]
        self._next = [block.next if block else 0 for block in last]
        self._tail = Tail(partitions, TAIL_BYTES_MAX if is_main else SIDE_TAIL_BYTES_MAX)
        self._pending_bytes = 0
        self._pending_bytes_max = PENDING_BYTES_MAX if is_main else SIDE_PENDING_BYTES_MAX
        self._appended = metrics.LOG_APPENDED.labels(name)
        self._followers: set[RocksdbFollower] = set()
        self._owners: dict[str, asyncio.Lock] = {}
        committer.add(self)

    @property
    def identity(self) -> LogIdentity:
        """Which log this is."""
        return self._identity

    @property
    def name(self) -> str:
        """Its name."""
        return self._identity.name

    async def append(self, partition: int, keys: Sequence[bytes], values: Sequence[bytes]) -> int:
        """Queue for the next commit and wait for it. The keys lie in the records."""
        self._check(partition)
        _check_lengths(keys, values)
        size = sum(map(len, values))
        self._check_sizes(size + sum(map(len, keys)), max(map(len, values)))
        if self._pending_bytes + size > self._pending_bytes_max:
            raise Busy(
                f"{self._pending_bytes} bytes wait to be written already.",
                reason="LOG_BUSY",
                retry_after_s=BUSY_RETRY_AFTER_S,
            )
        self._pending_bytes += size
        return await self._committer.append(self, partition, values, size)

    async def read(self, partition: int, index: int, max_records: int) -> Sequence[bytes]:
        """Read from the tail or from blocks."""
        self._check(partition)
        end = self._next[partition]
        if not 0 <= index < end:
            raise Diverged(
                f"Index {index} is not in partition {partition} of the log "
                f"`{self._identity.name}`: it holds 0 to {end - 1}.",
                reason="INDEX_NOT_IN_LOG",
                metadata={"partition": str(partition), "next_index": str(end)},
            )
        return self.synced_from(partition, index, max_records, READ_BYTES_MAX)

    async def bounds(self, partition: int) -> Bounds:
        """Nothing is ever removed, so every partition begins at 0."""
        self._check(partition)
        return Bounds(0, self._next[partition])

    @asynccontextmanager
    async def follow(self, reader: str, assignment: Assignment) -> AsyncIterator[RocksdbFollower]:
        """All partitions belong to the first follower of a name; the next ones stand by."""
        self.check_open()
        owner = self._owners.setdefault(reader, asyncio.Lock())
        follower = RocksdbFollower(self, assignment, owner)
        self._followers.add(follower)
        try:
            yield follower
        finally:
            self._followers.discard(follower)
            await follower.leave()

    def check_open(self) -> None:
        """Raise Closed or Diverged after the end."""
        self._committer.check_open()

    def next_index(self, partition: int) -> int:
        """Give the index behind the last synced record of a partition."""
        return self._next[partition]

    def synced_from(
        self, partition: int, index: int, max_records: int, max_bytes: int
    ) -> Sequence[bytes]:
        """Return records from an index below `next_index` on, at least one."""
        blocks: Iterable[Block] | None = self._tail.blocks_from(partition, index)
        if blocks is None:
            blocks = self._blocks.read(partition, index)
        end = self._next[partition]
        values: list[bytes] = []
        size = 0
        for block in blocks:
            # A block beyond the end is written and not synced yet.
            start = max(0, index - block.first)
            stop = min(end - block.first, start + max_records - len(values))
            part = block.values[start:stop]
            part_size = sum(map(len, part))
            if size + part_size >= max_bytes:
                return values + _within(part, max_bytes - size)
            values += part
            size += part_size
            if len(values) >= max_records or block.next >= end:
                break
        if not values:
            raise Diverged(
                f"Record {index} of partition {partition} of the log `{self._identity.name}` is "
                f"missing. Restore the folder from a backup.",
                reason="LOG_DAMAGED",
                metadata={"partition": str(partition), "index": str(index)},
            )
        return values

    def key(self, partition: int, index: int) -> bytes:
        """Give the key of the block that begins at an index."""
        return self._blocks.key(partition, index)

    def acknowledge(self, partition: int, block: Block) -> None:
        """Show a block that is synced: the next one of its partition."""
        self._next[partition] = block.next
        self._tail.add(partition, block)

    def settle(self, count: int, size: int) -> None:
        """Take note that `size` bytes no longer wait, and that `count` records were appended."""
        self._pending_bytes -= size
        self._appended.inc(count)

    def wake_followers(self) -> None:
        """Let everybody look again."""
        for follower in self._followers:
            follower.wake()

    def _check(self, partition: int) -> None:
        self.check_open()
        if not 0 <= partition < self._identity.partitions:
            raise Refused(
                f"Partition {partition} is not in 0..{self._identity.partitions - 1}.",
                reason="NO_SUCH_PARTITION",
            )

    def _check_sizes(self, total: int, largest: int) -> None:
        record_bytes_max = self._identity.record_bytes_max
        if total > APPEND_BYTES_MAX or largest > record_bytes_max:
            raise TooLarge(
                f"An append to the log `{self.name}` has at most {APPEND_BYTES_MAX} bytes, a "
                f"record {record_bytes_max}; this has {total}, its largest record {largest}.",
                reason="APPEND_TOO_LARGE",
            )


def _within(values: Sequence[bytes], max_bytes: int) -> list[bytes]:
    """Take values up to the one that fills a size."""
    sizes = accumulate(map(len, values))
    full = next((at for at, size in enumerate(sizes, 1) if size >= max_bytes), len(values))
    return list(values[:full])


def _check_lengths(keys: Sequence[bytes], values: Sequence[bytes]) -> None:
    if len(keys) != len(values) or not 0 < len(values) <= APPEND_RECORDS_MAX:
        raise Refused(
            f"An append has 1 to {APPEND_RECORDS_MAX} records and a key for each of them; this "
            f"has {len(values)} records and {len(keys)} keys.",
            reason="APPEND_MALFORMED",
        )
