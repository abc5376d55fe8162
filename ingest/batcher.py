"""Gathers the log records of all streams by partition, and appends them together.

A commit costs the same for one record as for thousands, so records wait a little for others. What
waits and what is on its way is bounded in bytes; above the bound nothing more is read.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ingest.admission import Group
from ingest.limits import ENDING_RETRY_S
from ledger.errors import Busy, Uncertain
from ledger.metrics import INGEST_PENDING_BYTES, LOG_APPEND_SECONDS
from ledger.scan_log import APPEND_BYTES_MAX, APPEND_RECORDS_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ingest.limits import IngestLimits
    from ledger.scan_log import LogIdentity


class AppendLog(Protocol):
    """What the door in needs of a log; a `ScanLog` has it, and so has a gateway's spool."""

    @property
    def identity(self) -> LogIdentity:
        """As in ScanLog."""

    async def append(self, partition: int, keys: Sequence[bytes], values: Sequence[bytes]) -> int:
        """As in ScanLog."""


class Outcome(NamedTuple):
    """What became of some scans of a batch, all of one partition."""

    indexes: list[int]
    """Where they stand in the batch, ascending."""

    partition: int
    last_index: int
    """Index of the last of them in the partition, where there is no error."""

    error: Busy | Uncertain | None


class Batcher:
    """Appends what is submitted. `run` does the work; without it nothing moves."""

    def __init__(
        self, log: AppendLog, limits: IngestLimits, *, monotonic: Callable[[], float]
    ) -> None:
        self._log = log
        self._limits = limits
        self._monotonic = monotonic
        self._waiting: dict[int, list[tuple[_Ticket, Group]]] = {}
        self._records = 0
        self._pending_bytes = 0
        self._tickets = 0
        self._stopped = False
        self._flushes = 0  # On their way.
        self._flushing = asyncio.Semaphore(limits.flushes_in_flight_max)
        self._some = asyncio.Event()
        self._worth_it = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def has_room(self) -> bool:
        """Whether more may be submitted now. Closes at the bound, and opens again at half of it."""
        return self._room.is_set()

    async def wait_for_room(self) -> None:
        """Wait until more may be submitted."""
        await self._room.wait()

    async def wait_until_idle(self) -> None:
        """Wait until everything that was submitted has its outcome."""
        await self._idle.wait()

    def submit(self, groups: dict[int, Group], size: int) -> asyncio.Future[list[Outcome]]:
        """Take the groups of one batch; the future gives one or more outcomes of each.

        It never fails: what could not be appended says so. `size` is what the batch takes in
        memory, in bytes.
        """
        ticket = _Ticket(asyncio.get_running_loop().create_future(), size)
        ticket.scans_missing = sum(len(group.indexes) for group in groups.values())
        self._tickets += 1
        self._idle.clear()
        self._pending_bytes += size
        if self._pending_bytes >= self._limits.pending_bytes_max:
            self._room.clear()
        if self._stopped:
            for partition, group in groups.items():
                chunk = _Chunk(partition)
                chunk.add(ticket, group)
                self._settle(chunk, 0, _not_taken())
            return ticket.future
        waiting = self._waiting
        for partition, group in groups.items():
            if partition in waiting:
                waiting[partition].append((ticket, group))
            else:
                waiting[partition] = [(ticket, group)]
        self._records += ticket.scans_missing
        self._some.set()
        if self._records >= self._limits.flush_records_enough:
            self._worth_it.set()
        return ticket.future

    async def run(self) -> None:
        """Flush until cancelled, or until the log fails for good: then raise its error.

        Either way everything that was submitted gets an outcome, also later.
        """
        try:
            async with asyncio.TaskGroup() as flushes:
                started = -self._limits.linger_s
                while True:
                    await self._some.wait()
                    # After a pause the first record goes at once; others gather behind it.
                    await self._linger(started + self._limits.linger_s - self._monotonic())
                    await self._flushing.acquire()
                    started = self._monotonic()
                    self._flushes += 1
                    flushes.create_task(self._flush(self._take()))
        except BaseExceptionGroup as group:
            raise _first_of(group) from group
        finally:
            self._stopped = True
            while self._waiting:
                for chunk in self._take():
                    self._settle(chunk, 0, _not_taken())

    async def _linger(self, seconds: float) -> None:
        if seconds > 0 and not self._worth_it.is_set():
            try:
                async with asyncio.timeout(seconds):
                    await self._worth_it.wait()
            except TimeoutError:
                pass

    def _take(self) -> list[_Chunk]:
        """Take one append's worth of as many partitions as one flush may carry. What is over waits
        for the next flush: partitions that had no turn before those that had one.
        """
        chunks: list[_Chunk] = []
        size = 0
        left: dict[int, list[tuple[_Ticket, Group]]] = {}
        rest: dict[int, list[tuple[_Ticket, Group]]] = {}
        for partition, waiting in self._waiting.items():
            if size >= self._limits.flush_bytes_max:
                left[partition] = waiting
                continue
            chunk, over = _first_chunk(partition, waiting)
            chunks.append(chunk)
            size += chunk.bytes
            self._records -= len(chunk.records)
            if over:
                rest[partition] = over
        self._waiting = left | rest
        if not self._waiting:
            self._some.clear()
        if self._records < self._limits.flush_records_enough:
            self._worth_it.clear()
        return chunks

    async def _flush(self, chunks: list[_Chunk]) -> None:
        try:
            async with asyncio.TaskGroup() as appends:
                for chunk in chunks:
                    appends.create_task(self._append(chunk))
        finally:
            self._flushing.release()
            self._flushes -= 1
            if not self._flushes:
                self._worth_it.set()
            INGEST_PENDING_BYTES.set(self._pending_bytes)

    async def _append(self, chunk: _Chunk) -> None:
        began_s = self._monotonic()
        try:
            first = await self._log.append(chunk.partition, chunk.keys, chunk.records)
        except (Busy, Uncertain) as error:
            self._settle(chunk, 0, error)
        except BaseException:
            # The log has failed for good, or this process ends. What is on its way may be in the
            # log or not; whoever sent it sends it again, to whoever comes after us.
            self._settle(
                chunk, 0, Uncertain("The server ends; send again.", reason="SERVER_ENDING")
            )
            raise
        else:
            self._settle(chunk, first, None)
        finally:
            LOG_APPEND_SECONDS.observe(self._monotonic() - began_s)

    def _settle(self, chunk: _Chunk, first: int, error: Busy | Uncertain | None) -> None:
        """Tell the outcome to all whose records are in the chunk."""
        for ticket, indexes in chunk.owners:
            first += len(indexes)
            ticket.outcomes.append(Outcome(indexes, chunk.partition, first - 1, error))
            ticket.scans_missing -= len(indexes)
            if not ticket.scans_missing:
                self._close(ticket)

    def _close(self, ticket: _Ticket) -> None:
        self._tickets -= 1
        self._pending_bytes -= ticket.size
        if self._pending_bytes <= self._limits.pending_bytes_max // 2:
            self._room.set()
        if not self._tickets:
            self._idle.set()
        if not ticket.future.done():  # The sender may be gone.
            ticket.future.set_result(ticket.outcomes)


