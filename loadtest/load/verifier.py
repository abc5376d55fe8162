"""Verifies while the load runs, and completely at the end: what was acknowledged is in the trails,
once, with the bytes that were sent, in order.

It asks the door out like anyone else, and knows only what scanners were told.
"""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, NamedTuple

from loadtest.load import check
from loadtest.load.reading import LOOK_UP_MAX, Trouble, look_up
from loadtest.load.remembered import Remembered, Sample
from loadtest.load.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ledger.v1.position_pb2 import Position
    from ledger.v1.raw_pb2 import RawTrailEntry
    from loadtest.load.check import Fault, Identity
    from loadtest.load.connections import Query
    from loadtest.load.readable import Readable
    from loadtest.load.remembered import Expected
    from loadtest.load.spool import Settled
    from loadtest.load.traffic import Scan

PENDING_SCANS_MAX: Final = 100_000
"""Most scans, about 400 bytes each, that wait to become readable. Where trails lag by more, scans
are checked at the end only.
"""

SUSPECT_S: Final = 10.0
"""A scan that was readable and is missing for so long is lost: one server of several may lag."""

SUSPECTS_MAX: Final = 1_000
"""Most missing scans that are asked for again under way; the end finds all."""

READABLE_WITHIN_S: Final = 60.0
"""Trails that have not moved for so long, and are behind, do not follow the log."""

ASK_AGAIN_S: Final = (0.1, 0.4, 1.0, 2.0)
"""Waits between looking for what is missing at the end."""

MISSING_MAX: Final = 100_000
"""Most scans that are looked for once more; whatever else is missing is lost at once."""

LOOK_UPS_AT_ONCE: Final = 4
"""At the end: a third faster than one after the other."""

TELL_EVERY_S: Final = 5.0


class Fresh(NamedTuple):
    """A batch that was acknowledged just now: a reader that names its positions must see it."""

    source_id: str
    scans: Sequence[tuple[Scan, bytes]]
    positions: Sequence[Position]


