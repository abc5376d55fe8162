"""One run in one process: its scanners, its connections, its verifier."""

from __future__ import annotations

import heapq
import os
import random
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from loadtest.load.check import STOPPED, Fault
from loadtest.load.connections import Connections
from loadtest.load.readable import Readable
from loadtest.load.reading import Trouble
from loadtest.load.scanner import Scanner
from loadtest.load.spool import Spool
from loadtest.load.traffic import Traffic
from loadtest.load.verifier import Verifier

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from loadtest.load.spool import Settled
    from loadtest.load.status import Status
    from loadtest.load.traffic import Scan
    from loadtest.load.verdict import Verdict

DRAIN_S: Final = 60.0
"""Longest wait at the end for the outcome of what is in flight: a restart takes seconds."""

OPEN_WITHIN_S: Final = 30.0
"""Longest wait for a stream to be opened."""

SAMPLE_EVERY_S: Final = 1.0
"""How often the verifier reads some trails back by itself, whoever else reads."""

AT_ONCE: Final = 25
"""Scans that are made up before other users get their turn: one or two milliseconds."""

SAMPLE_ITEMS: Final = 100

_SPOOL_BYTES: Final = 16


class Plan(NamedTuple):
    """What is asked of a run."""

    ingest: str
    """Where scans go: host and port."""

    query: str
    """Where trails are read; the same, where one process is both."""

    seed: int
    batch_scans: int
    window_batches: int
    """Most batches of one scanner that have no outcome."""

    scans_per_s: float
    """What each scanner scans; 0 is as much as it can get rid of."""

    look_ups_per_s: float
    """What each partner looks up; 0 is as much as it gets answers."""

    connections: int
    """To each door."""

    watches: int
    """Streams that one watcher holds open."""

    watch_s: float
    """How long it holds each."""


class Report(Protocol):
    """Whoever shows figures."""

    def request(self, name: str, seconds: float, size: int, trouble: str = "") -> None:
        """Show that a request was answered, or what went wrong with it."""

    def count(self, name: str, number: int, seconds: float | None) -> None:
        """Show that so many scans, or whatever the name says, were done in so many seconds; None
        is for what was not asked for, but came.
        """

    def fault(self, fault: Fault) -> None:
        """Show a fault."""


class Slot(NamedTuple):
    """The place of one scanner: its user may leave, and another may come."""

    number: int
    scanner: Scanner


class Run:
    """Everything that the users of one process share."""

    def __init__(self, plan: Plan, report: Report, folder: Path, *, worker: int = 0) -> None:
        """`folder` is empty; `worker` is the number of this process."""
        self.plan = plan
        self.report = report
        self.is_finishing = False
        """Whether users are to do nothing more."""

        self.on_finish: dict[object, Callable[[], None]] = {}
        """What ends something that would go on without end; by whoever wants to be told."""

        self.connections = Connections(plan.ingest, plan.query, each=plan.connections)
        self.query = self.connections.query
        self.verifier = Verifier(folder, self.query, on_fault=report.fault)
        self._readable = Readable(self.query, lambda: self.verifier.moved(self._readable))
        self._traffic = Traffic(plan.seed, worker=worker)
        self._worker = worker
        self._slots: list[Slot] = []
        self._free: list[int] = []
        threading.Thread(target=self._sample, daemon=True).start()

    def take_slot(self) -> Slot:
        """Become a scanner: the first one that nobody is, else a new one."""
        if not self._free:
            number = len(self._slots)
            self._slots.append(Slot(number, self._make_scanner(number)))
            heapq.heappush(self._free, number)
        slot = self._slots[heapq.heappop(self._free)]
        slot.scanner.join()
        return slot

    def give_back(self, slot: Slot) -> None:
        """Be a scanner no more. What is in flight gets its outcome all the same."""
        slot.scanner.leave()
        heapq.heappush(self._free, slot.number)

    def next_scans(self, slot: Slot) -> Sequence[Scan]:
        """Give what a scanner scans next. Waits until the server has told its limits."""
        if not slot.scanner.wait_open(OPEN_WITHIN_S):
            return ()
        scans: list[Scan] = []
        while (left := min(self.plan.batch_scans, slot.scanner.batch_scans_max) - len(scans)) > 0:
            scans += self._traffic.next_scans(slot.number, min(left, AT_ONCE))
            time.sleep(0)
        return scans

    def finish(self, tell: Callable[[str], None]) -> Verdict:
        """Let nothing new begin, wait for what is in flight, read everything back, and judge."""
        self.is_finishing = True
        for end in list(self.on_finish.values()):
            end()
        verifier, scanners = self.verifier, [slot.scanner for slot in self._slots]
        for scanner in scanners:
            scanner.leave()
        until_s = time.monotonic() + DRAIN_S
        left = [scanner.drain(until_s - time.monotonic()) for scanner in scanners]
        verifier.verdict.unsettled = sum(left)
        tell(f"{verifier.verdict.acknowledged:,} scans acknowledged; all are read back now")
        verifier.read_all_back(self._readable, tell)
        self.close()
        return verifier.verdict

    def close(self) -> None:
        """End everything."""
        self.is_finishing = True
        for slot in self._slots:
            slot.scanner.close()
        self._readable.close()
        self.connections.close()
        self.verifier.close()

    def _make_scanner(self, number: int) -> Scanner:
        source_id = f"load-{self.plan.seed}-{self._worker}-{number:04}"
        spool = Spool(
            source_id,
            os.urandom(_SPOOL_BYTES),
            window_batches=self.plan.window_batches,
            random=random.random,
        )
        return Scanner(
            self.connections.record_scans(),
            spool,
            on_settled=self._on_settled,
            on_ended=lambda status: self._on_ended(source_id, status),
        )

    def _on_settled(self, source_id: str, settled: Settled) -> None:
        self.verifier.settled(source_id, settled)
        trouble = f"to be sent again: {settled.reason}" if settled.again else ""
        self.report.request("RecordScans", settled.waited_s, 0, trouble)
        if settled.durable:
            self.report.count("scans acknowledged", len(settled.durable), settled.waited_s)

    def _on_ended(self, source_id: str, status: Status) -> None:
        self.report.request("RecordScans stream", 0.0, 0, status.words)
        if not status.may_pass:
            self.verifier.fault(Fault(STOPPED, source_id, status.words))

    def _sample(self) -> None:
        """Read some trails back again and again."""
        while not self.is_finishing:
            with suppress(Trouble):  # Whoever is counted meets it, too.
                self.verifier.look_again(SAMPLE_ITEMS)
            time.sleep(SAMPLE_EVERY_S)
