"""A spool: scans on this machine's disk until the ledger has them, or has refused them.

It is the truth about what is not yet acknowledged. What `append` has returned for survives kill -9
and a power cut; it leaves by `settle` and `refuse` alone, exactly what they name. When the spool is
full it takes nothing more and says so; it never drops what it has, however old that is.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ingest.spool_contents import SpoolContents
from ingest.spool_frames import FRAME_HEAD_BYTES, SCAN_OVERHEAD_BYTES
from ingest.spool_limits import (
    APPEND_BYTES_MAX,
    FULL_RETRY_S,
    SCAN_BYTES_MAX,
    SpoolFull,
    SpoolLimits,
)
from ledger.errors import Closed, LedgerError, TooLarge, Uncertain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ingest.spool_files import Files
    from ingest.spool_recovery import Recovered
    from ingest.spool_refused import RefusedScan

logger = logging.getLogger(__name__)

COMMIT_BYTES_MAX: Final = 1 << 20
"""Bytes of one commit, unless one append alone has more: a sync writes them in milliseconds."""

TIDY_S: Final = 0.5
"""How long notes of settled scans wait for others, and settled segments for their removal."""

Worker = Any
"""Runs what may block outside of the event loop: `asyncio.to_thread`, or a twin of it."""


class _Waiting(NamedTuple):
    """Scans that wait for a commit."""

    scans: Sequence[bytes]
    bytes: int
    future: asyncio.Future[int]


class Spool(SpoolContents):
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
        super().__init__(files, found, limits=limits, now_ns=now_ns)
        self.listeners: list[Callable[[], None]] = []
        """Called when scans were spooled or settled."""

        self.turned_away = 0
        """Scans that a full spool did not take, since it was opened."""

        self.is_full = False
        """Whether it turned away the last scans that came."""

        self._worker = worker
        self._waiting: list[_Waiting] = []
        self._waiting_bytes = 0
        self._refusing: list[RefusedScan] = []
        self._is_untidy = True
        self._tidied_s = -TIDY_S
        self._is_closing = False
        self._broken: BaseException | None = None
        self._wake = asyncio.Event()

    async def append(self, scans: Sequence[bytes]) -> int:
        """Take scans, and return the first one's place when all of them are synced; the others'
        follow.

        Raises SpoolFull: nothing was taken. Uncertain: they may be found after a crash, and taking
        them again is safe. TooLarge. Closed.
        """
        if not scans:
            raise ValueError("there is nothing to append")
        size = FRAME_HEAD_BYTES + sum(map(len, scans)) + SCAN_OVERHEAD_BYTES * len(scans)
        if max(map(len, scans)) > SCAN_BYTES_MAX or size > APPEND_BYTES_MAX:
            raise TooLarge(
                f"The spool takes scans of {SCAN_BYTES_MAX:,} bytes, and {APPEND_BYTES_MAX:,} "
                f"bytes of them at once. Nothing was taken; hand over less.",
                reason="SPOOL_TOO_LONG",
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
        self._wake.set()
        self._tell()

    def refuse(self, scans: Sequence[RefusedScan]) -> None:
        """Put scans into the list of refused ones, and then forget them."""
        self._refusing += scans
        self._wake.set()

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
        # Under load, too: a spool whose settled segments stay would be full some day.
        if self._tidy_in_s() == 0.0:
            await self._tidy(sync=False)

    def _tidy_in_s(self) -> float | None:
        """Tell when to tidy up next; None where there is nothing to do."""
        if not (self._notes.are_pending or self._is_untidy or self._refusing):
            return None
        return max(self._tidied_s + TIDY_S - asyncio.get_running_loop().time(), 0.0)

    async def _until_work(self) -> None:
        """Wait for scans, or until it is time to tidy up."""
        try:
            async with asyncio.timeout(self._tidy_in_s()):
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
        self._tidied_s = asyncio.get_running_loop().time()
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


def _fail(future: asyncio.Future[int], error: LedgerError) -> None:
    if not future.done():
        future.set_exception(error)
