"""Watches of one process: who is told that something has moved.

One poller reads how far the ledger is for all of them, and sleeps while nobody watches. A watch is
woken only when one of its own partitions has moved, and at most once an interval.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ledger import metrics
from ledger.errors import Busy, Uncertain
from ledger.position import SCANS_LOG

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from query.progress_view import PartitionView, ProgressView, Where

logger = logging.getLogger(__name__)

WATCH_INTERVAL_S = 0.25
"""How often the poller looks: soon enough for a person, and four reads a second for the store."""

WATCHES_MAX = 10_000
"""Most watches of one process: an idle one takes some 30 KiB, most of it gRPC's."""

WATCH_RETRY_AFTER_S = 5.0
"""When to ask again for a watch that was one too many."""

WATCH_READS_MAX = 8
"""Most watches that read at once: when thousands are woken together, other requests still find
their turn.
"""


class Moved:
    """Tells one watch that something has moved since it last looked."""

    def __init__(self, of_partition: defaultdict[tuple[int, int], set[Moved]]) -> None:
        self._of_partition = of_partition
        self._places: set[tuple[int, int]] = set()
        self._event = asyncio.Event()

    def of(self, places: Iterable[tuple[int, int]]) -> None:
        """Watch these partitions too (generation, partition). One that comes to others may have
        moved already, so that is told.
        """
        new = {*places} - self._places
        for place in new:
            self._of_partition[place].add(self)
        if new and self._places:
            self.tell()
        self._places |= new

    def end(self) -> None:
        """Watch no partition any more."""
        for place in self._places:
            self._of_partition[place].discard(self)

    async def wait(self) -> None:
        """Return when something has moved since the last return."""
        await self._event.wait()
        self._event.clear()

    def tell(self) -> None:
        """Let `wait` return."""
        self._event.set()


class Watches:
    """All watches of one process, and their poller."""

    def __init__(self, progress: ProgressView) -> None:
        """`progress` says how far the ledger is."""
        self._progress = progress
        self._count = 0
        self._of_partition: defaultdict[tuple[int, int], set[Moved]] = defaultdict(set)
        self._of_progress: set[Moved] = set()
        self._somebody = asyncio.Event()
        self.reading = asyncio.Semaphore(WATCH_READS_MAX)
        """Held by a watch while it reads a trail."""

    @contextmanager
    def of_partitions(self, places: Sequence[tuple[int, int]]) -> Iterator[Moved]:
        """Watch what is readable of partitions (generation, partition). Raises Busy where there
        are too many watches.
        """
        moved = Moved(self._of_partition)
        with self._counted():
            moved.of(places)
            try:
                yield moved
            finally:
                moved.end()

    @contextmanager
    def of_progress(self) -> Iterator[Moved]:
        """Watch all progress. Raises Busy where there are too many watches."""
        moved = Moved(self._of_partition)
        with self._counted():
            self._of_progress.add(moved)
            try:
                yield moved
            finally:
                self._of_progress.discard(moved)

    async def run(self) -> None:
        """Tell watches what has moved, until cancelled."""
        # What moved before a watch looked for the first time is told too: at worst it looks again.
        seen: Mapping[Where, PartitionView] = {}
        history_ns: int | None = None
        while True:
            await self._somebody.wait()
            try:
                now = await self._progress.partitions(0.0)
                if self._of_progress:
                    last_ns, history_ns = history_ns, await self._progress.history_time_ns(0.0)
                    if now != seen or history_ns != last_ns:
                        self._tell(self._of_progress)
            except (Busy, Uncertain) as error:
                logger.warning("watches wait for the store", extra={"error": str(error)})
            else:
                self._tell_partitions(seen, now)
                seen = now
            await asyncio.sleep(WATCH_INTERVAL_S)

    def _tell_partitions(
        self, seen: Mapping[Where, PartitionView], now: Mapping[Where, PartitionView]
    ) -> None:
        for where, view in now.items():
            log, generation, partition = where
            before = seen.get(where)
            if log == SCANS_LOG and (before is None or before.readable != view.readable):
                self._tell(self._of_partition.get((generation, partition), ()))

    @staticmethod
    def _tell(watches: Iterable[Moved]) -> None:
        for moved in watches:
            moved.tell()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        if self._count >= WATCHES_MAX:
            raise Busy(
                f"This server has {WATCHES_MAX} watches, and takes no more. Try again in "
                f"{WATCH_RETRY_AFTER_S:g} s, or ask another server.",
                reason="TOO_MANY_WATCHES",
                retry_after_s=WATCH_RETRY_AFTER_S,
                metadata={"watches_max": str(WATCHES_MAX)},
            )
        self._count += 1
        metrics.QUERY_WATCHES.inc()
        self._somebody.set()
        try:
            yield
        finally:
            self._count -= 1
            metrics.QUERY_WATCHES.dec()
            if not self._count:
                self._somebody.clear()
