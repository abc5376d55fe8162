"""A spool: scans on this machine's disk until the ledger has them, or has refused them.

It is the truth about what is not yet acknowledged. What `append` has returned for survives kill -9
and a power cut; it leaves by `settle` and `refuse` alone, exactly what they name. When the spool is
full it takes nothing more and says so; it never drops what it has, however old that is.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ingest.spool_files import disk_files
from ingest.spool_frames import FRAME_HEAD_BYTES, SCAN_OVERHEAD_BYTES
from ingest.spool_recovery import recover
from ingest.spool_refused import RefusedList
from ledger.errors import Busy, Closed, LedgerError, NotPossibleNow, Refused, Uncertain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from pathlib import Path

    from ingest.spool_files import Files
    from ingest.spool_frames import Frame
    from ingest.spool_recovery import Recovered
    from ingest.spool_refused import RefusedScan

logger = logging.getLogger(__name__)

BYTES_MAX: Final = 1 << 30
"""Bytes that a spool takes on the disk: three million scans of the usual size, a day of a large
facility.
"""

AGE_MAX_S: Final = 86_400.0
"""Age in seconds from which unsettled scans are reported: beyond a day trails show them as recorded
late.
"""

SEGMENT_BYTES_MAX: Final = 8 << 20
"""Longest segment. Room is freed by whole segments."""

SEGMENT_BYTES_MIN: Final = 16 << 10
"""Shortest segment: making one costs two syncs."""

SEGMENTS_ENOUGH: Final = 64
"""Into how many segments a spool that is full is cut at least: so much of it may be held up by one
scan that is not settled.
"""

COMMIT_BYTES_MAX: Final = 1 << 20
"""Bytes of one commit, unless one append alone has more: a sync writes them in milliseconds."""

SCAN_BYTES_MAX: Final = 16 << 10
"""Most bytes of one scan: a log record's."""

TIDY_S: Final = 0.5
"""How long notes of settled scans wait for others, and settled segments for their removal."""

FULL_RETRY_S: Final = 5.0
"""Seconds after which a sender whom a full spool turned away may try again."""

Worker = Any
"""Runs what may block outside of the event loop: `asyncio.to_thread`, or a twin of it."""


