"""Sends what is in a spool to a ledger, or to a gateway before it, for as long as it runs."""

from __future__ import annotations

import asyncio
import logging
import random as randomness
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from ingest.scanner_ending import ScannerStopped
from ingest.scanner_link import Link
from ingest.scanner_settings import ScannerCounts, ScannerSettings
from ingest.spool_lanes import Lanes
from ingest.spool_outgoing import SpoolOutgoing
from ledger.errors import Busy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import grpc

    from ingest.spool import Spool
    from ingest.spool_lanes import Outbound, Source
    from ledger.v1.ingest_service_pb2 import SourceProgress

logger = logging.getLogger(__name__)

STOPPED_FIRST_S: Final = 5.0
"""First wait after an error that does not pass by itself; it doubles each time."""

STOPPED_MOST_S: Final = 60.0
"""Longest wait after one: a person mends it, and does not start every gateway anew."""


class Forwarder:
    """One spool's way out, over one connection. `run` does the work."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        spool: Spool,
        *,
        read: Callable[[bytes, int], Outbound],
        progress: Callable[[], Sequence[SourceProgress]] = lambda: (),
        minted_through: Callable[[Source], int] = lambda _: 0,
        speaks_for_many: bool = True,
        client: str,
        version: str,
        settings: ScannerSettings | None = None,
        now_ns: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = randomness.random,
    ) -> None:
        """`read` makes a scan of what was spooled, and of its place. `progress` and
        `minted_through` tell how far the sources are, where that is known; `speaks_for_many` says
        whether there may be others than the one whose scans are sent.
        """
        settings = settings or ScannerSettings()
        self.counts = ScannerCounts()
        self.stopped = ""
        """Why it waits for a person, where it does."""

        self._spool = spool
        self._random = random
        self._is_ending = asyncio.Event()
        self._outgoing = SpoolOutgoing(
            spool,
            Lanes(spool, read, now_ns=now_ns),
            settings=settings,
            counts=self.counts,
            progress=progress,
            minted_through=minted_through,
            speaks_for_many=speaks_for_many,
            now_ns=now_ns,
            monotonic=monotonic,
        )
        self._link = Link(
            channel,
            outgoing=self._outgoing,
            client=client,
            version=version,
            settings=settings,
            counts=self.counts,
            now_ns=now_ns,
            monotonic=monotonic,
            random=random,
        )

    @property
    def held_back(self) -> int:
        """How many sources the server does not take now."""
        return self._outgoing.held_back

    def end(self) -> None:
        """Let `run` end when what is on its way has its result; the rest stays in the spool."""
        self._outgoing.is_ending = True
        self._is_ending.set()
        self._link.finish()

    async def run(self) -> None:
        """Send until `end`, or until cancelled. Raises Diverged where the spool is damaged."""
        self._spool.listeners.append(self._link.wake)
        wait_s = STOPPED_FIRST_S
        try:
            while True:
                durable = self.counts.durable
                try:
                    await self._link.run()
                except ScannerStopped as stopped:
                    self.stopped = str(stopped)
                except BaseExceptionGroup as group:  # Out of a stream's task group.
                    error = first_error(group)
                    if not isinstance(error, Busy):
                        raise error from group
                    self.stopped = error.message  # The disk may be well again.
                else:
                    return
                if self.counts.durable > durable:
                    wait_s = STOPPED_FIRST_S
                logger.error(
                    "the ledger does not take what is spooled; it is kept",
                    extra={"error": self.stopped, "again_in_s": wait_s},
                )
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s * (0.5 + self._random() / 2)):
                        await self._is_ending.wait()
                self.stopped = ""
                wait_s = min(2 * wait_s, STOPPED_MOST_S)
        finally:
            self._spool.listeners.remove(self._link.wake)


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Give the first error inside of groups of errors: the others follow from it."""
    first = group.exceptions[0]
    return first_error(first) if isinstance(first, BaseExceptionGroup) else first