class Verifier:
    """The memory and the judgement of one process."""

    def __init__(
        self,
        folder: Path,
        query: Callable[[], Query],
        *,
        on_fault: Callable[[Fault], None],
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`folder` is empty; `query` gives one that asks; `on_fault` is told each fault once."""
        self.verdict = Verdict()
        self.sample = Sample()
        self.fresh: deque[Fresh] = deque(maxlen=100)
        """The last batches that were acknowledged."""

        self._remembered = Remembered(folder)
        self._query = query
        self._on_fault = on_fault
        self._monotonic = monotonic
        self._sleep = sleep
        self._pending: deque[Fresh] = deque()
        self._pending_scans = 0
        self._suspects: dict[tuple[str, Identity], float] = {}

    def settled(self, source_id: str, settled: Settled) -> None:
        """Remember what a result acknowledged."""
        for scan in settled.durable:
            if scan.is_bad:
                identity = check.Identity(source_id, scan.event_id)
                self.fault(check.misjudged(scan.item, identity, "which is bad, was taken"))
        for scan, refusal in settled.refused:
            if not scan.is_bad:
                identity = check.Identity(source_id, scan.event_id)
                self.fault(check.misjudged(scan.item, identity, f"refused: {refusal.message}"))
        scans = [(scan, check.digest_of(scan.event)) for scan in settled.durable if not scan.is_bad]
        self.verdict.acknowledged += len(settled.durable)
        self.verdict.refused += len(settled.refused)
        self.verdict.sent_again += settled.again
        if not scans:
            return
        self._remembered.add(source_id, scans, settled.positions)
        batch = Fresh(source_id, scans, settled.positions)
        self.fresh.append(batch)
        if self._pending_scans < PENDING_SCANS_MAX:
            self._pending.append(batch)
            self._pending_scans += len(scans)

    def moved(self, readable: Readable) -> None:
        """Expect from now on what has become readable."""
        while self._pending and readable.covers(self._pending[0].positions):
            batch = self._pending.popleft()
            self._pending_scans -= len(batch.scans)
            self.sample.add(batch.source_id, batch.scans)

    def fault(self, fault: Fault) -> None:
        """Count a fault."""
        if self.verdict.add(fault):
            self._on_fault(fault)

    def judge(
        self,
        item: str,
        expected: Expected,
        entries: Iterable[RawTrailEntry],
        *,
        recorded: bool = False,
        descending: bool = False,
    ) -> list[Identity]:
        """Compare a whole trail with what was expected of it before it was asked for; give what is
        missing. The order is the one that was asked for.
        """
        shown = [check.shown_of(entry) for entry in entries]
        faults = check.content_faults(item, expected, shown)
        faults += check.order_faults(item, shown, recorded=recorded, descending=descending)
        for fault in faults:
            self.fault(fault)
        return check.missing_of(expected, shown)

    def judge_under_way(
        self,
        item: str,
        expected: Expected,
        entries: Iterable[RawTrailEntry],
        *,
        recorded: bool = False,
        descending: bool = False,
    ) -> None:
        """Do the same while the load runs: what is missing is suspect, and looked for again."""
        self.verdict.checked += 1
        missing = self.judge(item, expected, entries, recorded=recorded, descending=descending)
        self.suspect(item, missing)

    def suspect(self, item: str, missing: Iterable[Identity]) -> None:
        """Look for scans again: they are not shown, and should be."""
        for identity in missing:
            if len(self._suspects) < SUSPECTS_MAX:
                self._suspects.setdefault((item, identity), self._monotonic())

    def look_again(self, count: int) -> None:
        """Read some items back: those with suspects first. Raises Trouble."""
        suspects = dict.fromkeys(item for item, _ in self._suspects)
        asked = {item: self.sample.expected(item) for item in self.sample.some(count)}
        items = list({**suspects, **asked})[:count]
        for item, entries in look_up(self._query(), items) if items else ():
            if item in asked:
                self.judge_under_way(item, asked[item], entries)
            if item in suspects:
                self._clear(item, {check.shown_of(entry).identity for entry in entries})

    def read_all_back(
        self, readable: Readable, tell: Callable[[str], None] = lambda words: None
    ) -> None:
        """Read every trail back. Where that cannot be done, the verdict says why."""
        try:
            self._wait_readable(readable)
            missing = self._read_all(tell)
            self._look_for(missing)
        except Trouble as trouble:
            self.verdict.unfinished = f"Not everything could be read back: {trouble}"

    def close(self) -> None:
        """Let the files go."""
        self._remembered.close()

    def _clear(self, item: str, shown: set[Identity]) -> None:
        """Judge an item's suspects, after its trail was read again."""
        for suspect, since_s in list(self._suspects.items()):
            if suspect[0] != item:
                continue
            if suspect[1] in shown:
                del self._suspects[suspect]
            elif self._monotonic() - since_s >= SUSPECT_S:
                del self._suspects[suspect]
                self.fault(check.lost(*suspect))

    def _wait_readable(self, readable: Readable) -> None:
        """Wait until trails have followed the log, as long as they move. What is not readable by
        then counts as lost.
        """
        last, until_s = None, 0.0
        while behind := readable.behind(self._remembered.ends):
            if behind != last:
                last, until_s = behind, self._monotonic() + READABLE_WITHIN_S
            if self._monotonic() >= until_s:
                return
            self._sleep(0.05)

    def _read_all(self, tell: Callable[[str], None]) -> dict[str, list[Identity]]:
        """Read all trails; give what is missing."""
        missing: dict[str, list[Identity]] = {}
        found_missing = 0
        told_s = self._monotonic()
        for items in self._remembered.read_back():
            for item, entries in self._trails(list(items)):
                expected = items[item]
                self.verdict.items += 1
                self.verdict.read_back += len(expected)
                absent = self.judge(item, expected, entries)
                found_missing += len(absent)
                if absent and found_missing <= MISSING_MAX:
                    missing[item] = absent
                elif absent:
                    self._all_lost(item, absent)
            if self._monotonic() - told_s >= TELL_EVERY_S:
                told_s = self._monotonic()
                tell(f"{self.verdict.read_back:,} of {self._remembered.scans:,} scans read back")
        return missing

    def _look_for(self, missing: Mapping[str, list[Identity]]) -> None:
        """Look for what is missing, some times more."""
        for wait_s in ASK_AGAIN_S:
            if not missing:
                return
            self._sleep(wait_s)
            still: dict[str, list[Identity]] = {}
            for item, entries in self._trails(list(missing)):
                shown = [check.shown_of(entry) for entry in entries]
                if absent := check.missing_of(missing[item], shown):
                    still[item] = absent
            missing = still
        for item, absent in missing.items():
            self._all_lost(item, absent)

    def _trails(self, items: Sequence[str]) -> Iterator[tuple[str, list[RawTrailEntry]]]:
        """Read trails, by some look-ups at once."""

        def read(first: int) -> list[tuple[str, list[RawTrailEntry]]]:
            asked = items[first : first + LOOK_UP_MAX]
            return list(look_up(self._query(), asked, again=self._sleep))

        step = LOOK_UPS_AT_ONCE * LOOK_UP_MAX
        with ThreadPoolExecutor(LOOK_UPS_AT_ONCE) as threads:
            for first in range(0, len(items), step):
                last = min(first + step, len(items))
                for found in threads.map(read, range(first, last, LOOK_UP_MAX)):
                    yield from found

    def _all_lost(self, item: str, identities: Iterable[Identity]) -> None:
        for identity in identities:
            self.fault(check.lost(item, identity))
