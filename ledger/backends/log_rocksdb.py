"""The scan log in RocksDB: group commit, one sync for all that came while the last one ran.

Appends of all partitions queue up; one batch of blocks is written, synced, noted in the high-water
file, and only then acknowledged and shown. Readers at the end are served from memory.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger import metrics
from ledger.backends.rocksdb_blocks import Block, Blocks, cut_into_blocks, join_block
from ledger.backends.rocksdb_follower import RocksdbFollower
from ledger.backends.rocksdb_options import LOG
from ledger.backends.rocksdb_tail import Tail
from ledger.errors import Busy, Closed, Diverged, LedgerError, Refused, TooLarge
from ledger.scan_log import (
    APPEND_BYTES_MAX,
    APPEND_RECORDS_MAX,
    RECORD_BYTES_MAX,
    Bounds,
    LogIdentity,
)
from ledger.v1.ingest_service_pb2 import Durability

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from rocksdict import WriteBatch

    from ledger.backends.rocksdb_engine import Engine
    from ledger.scan_log import Assignment

PENDING_BYTES_MAX: Final = 16 << 20
"""Most bytes that wait for a commit: sixteen of the largest appends, half a second of traffic."""

COMMIT_BYTES_MAX: Final = 4 << 20
"""Most bytes of one commit, but for the last append in it: some 5 ms of the event loop."""

TAIL_BYTES_MAX: Final = 16 << 20
"""Most bytes of the newest records that are kept for readers: about a second of traffic."""

READ_BYTES_MAX: Final = 1 << 20
"""Where a read ends, as the port says."""

BUSY_RETRY_AFTER_S: Final = 0.1
"""What a refused append is told to wait: some commits."""


class _Append(NamedTuple):
    partition: int
    values: Sequence[bytes]
    size: int
    done: asyncio.Future[int]


class RocksdbScanLog:
    """A `ScanLog`. `run` carries it; `stop` lets `run` end when all is written."""

    def __init__(self, engine: Engine, *, name: str, generation: int, partitions: int) -> None:
        """Read where each partition ends."""
        self._engine = engine
        self._identity = LogIdentity(name, generation, partitions, Durability.DURABILITY_SYNCED)
        self._blocks = Blocks(engine.family(LOG), name, generation)
        last = [self._blocks.last(partition) for partition in range(partitions)]
        self._next = [block.next if block else 0 for block in last]
        self._tail = Tail(partitions, TAIL_BYTES_MAX)
        self._pending: deque[_Append] = deque()
        self._pending_bytes = 0
        self._wake = asyncio.Event()
        self._stopped = False
        self._followers: set[RocksdbFollower] = set()
        self._owners: dict[str, asyncio.Lock] = {}

    @property
    def identity(self) -> LogIdentity:
        """Which log this is."""
        return self._identity

    async def append(self, partition: int, keys: Sequence[bytes], values: Sequence[bytes]) -> int:
        """Queue for the next commit and wait for it. The keys lie in the records."""
        self._check(partition)
        _check_lengths(keys, values)
        size = sum(map(len, values))
        _check_sizes(size + sum(map(len, keys)), max(map(len, values)))
        if self._pending_bytes + size > PENDING_BYTES_MAX:
            raise Busy(
                f"{self._pending_bytes} bytes wait to be written already.",
                reason="LOG_BUSY",
                retry_after_s=BUSY_RETRY_AFTER_S,
            )
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._pending.append(_Append(partition, values, size, done))
        self._pending_bytes += size
        self._wake.set()
        return await done

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
        self._engine.check()
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
        self._engine.check()
        if self._stopped:
            raise Closed("The log has been closed.", reason="CLOSED")

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

    async def run(self) -> None:
        """Commit what is appended, until `stop`. An error is told to everybody who waits."""
        try:
            while True:
                group = self._take_group()
                if group:
                    await self._commit(group)
                elif self._stopped:
                    return
                else:
                    self._wake.clear()
                    await self._wake.wait()
        finally:
            self._stopped = True
            self._reject(self._pending, self._engine.failure)
            self._wake_followers()

    def stop(self) -> None:
        """Take no more calls."""
        self._stopped = True
        self._wake.set()
        self._wake_followers()

    async def _commit(self, group: Sequence[_Append]) -> None:
        engine = self._engine
        began = engine.monotonic()
        blocks, firsts = self._lay_out(group)
        try:
            await engine.write(lambda batch: self._fill(batch, blocks), "log")
            await engine.sync()
            # If we crash before this point nobody was told, and the records are in the log or not:
            # the sender appends them again, and readers collapse equal ones.
            engine.on_step("log: after the sync")
            for partition, block in blocks:
                engine.high_water.set_record(partition, block.next, block.values[-1])
            engine.write_high_water()
        except Busy as error:
            self._reject(group, error)
            return
        except Exception as error:
            self._reject(group, engine.fail("commit", error))
            raise
        engine.on_step("log: before the acknowledgement")
        for partition, block in blocks:
            self._next[partition] = block.next
            self._tail.add(partition, block)
        for append, first in zip(group, firsts, strict=True):
            self._pending_bytes -= append.size
            if not append.done.done():
                append.done.set_result(first)
        self._wake_followers()
        metrics.LOG_APPENDED.inc(sum(len(append.values) for append in group))
        metrics.LOG_COMMIT_SECONDS.observe(engine.monotonic() - began)

    def _take_group(self) -> Sequence[_Append]:
        group = []
        size = 0
        while self._pending and size < COMMIT_BYTES_MAX:
            append = self._pending.popleft()
            group.append(append)
            size += append.size
        return group

    def _lay_out(
        self, group: Sequence[_Append]
    ) -> tuple[Sequence[tuple[int, Block]], Sequence[int]]:
        """Give each record its index: the blocks by partition, and the first of each append."""
        by_partition: dict[int, list[bytes]] = {}
        firsts = []
        for append in group:
            values = by_partition.setdefault(append.partition, [])
            firsts.append(self._next[append.partition] + len(values))
            values += append.values
        return [
            (partition, block)
            for partition, values in by_partition.items()
            for block in cut_into_blocks(self._next[partition], values)
        ], firsts

    def _fill(self, batch: WriteBatch, blocks: Sequence[tuple[int, Block]]) -> None:
        batch.set_default_column_family(self._engine.handle(LOG))
        for partition, block in blocks:
            batch[self._blocks.key(partition, block.first)] = join_block(block.values)

    def _reject(
        self, appends: Sequence[_Append] | deque[_Append], error: LedgerError | None
    ) -> None:
        for append in appends:
            self._pending_bytes -= append.size
            if not append.done.done():
                closed = Closed("The log has been closed.", reason="CLOSED")
                append.done.set_exception(error or closed)

    def _wake_followers(self) -> None:
        for follower in self._followers:
            follower.wake()

    def _check(self, partition: int) -> None:
        self.check_open()
        if not 0 <= partition < self._identity.partitions:
            raise Refused(
                f"Partition {partition} is not in 0..{self._identity.partitions - 1}.",
                reason="NO_SUCH_PARTITION",
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


def _check_sizes(total: int, largest: int) -> None:
    if total > APPEND_BYTES_MAX or largest > RECORD_BYTES_MAX:
        raise TooLarge(
            f"An append has at most {APPEND_BYTES_MAX} bytes, a record {RECORD_BYTES_MAX}; this "
            f"has {total}, its largest record {largest}.",
            reason="APPEND_TOO_LARGE",
        )