class SpoolFull(Busy):
    """The spool, or its disk, has no room. Nothing was taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolLimits:
    """How much a spool holds."""

    bytes_max: int = BYTES_MAX
    """Bytes on the disk; beyond it nothing more is taken."""

    age_max_s: float = AGE_MAX_S
    """Age of the oldest unsettled scan in seconds beyond which `is_overdue` is true. Nothing is
    turned away for it: a late scan is better than none.
    """

    @property
    def segment_bytes(self) -> int:
        """The length at which a segment ends."""
        return max(min(self.bytes_max // SEGMENTS_ENOUGH, SEGMENT_BYTES_MAX), SEGMENT_BYTES_MIN)


class _Waiting(NamedTuple):
    """Scans that wait for a commit."""

    scans: Sequence[bytes]
    bytes: int
    future: asyncio.Future[int]


class Spool:
    """An open spool, for one event loop. Make it with `open_spool`."""

    def __init__(
        self,
        files: Files,
        found: Recovered,
        *,
        limits: SpoolLimits,
        now_ns: Callable[[], int],
        worker: Worker,
    ) -> None:
        """For `open_spool`."""
        self.spool_id = found.spool_id
        """Minted when the spool was made."""

        self.limits = limits
        self.listeners: list[Callable[[], None]] = []
        """Called when scans were spooled or settled."""

        self.turned_away = 0
        """Scans that a full spool did not take, since it was opened."""

        self.is_full = False
        """Whether it turned away the last scans that came."""

        self._segments = found.segments
        self._notes = found.notes
        self._refused = RefusedList(files)
        self._now_ns = now_ns
        self._worker = worker
        self._unsettled = self.next_place - 1 - self._notes.settled.count
        self._waiting: list[_Waiting] = []
        self._waiting_bytes = 0
        self._refusing: list[RefusedScan] = []
        self._is_untidy = True
        self._is_closing = False
        self._broken: BaseException | None = None
        self._wake = asyncio.Event()

    @property
    def next_place(self) -> int:
        """The place of the next scan: one more than that of the last one that is synced."""
        return self._segments.next_place

    @property
    def unsettled(self) -> int:
        """How many scans are neither durable in the ledger nor refused, as far as is known."""
        return self._unsettled

    @property
    def settled_through(self) -> int:
        """The place up to which all are settled; 0 is none."""
        return next(self._notes.settled.missing(1, self.next_place), (self.next_place,))[0] - 1

    @property
    def size_bytes(self) -> int:
        """What the spool takes on the disk, its list of refused scans included."""
        return self._segments.size_bytes + self._refused.bytes

    @property
    def refused(self) -> int:
        """How many scans stand in the list of refused ones."""
        return self._refused.count

    def oldest_s(self) -> float:
        """Tell how old the oldest unsettled scan is, in seconds; 0 where there is none."""
        oldest = self.settled_through + 1
        segment = self._segments.segment_of(oldest)
        if segment is None:
            return 0.0
        return max(self._now_ns() - segment.time_ns_before(oldest), 0) / 1e9

    def is_overdue(self) -> bool:
        """Tell whether scans are here for longer than the limit."""
        return self.oldest_s() > self.limits.age_max_s

    async def append(self, scans: Sequence[bytes]) -> int:
        """Take scans, and return the first one's place when all of them are synced; the others'
        follow.

        Raises SpoolFull: nothing was taken. Uncertain: they may be found after a crash, and taking
        them again is safe. Refused: one is too long. Closed.
        """
        if not scans:
            raise ValueError("there is nothing to append")
        size = FRAME_HEAD_BYTES + sum(map(len, scans)) + SCAN_OVERHEAD_BYTES * len(scans)
        if max(map(len, scans)) > SCAN_BYTES_MAX:
            raise Refused(
                f"A scan has over {SCAN_BYTES_MAX} bytes; the spool takes none as long as that.",
                reason="SPOOL_SCAN_TOO_LONG",
            )
        if self._broken is not None or self._is_closing:
            raise Closed("The spool was closed, or has failed.", reason="SPOOL_CLOSED")
        if self.size_bytes + self._waiting_bytes + size > self.limits.bytes_max:
            raise self._full(
                len(scans), f"The spool has its {self.limits.bytes_max:,} bytes, with "
                f"{self.unsettled:,} scans that the ledger has not taken yet."
            )  # fmt: skip
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(scans, size, future))
        self._waiting_bytes += size
        self._wake.set()
        return await future

    def settle(self, first: int, end: int) -> None:
        """Forget the scans from one place up to, but not including, another: they are durable in
        the ledger.

        A crash may bring them back for half a second's worth of notes: they are sent once more.
        """
        self._unsettled -= self._notes.settle(first, end)
        self._is_untidy = True
        self._tell()

    def refuse(self, scans: Sequence[RefusedScan]) -> None:
        """Put scans into the list of refused ones, and then forget them."""
        self._refusing += scans
        self._wake.set()

    def unsettled_between(self, first: int, end: int) -> Iterator[tuple[int, int]]:
        """Give the places between two that are not settled, as runs."""
        return self._notes.settled.missing(first, end)

    def frames(self, place: int, most_bytes: int) -> Sequence[Frame]:
        """Read scans from a place on: those of its commit at least, and at most about so many bytes
        of further ones. Gives none where the place is forgotten. Raises Diverged where the file is
        damaged, and Busy where the disk fails.
        """
        try:
            return self._segments.frames(place, most_bytes)
        except OSError as error:
            raise Busy(
                f"The spool cannot be read: {error.strerror}.",
                reason="SPOOL_DISK",
                retry_after_s=FULL_RETRY_S,
            ) from error

    def place_before(self, time_ns: int) -> int:
        """Give a place that was spooled before a time, and not long before; 1 where none was."""
        return next(
            (
                place
                for segment in reversed(self._segments.all)
                if (place := segment.place_before(time_ns)) is not None
            ),
            1,
        )

    async def run(self) -> None:
        """Commit, and tidy up, until `close`; for `open_spool`."""
        try:
            while not self._is_closing:
                await self._until_work()
                await self._work()
            while self._waiting:
                await self._commit()
            await self._work()
            await self._tidy(sync=True)
        except BaseException as error:
            self._broken = error
            raise
        finally:
            for waiting in self._waiting:
                _fail(waiting.future, Uncertain("The spool ends.", reason="SPOOL_CLOSED"))

    def close(self) -> None:
        """Let `run` end when what waits is done."""
        self._is_closing = True
        self._wake.set()

    async def _work(self) -> None:
        if self._waiting:
            await self._commit()
        if self._refusing:
            await self._keep_refused()
        if not self._waiting and (self._notes.are_pending or self._is_untidy):
            await self._tidy(sync=False)

    async def _until_work(self) -> None:
        """Wait for scans; no longer than notes may wait."""
        is_untidy = self._notes.are_pending or self._is_untidy or bool(self._refusing)
        try:
            async with asyncio.timeout(TIDY_S if is_untidy else None):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()

    async def _commit(self) -> None:
        """Write what waits as one commit."""
        size, taken = 0, 0
        for waiting in self._waiting:
            if taken and size + waiting.bytes > COMMIT_BYTES_MAX:
                self._wake.set()
                break
            size, taken = size + waiting.bytes, taken + 1
        commit, self._waiting = self._waiting[:taken], self._waiting[taken:]
        scans = [scan for waiting in commit for scan in waiting.scans]
        try:
            first = await self._worker(self._segments.append, scans, self._now_ns())
        except OSError as error:
            logger.warning("the spool's disk fails", extra={"error": str(error)})
            for waiting in commit:
                _fail(waiting.future, self._disk_failed(len(waiting.scans), error))
            return
        except BaseException:
            for waiting in commit:
                _fail(waiting.future, Uncertain("The spool ends.", reason="SPOOL_CLOSED"))
            raise
        finally:
            self._waiting_bytes -= size
        self.is_full = False
        self._notes.note_synced(self.next_place)
        self._unsettled += len(scans)
        for waiting in commit:
            if not waiting.future.done():
                waiting.future.set_result(first)
            first += len(waiting.scans)
        self._tell()

    async def _keep_refused(self) -> None:
        """Write refused scans down, and settle them then: a crash between the two has them sent and
        refused once more.
        """
        refused, self._refusing = self._refusing, []
        try:
            await self._worker(self._refused.add, refused)
        except OSError as error:
            logger.warning("refused scans cannot be written down", extra={"error": str(error)})
            self._refusing = refused + self._refusing
            return
        for scan in refused:
            self._unsettled -= self._notes.settle(scan.place, scan.place + 1)
        self._is_untidy = True
        self._tell()

    async def _tidy(self, *, sync: bool) -> None:
        """Write notes down, and remove the segments of which all is settled."""
        self._is_untidy = False
        settled = [
            segment
            for segment in self._segments.all[:-1]  # The newest says which place is next.
            if self._notes.settled.covers(segment.first_place, segment.end_place)
        ]
        snapshot = self._notes.snapshot() if self._notes.is_long else None
        notes = self._notes.take()

        def work() -> None:
            if snapshot is not None:
                self._notes.rewrite(snapshot)
            else:
                self._notes.write(notes, sync=sync or bool(settled))
            # Without its notes a segment that is gone would be a loss.
            self._segments.remove(settled)

        try:
            await self._worker(work)
        except OSError as error:
            logger.warning("the spool's notes cannot be written", extra={"error": str(error)})
            self._is_untidy = True
            return
        self._segments.forget(settled)
        if settled:
            self.is_full = False
            self._tell()

    def _full(self, scans: int, why: str) -> SpoolFull:
        self.turned_away += scans
        if not self.is_full:
            logger.error("the spool is full and turns scans away", extra={"why": why})
        self.is_full = True
        return SpoolFull(
            f"{why} Nothing was taken; send again later.",
            reason="SPOOL_FULL",
            retry_after_s=FULL_RETRY_S,
        )

    def _disk_failed(self, scans: int, error: OSError) -> LedgerError:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            return self._full(scans, "The spool's disk is full.")
        return Uncertain(f"The spool's disk fails: {error.strerror}.", reason="SPOOL_DISK")

    def _tell(self) -> None:
        for listener in self.listeners:
            listener()


@asynccontextmanager
async def open_spool(
    folder: Path,
    *,
    source_id: str = "",
    limits: SpoolLimits | None = None,
    now_ns: Callable[[], int] = time.time_ns,
    random_bytes: Callable[[int], bytes] = os.urandom,
) -> AsyncIterator[Spool]:
    """Open the spool in a folder, or make one; close it on leaving. `source_id` is whose scans it
    has; empty is those of many.

    Raises NotPossibleNow where another process has it or the disk refuses, Diverged where something
    that was spooled is gone or altered, and Refused where the folder is of another format, or of
    another source.
    """
    with disk_files(folder) as files:
        async with spool_on(
            files, source_id=source_id, limits=limits, now_ns=now_ns, random_bytes=random_bytes
        ) as spool:
            yield spool


@asynccontextmanager
async def spool_on(
    files: Files,
    *,
    source_id: str = "",
    limits: SpoolLimits | None = None,
    now_ns: Callable[[], int],
    random_bytes: Callable[[int], bytes],
    worker: Worker = asyncio.to_thread,
) -> AsyncIterator[Spool]:
    """Open the spool on any files; as `open_spool`. `worker` runs what blocks."""
    limits = limits or SpoolLimits()

    def begin() -> Spool:
        found = recover(
            files,
            source_id=source_id,
            segment_bytes=limits.segment_bytes,
            random_bytes=random_bytes,
        )
        return Spool(files, found, limits=limits, now_ns=now_ns, worker=worker)

    try:
        spool: Spool = await worker(begin)
    except OSError as error:
        raise NotPossibleNow(
            f"The spool cannot be opened: {error.strerror}.", reason="SPOOL_DISK"
        ) from error
    running = asyncio.create_task(spool.run(), name="spool")
    try:
        yield spool
    finally:
        spool.close()
        await asyncio.wait([running])
        if not running.cancelled():
            running.result()


def _fail(future: asyncio.Future[int], error: LedgerError) -> None:
    if not future.done():
        future.set_exception(error)
