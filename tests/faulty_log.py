"""A scan log with faults in pairs: an append fails before anything is written, or after all is."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from ledger.errors import Busy, LedgerError, Uncertain
from ledger.scan_log import (
    APPEND_BYTES_MAX,
    APPEND_RECORDS_MAX,
    Assignment,
    Bounds,
    Follower,
    LogIdentity,
    ScanLog,
)

BUSY = Busy("The log is busy.", reason="TEST_BUSY", retry_after_s=0.01)
UNCERTAIN = Uncertain("The log did not answer.", reason="TEST_UNCERTAIN")


class FaultyLog:
    """Passes everything on to a real log, and fails appends as it is told. Stricter than the log:
    it checks what the port demands of its callers.
    """

    def __init__(self, log: ScanLog) -> None:
        self.appends: list[tuple[int, int]] = []
        """Partition and number of records of each append."""

        self.fails_unwritten: Callable[[int], LedgerError | None] = lambda _: None
        """Asked with the partition before an append; the error is raised and nothing is written."""

        self.fails_written: Callable[[int], LedgerError | None] = lambda _: None
        """Asked after an append; the error is raised though everything is written."""

        self.gate = asyncio.Event()
        """Appends wait until it is set."""

        self.gate.set()
        self.running = self.most_running = 0
        self.beside: dict[str, FaultyLog] = {}
        """Other logs of the same folder, by name."""

        self._called = asyncio.Event()
        self._log = log

    @property
    def identity(self) -> LogIdentity:
        """As the log's."""
        return self._log.identity

    async def append(self, partition: int, keys: Sequence[bytes], values: Sequence[bytes]) -> int:
        """Append, or fail before or after."""
        assert 0 <= partition < self.identity.partitions
        assert 1 <= len(keys) == len(values) <= APPEND_RECORDS_MAX
        assert sum(map(len, keys)) + sum(map(len, values)) <= APPEND_BYTES_MAX
        assert max(map(len, values)) <= self.identity.record_bytes_max
        self.appends.append((partition, len(keys)))
        self._called.set()
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await self.gate.wait()
            if error := self.fails_unwritten(partition):
                raise error
            first = await self._log.append(partition, keys, values)
            if error := self.fails_written(partition):
                raise error
        finally:
            self.running -= 1
        return first

    async def wait_for_appends(self, count: int) -> None:
        """Wait until that many appends have begun."""
        while len(self.appends) < count:
            self._called.clear()
            await self._called.wait()

    async def read(self, partition: int, index: int, max_records: int) -> Sequence[bytes]:
        """As the log's."""
        return await self._log.read(partition, index, max_records)

    async def bounds(self, partition: int) -> Bounds:
        """As the log's."""
        return await self._log.bounds(partition)

    def follow(self, reader: str, assignment: Assignment) -> AbstractAsyncContextManager[Follower]:
        """As the log's."""
        return self._log.follow(reader, assignment)
