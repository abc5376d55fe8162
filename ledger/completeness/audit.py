"""The audit of one ledger: follows the small logs, and looks through the scans where it has to.

Receipts and refusals are read always. The log `scans` is read where something is open for longer
than it should be: its records tell whether only a receipt was lost; and once a day, to compare.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger import metrics
from ledger.completeness.findings import (
    GRACE_NS,
    Beside,
    Where,
    counts_of,
    findings_of,
    silent,
)
from ledger.completeness.look import Look
from ledger.completeness.readers import (
    LogReader,
    read_to_end,
    read_unread,
    taking_receipts,
    taking_refusals,
)
from ledger.completeness.settling import Settling
from ledger.completeness.sources import Recorded, Settlement, SourceKey, Sources
from ledger.errors import LedgerError
from ledger.quarantine.items import State

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence

    from ledger.completeness.findings import Finding
    from ledger.completeness.readers import Unread
    from ledger.quarantine.desk import Desk
    from ledger.quarantine.items import Item
    from ledger.scan_log import ScanLog
    from ledger.trail_store import TrailStore

logger = logging.getLogger(__name__)

EVERY_S: Final = 10.0
"""How often what is missing is counted for the metrics."""

SILENT_AFTER_S: Final = 3_600.0
"""After how many seconds without a word a source is silent: sources that are connected speak once a
minute.
"""

LOOK_AGAIN_NS: Final = 600 * 1_000_000_000
"""After how many nanoseconds the newer records are looked through while something never arrived: it
may have come by now, and its receipt may be lost.
"""

SOURCES_AT_ONCE: Final = 200
"""Sources that are judged before others have their turn: some milliseconds."""


LOOK_ANYWAY_NS: Final = 86_400 * 1_000_000_000
"""After how many nanoseconds the newer records are looked through where nothing is missing: till
then receipts are believed. A process that starts waits as long for its first look, which reads all.
"""


class Report(NamedTuple):
    """What is found at one moment."""

    findings: Sequence[Finding]
    """By source, spool and sequence."""
    now_ns: int
    looked_through_ns: int
    """All records that were acknowledged before this were looked through; 0 is none."""
    sources: int
    """Pairs of source and spool."""
    minted: int
    """Sequences that they are known to have minted."""
    not_looked_at: int
    """Records behind the trails that were too many to be looked at."""
    beyond: int
    """Sources for which there was no place."""
    forgotten: int
    """Pairs of source and spool of which more was known than there was room for."""

    @property
    def counts(self) -> Mapping[Where, int]:
        """How many sequences are missing, or settled in any way, and how many sources silent."""
        return counts_of(self.findings, now_ns=self.now_ns)


class Audit:
    """Knows all sources of one ledger. `run` keeps the metrics; `report` answers without it too."""

    def __init__(
        self,
        scans: ScanLog,
        receipts: ScanLog,
        refusals: ScanLog,
        desk: Desk,
        store: TrailStore,
        *,
        now_ns: Callable[[], int],
        monotonic: Callable[[], float],
    ) -> None:
        """`desk` is the quarantine's; `now_ns` gives nanoseconds since 1970-01-01T00:00:00Z,
        `monotonic` seconds since any moment.
        """
        self._scans = scans
        self._desk = desk
        self._store = store
        self._now_ns = now_ns
        self._sources = Sources()
        self._receipts = LogReader(receipts)
        self._refusals = LogReader(refusals)
        self._reading = asyncio.Lock()
        self._look = Look(scans, self._sources, self._caught_up, now_ns=now_ns, monotonic=monotonic)
        self._look_wanted = asyncio.Event()
        self._began_ns = now_ns()
        self._settling = Settling(receipts, self._sources, self._caught_up)

    async def run(self) -> None:
        """Count what is missing, and look through the records where that helps, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._again(self._count))
            tasks.create_task(self._again(self._look_if_wanted))

    async def look_through(self, told: Callable[[int, int], None]) -> None:
        """Look through all records of `scans` that were not looked through before.

        `told` is called with how many were read and how many there are. Raises Busy or Uncertain
        where a log is away: the next time goes on from there.
        """
        await self._look.on(told, is_awaited=True)

    async def _again(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except LedgerError as error:
                # Nothing of the ledger hangs on this count, so nothing ends with it.
                logger.warning("completeness cannot be told", extra={"error": error.message})
            await asyncio.sleep(EVERY_S)

    async def _count(self) -> None:
        report = await self.report(after_s=SILENT_AFTER_S)
        _tell(report)
        looked_ns = self._look.began_ns
        is_due = report.now_ns - max(looked_ns, self._began_ns) > LOOK_ANYWAY_NS
        if is_due or _asks_for_records(report, looked_ns=looked_ns):
            self._look_wanted.set()

    async def _look_if_wanted(self) -> None:
        await self._look_wanted.wait()
        self._look_wanted.clear()
        await self._look.on(lambda _, __: None, is_awaited=False)

    async def settle(self, key: SourceKey, first: int, last: int, *, by: str, why: str) -> int:
        """Take an operator's word that nobody waits for these any more; return how many it were.

        Raises NotPossibleNow where it says nothing, Busy or Uncertain where an engine is away.
        """
        word = Settlement(first, last, by, why, self._now_ns())
        return await self._settling.settle(key, word)

    async def report(self, *, after_s: float) -> Report:
        """Find what there is now; a source is silent after so many seconds.

        Raises Busy or Uncertain where an engine is away.
        """
        async with self._caught_up() as before:
            # What is replayed from here on is told as it was: else it might be in no place.
            was_open = {item.position for item in before if item.state is State.OPEN}
            unread = await read_unread(self._scans, self._store, self._sources.take_record)
            items = await self._items()
        still_open = [
            item
            for item in items
            if item.state is State.OPEN
            or (item.state is State.REPLAYED and item.position in was_open)
        ]
        beside = Beside(
            unread=unread.by_source,
            quarantined=_times_of(still_open),
            dropped=_times_of(item for item in items if item.state is State.DROPPED),
            looked_through_ns=self._look.through_ns,
        )
        return await self._judge(unread, beside, after_ns=int(after_s * 1e9))

    @asynccontextmanager
    async def _caught_up(self) -> AsyncIterator[Sequence[Item]]:
        """Read the small logs to their end; give what is in quarantine. One at a time is inside."""
        async with self._reading:
            await read_to_end(self._receipts, taking_receipts(self._sources))
            await read_to_end(self._refusals, taking_refusals(self._sources))
            yield await self._items()

    async def _items(self) -> Sequence[Item]:
        """Give what is in quarantine of numbered sources. Its records are in the log, also where
        nobody can read them there.
        """
        items = [item for item in (await self._desk.items()).all() if item.sequence]
        for item in items:
            self._sources.take_record(_recorded(item), is_looked_at=True)
        return items

    def knows(self, source_id: str) -> bool:
        """Tell whether anything was ever heard of a source, in the logs as they were read last."""
        return any(key.source_id == source_id for key, _ in self._sources.all())

    async def _judge(self, unread: Unread, beside: Beside, *, after_ns: int) -> Report:
        findings: list[Finding] = []
        minted = 0
        now_ns = self._now_ns()
        sources = self._sources.all()
        for count, (key, source) in enumerate(sources, 1):
            minted += source.heard.through
            findings += findings_of(key, source, beside)
            if count % SOURCES_AT_ONCE == 0:
                await asyncio.sleep(0)
        findings += silent(sources, now_ns=now_ns, after_ns=after_ns)
        findings.sort(key=lambda one: one.rank)
        return Report(
            findings=findings,
            now_ns=now_ns,
            looked_through_ns=self._look.through_ns,
            sources=len(sources),
            minted=minted,
            not_looked_at=unread.not_looked_at,
            beyond=len(self._sources.beyond),
            forgotten=sum(source.forgot_through > 0 for _, source in sources),
        )


def _times_of(items: Iterable[Item]) -> Mapping[SourceKey, Mapping[int, int]]:
    found: dict[SourceKey, dict[int, int]] = {}
    for one in map(_recorded, items):
        found.setdefault(one.key, {})[one.sequence] = one.time_ns
    return found


def _recorded(item: Item) -> Recorded:
    return Recorded(SourceKey(item.source_id, item.spool_id), item.sequence, item.time_ns, "")


def _asks_for_records(report: Report, *, looked_ns: int) -> bool:
    """Whether something is open for so long that a receipt was lost, or the scans were; and no look
    began since, or not for long.
    """
    long_ns = 2 * GRACE_NS
    is_long_ago = report.now_ns - looked_ns > LOOK_AGAIN_NS
    return any(
        one.where in {Where.UNCONFIRMED, Where.NEVER_ARRIVED, Where.WITHOUT_RECORD}
        and report.now_ns - one.since_ns > long_ns
        and (is_long_ago or looked_ns < one.since_ns + long_ns)
        for one in report.findings
    )


def _tell(report: Report) -> None:
    """Set the metrics."""
    counts = report.counts
    for where in Where:
        if where is not Where.SILENT:
            metrics.COMPLETENESS_SCANS.labels(where.name.lower()).set(counts.get(where, 0))
    metrics.COMPLETENESS_SILENT.set(counts.get(Where.SILENT, 0))
    oldest = [one.since_ns for one in report.findings if one.is_missing(report.now_ns)]
    age_ns = report.now_ns - min(oldest, default=report.now_ns)
    metrics.COMPLETENESS_OLDEST_SECONDS.set(age_ns / 1e9)
    metrics.COMPLETENESS_BEYOND.set(report.beyond)