class _Ticket:
    """One batch on its way."""

    __slots__ = ("future", "outcomes", "scans_missing", "size")

    def __init__(self, future: asyncio.Future[list[Outcome]], size: int) -> None:
        self.future = future
        self.size = size
        self.outcomes: list[Outcome] = []
        self.scans_missing = 0


class _Chunk:
    """One append: records of one partition, and whose they are."""

    __slots__ = ("bytes", "keys", "owners", "partition", "records")

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.keys: list[bytes] = []
        self.records: list[bytes] = []
        self.owners: list[tuple[_Ticket, list[int]]] = []
        self.bytes = 0

    def add(self, ticket: _Ticket, group: Group) -> bool:
        """Take a group, if it fits."""
        size = sum(map(len, group.keys)) + sum(map(len, group.records))
        if (
            self.bytes + size > APPEND_BYTES_MAX
            or len(self.records) + len(group.records) > APPEND_RECORDS_MAX
        ):
            return False
        self.bytes += size
        self.keys += group.keys
        self.records += group.records
        self.owners.append((ticket, group.indexes))
        return True


def _first_chunk(
    partition: int, waiting: list[tuple[_Ticket, Group]]
) -> tuple[_Chunk, list[tuple[_Ticket, Group]]]:
    """Fill one append from the front; return it and what is left, in order."""
    chunk = _Chunk(partition)
    for number, (ticket, group) in enumerate(waiting):
        if not chunk.add(ticket, group):
            left = waiting[number:]
            if (
                not chunk.owners
            ):  # Too large for an append of its own: one half, and then the other.
                left = [(ticket, half) for half in _halves(group)] + left[1:]
                return _first_chunk(partition, left)
            return chunk, left
    return chunk, []


def _halves(group: Group) -> tuple[Group, Group]:
    middle = len(group.records) // 2
    indexes, keys, records = group
    return (
        Group(indexes[:middle], keys[:middle], records[:middle]),
        Group(indexes[middle:], keys[middle:], records[middle:]),
    )


def _first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Give the first error inside of groups of errors: the others follow from it."""
    first = group.exceptions[0]
    return _first_of(first) if isinstance(first, BaseExceptionGroup) else first


def _not_taken() -> Busy:
    return Busy(
        "The server ends; send again.", reason="SERVER_ENDING", retry_after_s=ENDING_RETRY_S
    )
