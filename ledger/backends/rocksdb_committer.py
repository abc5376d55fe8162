"""Group commit: what all logs of a folder are given becomes one write and one sync.

Appends queue up; one batch of blocks is written, synced, noted in the high-water files of the logs
that it touched, and only then acknowledged and shown. Who comes meanwhile is in the next one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from ledger import metrics
from ledger.backends.rocksdb_blocks import Block, cut_into_blocks, join_block
from ledger.backends.rocksdb_options import LOG
from ledger.errors import Busy, Closed, LedgerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rocksdict import WriteBatch

    from ledger.backends.rocksdb_engine import Engine

COMMIT_BYTES_MAX: Final = 4 << 20
"""Most bytes of one commit, but for the last append in it: some 5 ms of the event loop."""


class CommittedLog(Protocol):
    """What the committer needs of a log."""

    @property
    def name(self) -> str:
        """Its name."""

    def key(self, partition: int, index: int) -> bytes:
        """Give the key of the block that begins at an index."""

    def next_index(self, partition: int) -> int:
        """Give the index behind the last acknowledged record of a partition."""

    def acknowledge(self, partition: int, block: Block) -> None:
        """Show a block that is synced: the next one of its partition."""

    def settle(self, count: int, size: int) -> None:
        """Take note that `size` bytes no longer wait, and that `count` records were appended."""

    def wake_followers(self) -> None:
        """Let everybody look again."""


class _Append(NamedTuple):
    log: CommittedLog
    partition: int
    values: Sequence[bytes]
    size: int
    done: asyncio.Future[int]


_Placed = tuple["CommittedLog", int, Block]


class Committer:
    """Commits for all logs of a folder. `run` carries it; `stop` lets `run` end when all is
    written.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._logs: list[CommittedLog] = []
        self._pending: deque[_Append] = deque()
        self._wake = asyncio.Event()
        self._stopped = False

    def add(self, log: CommittedLog) -> None:
        """Commit for this log too."""
        self._logs.append(log)

    def check_open(self) -> None:
        """Raise Closed or Diverged after the end."""
        self._engine.check()
        if self._stopped:
            raise Closed("The log has been closed.", reason="CLOSED")

    async def append(
        self, log: CommittedLog, partition: int, values: Sequence[bytes], size: int
    ) -> int:
        """Queue for the next commit and wait for it; return the index of the first record."""
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._pending.append(_Append(log, partition, values, size, done))
        self._wake.set()
        return await done

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
        placed, firsts = _lay_out(group)
        touched = {log.name: log for log, _, _ in placed}
        try:
            await engine.write(lambda batch: self._fill(batch, placed), "log")
            await engine.sync()
            # If we crash before this point nobody was told, and the records are in the log or not:
            # the sender appends them again, and readers collapse equal ones.
            engine.on_step("log: after the sync")
            for log, partition, block in placed:
                engine.high_waters[log.name].set_record(partition, block.next, block.values[-1])
            # If we crash between two of these files, the later one only says less.
            for name in touched:
                engine.write_high_water(engine.high_waters[name])
        except Busy as error:
            self._reject(group, error)
            return
        except Exception as error:
            self._reject(group, engine.fail("commit", error))
            raise
        engine.on_step("log: before the acknowledgement")
        for log, partition, block in placed:
            log.acknowledge(partition, block)
        for append, first in zip(group, firsts, strict=True):
            append.log.settle(len(append.values), append.size)
            if not append.done.done():
                append.done.set_result(first)
        for log in touched.values():
            log.wake_followers()
        metrics.LOG_COMMIT_SECONDS.observe(engine.monotonic() - began)

    def _take_group(self) -> Sequence[_Append]:
        group = []
        size = 0
        while self._pending and size < COMMIT_BYTES_MAX:
            append = self._pending.popleft()
            group.append(append)
            size += append.size
        return group

    def _fill(self, batch: WriteBatch, placed: Sequence[_Placed]) -> None:
        batch.set_default_column_family(self._engine.handle(LOG))
        for log, partition, block in placed:
            batch[log.key(partition, block.first)] = join_block(block.values)

    def _reject(
        self, appends: Sequence[_Append] | deque[_Append], error: LedgerError | None
    ) -> None:
        for append in appends:
            append.log.settle(0, append.size)
            if not append.done.done():
                closed = Closed("The log has been closed.", reason="CLOSED")
                append.done.set_exception(error or closed)

    def _wake_followers(self) -> None:
        for log in self._logs:
            log.wake_followers()


def _lay_out(group: Sequence[_Append]) -> tuple[Sequence[_Placed], Sequence[int]]:
    """Give each record its index: the blocks with their places, and the first of each append."""
    by_place: dict[tuple[CommittedLog, int], list[bytes]] = {}
    firsts = []
    for log, partition, added, _, _ in group:
        values = by_place.setdefault((log, partition), [])
        firsts.append(log.next_index(partition) + len(values))
        values += added
    return [
        (log, partition, block)
        for (log, partition), values in by_place.items()
        for block in cut_into_blocks(log.next_index(partition), values)
    ], firsts
