"""Looking through the records of `scans`: it tells outcomes whose receipts were lost, and whether
each scan of which a receipt says that it was recorded is there.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from ledger import metrics
from ledger.completeness.readers import LogReader, recorded_in

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from contextlib import AbstractAsyncContextManager

    from ledger.completeness.sources import Sources
    from ledger.scan_log import ScanLog

LOOK_SHARE: Final = 0.2
"""Which part of the time records may be looked through where nobody waits for it."""

SOURCES_AT_ONCE: Final = 200
"""Sources that are compared before others have their turn: some milliseconds."""


class Look:
    """One place in the log `scans`, which goes on to the end when it is told."""

    def __init__(
        self,
        scans: ScanLog,
        sources: Sources,
        caught_up: Callable[[], AbstractAsyncContextManager[object]],
        *,
        now_ns: Callable[[], int],
        monotonic: Callable[[], float],
    ) -> None:
        """`caught_up` folds what else there is to know of `sources`; inside of it nobody does."""
        self._scans = scans
        self._sources = sources
        self._caught_up = caught_up
        self._now_ns = now_ns
        self._monotonic = monotonic
        self._records = LogReader(scans)
        self._looking = asyncio.Lock()
        self._waiting = 0  # Who waits for a look.
        self.began_ns = 0
        """When the last look began that has ended; 0 is none."""
        self.through_ns = 0
        """All records that were acknowledged before this were looked through; 0 is none."""

    async def on(self, told: Callable[[int, int], None], *, is_awaited: bool) -> None:
        """Look through all records that were not looked through before: slowly, unless somebody
        waits. `told` is called with how many were read and how many there are. Raises Busy or
        Uncertain where a log is away: the next time goes on from there.
        """
        self._waiting += is_awaited
        try:
            async with self._looking:
                await self._on(told)
        finally:
            self._waiting -= is_awaited

    async def _on(self, told: Callable[[int, int], None]) -> None:
        began_ns = self._now_ns()
        done, begun_s = 0, self._monotonic()
        async for read, behind in self._pieces():
            done += read
            told(done, done + behind)
            rest = 0 if self._waiting else 1 / LOOK_SHARE - 1
            await asyncio.sleep((self._monotonic() - begun_s) * rest)
            begun_s = self._monotonic()
        # Records of earlier generations are in a log that this process does not know, and those
        # that a command trimmed are in none: a receipt without a record says nothing then.
        if self._scans.identity.generation == 1:
            if not self._records.was_trimmed:
                await self._compare()
            self.through_ns = began_ns
        self.began_ns = began_ns

    async def _compare(self) -> None:
        """Find what is acknowledged and in no record. Whatever a receipt says now was recorded
        before: so receipts are read first, and then the records to their end.
        """
        async with self._caught_up():
            async for _ in self._pieces():
                await asyncio.sleep(0)
            for count, (_, source) in enumerate(self._sources.all(), 1):
                source.compare()
                if count % SOURCES_AT_ONCE == 0:
                    await asyncio.sleep(0)

    async def _pieces(self) -> AsyncGenerator[tuple[int, int], None]:
        async for read, behind in self._records.pieces(self._take):
            metrics.COMPLETENESS_RECORDS.inc(read)
            yield read, behind

    def _take(self, value: bytes) -> int:
        record = recorded_in(value)
        if record is None:
            return 0
        self._sources.take_record(record, is_looked_at=True)
        return record.time_ns
