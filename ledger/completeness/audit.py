"""The audit of one ledger: follows the small logs, and looks through the scans where it has to.

Receipts and refusals are read always. The log `scans` is read only where something is open for
longer than it should be: then its records tell whether only a receipt was lost.
"""

from __future__ import annotations

import asyncio
import logging
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
from ledger.completeness.readers import (
    LogReader,
    Unread,
    read_to_end,
    read_unread,
    recorded_in,
    taking_receipts,
    taking_refusals,
)
from ledger.completeness.sources import Recorded, SourceKey, Sources
from ledger.errors import LedgerError
from ledger.quarantine.items import State

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from ledger.completeness.findings import Finding
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

LOOK_SHARE: Final = 0.2
"""Which part of the time records may be looked through where nobody waits for it."""

PAGED_S: Final = 300.0
"""For how many seconds the pages of an answer are cut from one report."""

SOURCES_AT_ONCE: Final = 200
"""Sources that are judged before others have their turn: some milliseconds."""


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

    @property
    def counts(self) -> Mapping[Where, int]:
        """How many sequences are missing, refused, dropped, and how many sources silent."""
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
        self._monotonic = monotonic
        self._sources = Sources()
        self._receipts = LogReader(receipts)
        self._refusals = LogReader(refusals)
        self._records = LogReader(scans)
        self._looked_through_ns = 0
        self._reading = asyncio.Lock()
        self._looking = asyncio.Lock()
        self._look_wanted = asyncio.Event()
        self._waiting = 0  # Who waits for a look.
        self._paged: tuple[float, float, Report] | None = None
        """The last report, when it was asked for, and with which silence."""

    async def run(self) -> None:
        """Count what is missing, and look through the records where that helps, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._again(self._count))
            tasks.create_task(self._again(self._look))

    async def look_through(self, told: Callable[[int, int], None]) -> None:
        """Look through all records of `scans` that were not looked through before.

        `told` is called with how many were read and how many there are. Raises Busy or Uncertain
        where the log is away: the next time goes on from there.
        """
        self._waiting += 1
        try:
            await self._look_on(told)
        finally:
            self._waiting -= 1

    async def _look_on(self, told: Callable[[int, int], None]) -> None:
        async with self._looking:
            began_ns = self._now_ns()
            done, begun_s = 0, self._monotonic()
            async for read, behind in self._records.pieces(self._take_record):
                done += read
                told(done, done + behind)
                metrics.COMPLETENESS_RECORDS.inc(read)
                rest = 0 if self._waiting else 1 / LOOK_SHARE - 1
                await asyncio.sleep((self._monotonic() - begun_s) * rest)
                begun_s = self._monotonic()
            # Records of earlier generations are in a log that this process does not know.
            if self._scans.identity.generation == 1:
                self._looked_through_ns = began_ns

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
        if _asks_for_records(report):
            self._look_wanted.set()

    async def _look(self) -> None:
        await self._look_wanted.wait()
        self._look_wanted.clear()
        await self._look_on(lambda _, __: None)

    async def paged(self, *, after_s: float, is_first: bool) -> Report:
        """As `report`; a page that is not the first is cut from the report of the first."""
        now_s, last = self._monotonic(), self._paged
        if is_first or last is None or now_s - last[0] > PAGED_S or last[1] != after_s:
            self._paged = last = now_s, after_s, await self.report(after_s=after_s)
        return last[2]

    async def report(self, *, after_s: float) -> Report:
        """Find what there is now; a source is silent after so many seconds.

        Raises Busy or Uncertain where an engine is away.
        """
        async with self._reading:
            await read_to_end(self._receipts, taking_receipts(self._sources))
            await read_to_end(self._refusals, taking_refusals(self._sources))
        items = [item for item in (await self._desk.items()).all() if item.sequence]
        unread = await read_unread(self._scans, self._store, self._sources.take_record)
        for item in items:
            self._sources.take_record(_recorded(item))
        beside = Beside(
            unread=unread.by_source,
            quarantined=_in_state(items, State.OPEN),
            dropped=_in_state(items, State.DROPPED),
            looked_through_ns=self._looked_through_ns,
        )
        return await self._judge(unread, beside, after_ns=int(after_s * 1e9))

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
            looked_through_ns=self._looked_through_ns,
            sources=len(sources),
            minted=minted,
            not_looked_at=unread.not_looked_at,
            beyond=len(self._sources.beyond),
        )

    def _take_record(self, value: bytes) -> None:
        record = recorded_in(value)
        if record is not None:
            self._sources.take_record(record)


def _in_state(items: Iterable[Item], state: State) -> Mapping[SourceKey, Mapping[int, int]]:
    found: dict[SourceKey, dict[int, int]] = {}
    for item in items:
        if item.state is state:
            one = _recorded(item)
            found.setdefault(one.key, {})[one.sequence] = one.time_ns
    return found


def _recorded(item: Item) -> Recorded:
    return Recorded(SourceKey(item.source_id, item.spool_id), item.sequence, item.time_ns, "")


def _asks_for_records(report: Report) -> bool:
    """Whether something is open for so long that a receipt was lost, or the scans were."""
    looked_ago_ns = report.now_ns - report.looked_through_ns
    return any(
        (one.where is Where.UNCONFIRMED and report.now_ns - one.since_ns > 2 * GRACE_NS)
        or (one.where is Where.NEVER_ARRIVED and looked_ago_ns > LOOK_AGAIN_NS)
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
