"""Gathers the log records of all streams by partition, and appends them together.

A commit costs the same for one record as for thousands, so records wait a little for others. What
waits and what is on its way is bounded in bytes; above the bound nothing more is read.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from ingest.chunks import Chunk, Outcome, Ticket, first_chunk
from ingest.limits import ENDING_RETRY_S
from ledger.errors import Busy, Uncertain
from ledger.metrics import INGEST_PENDING_BYTES, LOG_APPEND_SECONDS
from ledger.scan_log import APPEND_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ingest.admission import Group
    from ingest.limits import IngestLimits
    from ingest.pace import Pace
    from ledger.scan_log import LogIdentity


class AppendLog(Protocol):
    """What the door in needs of a log; a `ScanLog` has it, and so has a gateway's spool."""

    @property
    def identity(self) -> LogIdentity:
        """As in ScanLog."""

    async def append(self, partition: int, keys: Sequence[bytes], values: Sequence[bytes]) -> int:
        """As in ScanLog."""


class Batcher:
    """Appends what is submitted. `run` does the work; without it nothing moves."""

    def __init__(
        self, log: AppendLog, limits: IngestLimits, *, monotonic: Callable[[], float]
    ) -> None:
        self._log = log
        self._limits = limits
        self._monotonic = monotonic
        self._shown_pending = INGEST_PENDING_BYTES.labels(log.identity.name)
        self._append_seconds = LOG_APPEND_SECONDS.labels(log.identity.name)
        self._waiting: dict[int, list[tuple[Ticket, Group]]] = {}
        self._records = 0
        self._pending_bytes = 0
        self._pending_bytes_max = limits.pending_bytes_max
        self._flush_bytes_max = limits.flush_bytes_max
        self._is_slow = self._is_held = False
        self._settled_bytes = 0
        self._open: dict[Ticket, None] = {}
        """Batches without an outcome, the oldest first."""
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

    async def wait_for_room(self, most_s: float) -> bool:
        """Wait until more may be submitted, so many seconds at most; tell whether it may."""
        try:
            async with asyncio.timeout(most_s):
                while not self._room.is_set():
                    await self._room.wait()
        except TimeoutError:
            return False
        return True

    def oldest_s(self) -> float:
        """Tell for how long the oldest batch has been waiting for its outcome."""
        return self._monotonic() - next(iter(self._open)).since_s if self._open else 0.0

    def take_settled_bytes(self) -> int:
        """Tell how much the log has taken since the last call."""
        settled, self._settled_bytes = self._settled_bytes, 0
        return settled

    def keep_to(self, pace: Pace) -> None:
        """Let wait from now on what the pace says."""
        self._pending_bytes_max = pace.pending_bytes_max
        self._is_held = pace.is_held
        # All that may wait may be on its way; but in a slow log not as one lump, with whose end all
        # senders would wait for their results.
        self._is_slow = pace.share < 1
        fair = self._pending_bytes_max // self._limits.flushes_in_flight_max
        self._flush_bytes_max = min(self._limits.flush_bytes_max, fair)
        if self._is_held or self._pending_bytes >= self._pending_bytes_max:
            self._room.clear()
        else:
            self._open_at_half()

    async def wait_until_idle(self) -> None:
        """Wait until everything that was submitted has its outcome."""
        await self._idle.wait()

    def submit(self, groups: dict[int, Group], size: int) -> asyncio.Future[list[Outcome]]:
        """Take the groups of one batch; the future gives one or more outcomes of each.

        It never fails: what could not be appended says so. `size` is what the batch takes in
        memory, in bytes.
        """
        ticket = Ticket(
            asyncio.get_running_loop().create_future(),
            scans=sum(len(group.indexes) for group in groups.values()),
            size=size,
            since_s=self._monotonic(),
        )
        self._open[ticket] = None
        self._idle.clear()
        self._pending_bytes += size
        if self._pending_bytes >= self._pending_bytes_max:
            self._room.clear()
        if self._stopped:
            for partition, group in groups.items():
                chunk = Chunk(partition)
                chunk.add(ticket, group, APPEND_BYTES_MAX)
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
            raise first_of(group) from group
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

    def _take(self) -> list[Chunk]:
        """Take one append's worth of as many partitions as one flush may carry. What is over waits
        for the next flush: partitions that had no turn before those that had one.
        """
        chunks: list[Chunk] = []
        size = 0
        left: dict[int, list[tuple[Ticket, Group]]] = {}
        rest: dict[int, list[tuple[Ticket, Group]]] = {}
        chunk_bytes = APPEND_BYTES_MAX
        if self._is_slow:
            chunk_bytes = self._flush_bytes_max // len(self._waiting)
        for partition, waiting in self._waiting.items():
            if size >= self._flush_bytes_max:
                left[partition] = waiting
                continue
            chunk, over = first_chunk(partition, waiting, chunk_bytes)
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

    async def _flush(self, chunks: list[Chunk]) -> None:
        try:
            async with asyncio.TaskGroup() as appends:
                for chunk in chunks:
                    appends.create_task(self._append(chunk))
        finally:
            self._flushing.release()
            self._flushes -= 1
            if not self._flushes:
                self._worth_it.set()
            self._shown_pending.set(self._pending_bytes)

    async def _append(self, chunk: Chunk) -> None:
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
            self._append_seconds.observe(self._monotonic() - began_s)

    def _settle(self, chunk: Chunk, first: int, error: Busy | Uncertain | None) -> None:
        """Tell the outcome to all whose records are in the chunk."""
        for ticket, indexes in chunk.owners:
            first += len(indexes)
            ticket.outcomes.append(Outcome(indexes, chunk.partition, first - 1, error))
            ticket.scans_missing -= len(indexes)
            if error is None:
                self._settled_bytes += ticket.size * len(indexes) // ticket.scans
            if not ticket.scans_missing:
                self._close(ticket)

    def _close(self, ticket: Ticket) -> None:
        del self._open[ticket]
        self._pending_bytes -= ticket.size
        self._open_at_half()
        if not self._open:
            self._idle.set()
        if not ticket.future.done():  # The sender may be gone.
            ticket.future.set_result(ticket.outcomes)

    def _open_at_half(self) -> None:
        if not self._is_held and self._pending_bytes <= self._pending_bytes_max // 2:
            self._room.set()


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Give the first error inside of groups of errors: the others follow from it."""
    first = group.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first


def _not_taken() -> Busy:
    return Busy(
        "The server ends; send again.", reason="SERVER_ENDING", retry_after_s=ENDING_RETRY_S
    )
