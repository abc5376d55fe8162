"""Hammers a ledger: writers and readers at once, who verify; a goal to reach, and a deadline.

It is the load of `make load` with threads instead of Locust's users, and ends by itself: when so
many scans are acknowledged, or the time is over. Then every trail is read back.
"""

from __future__ import annotations

import itertools
import math
import random
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from loadtest.load.run import Plan, Run
from loadtest.load.scanner import ScannerStopped
from loadtest.load.work import audit, look_up_hundred, read_own_writes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loadtest.load.check import Fault
    from loadtest.load.verdict import Verdict

WORK: Final = (look_up_hundred, audit, read_own_writes)
"""What readers do, one after the other: as a partner, as an auditor, as one who wrote just now."""

CONNECTIONS: Final = 4
"""To each door. A connection takes a thread, and carries a thousand streams."""

LOOK_EVERY_S: Final = 0.1
"""How often it is looked whether the goal is reached."""

KEPT_MAX: Final = 100_000
"""Most waits, 8 bytes each, that percentiles are made of; of more than that a random sample."""

STRAGGLERS_S: Final = 5.0
"""How long threads get to end that wait for an answer; whoever does not is left behind."""


class Goal(NamedTuple):
    """What is asked of a ledger."""

    scans: int
    """So many are to be acknowledged …"""
    within_s: float
    """… within so many seconds, while all readers read."""


class Hammering(NamedTuple):
    """How it is hammered."""

    ingest: str
    """Where scans go: host and port."""
    query: str
    """Where trails are read; the same, where one process is both."""
    writers: int
    readers: int
    batch_scans: int
    window_batches: int
    """Batches of one writer without a result, at most."""
    seed: int
    """The same seed gives the same scans."""


class Hammered(NamedTuple):
    """What came of it."""

    goal: Goal
    elapsed_s: float
    """Until the goal was reached, or given up."""
    verdict: Verdict
    waits_ms: dict[str, float]
    """From sending a batch to its result: p50, p99, max."""
    requests: dict[str, int]
    """Answered, by method."""
    troubles: dict[str, int]
    """What else came, in its words: a ledger that restarts is one."""

    @property
    def is_reached(self) -> bool:
        """Whether the goal was reached in time."""
        return self.verdict.acknowledged >= self.goal.scans and self.elapsed_s <= self.goal.within_s

    @property
    def is_good(self) -> bool:
        """Whether it was, and nothing was wrong."""
        return self.is_reached and self.verdict.is_good and not self.verdict.unsettled

    def document(self) -> dict[str, Any]:
        """Give all of it for programs."""
        return {
            "good": self.is_good,
            "goal": {**self.goal._asdict(), "reached": self.is_reached},
            "elapsed_s": round(self.elapsed_s, 3),
            "scans_per_s": round(self.verdict.acknowledged / max(self.elapsed_s, 1e-9)),
            "ack_ms": self.waits_ms,
            "requests": self.requests,
            "troubles": self.troubles,
            "verdict": self.verdict.figures(),
        }


def hammer(
    how: Hammering,
    goal: Goal,
    *,
    tell: Callable[[str], None],
    on_progress: Callable[[int], None] = lambda acknowledged: None,
    monotonic: Callable[[], float] = time.monotonic,
) -> Hammered:
    """Hammer until the goal is reached or its time is over; then read everything back.

    `tell` gets what is done now, `on_progress` the scans acknowledged so far.
    """
    plan = Plan(
        ingest=how.ingest,
        query=how.query,
        seed=how.seed,
        batch_scans=how.batch_scans,
        window_batches=how.window_batches,
        scans_per_s=0.0,
        look_ups_per_s=0.0,
        connections=CONNECTIONS,
        watches=0,
        watch_s=0.0,
    )
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="parcel-ledger-hammer-") as folder:
        run = Run(plan, figures, Path(folder))
        threads = [threading.Thread(target=_write, args=(run,)) for _ in range(how.writers)]
        threads += [threading.Thread(target=_read, args=(run,)) for _ in range(how.readers)]
        began_s = monotonic()
        for thread in threads:
            thread.daemon = True  # One that hangs must not keep the process.
            thread.start()
        while (elapsed_s := monotonic() - began_s) < goal.within_s:
            on_progress(run.verifier.verdict.acknowledged)
            if run.verifier.verdict.acknowledged >= goal.scans:
                break
            time.sleep(LOOK_EVERY_S)
        run.is_finishing = True
        for thread in threads:
            thread.join(STRAGGLERS_S)
        verdict = run.finish(tell)
    return Hammered(
        goal, elapsed_s, verdict, figures.waits_ms(), dict(figures.requests), dict(figures.troubles)
    )


def _write(run: Run) -> None:
    """Be a scanner that scans as much as it gets rid of."""
    slot = run.take_slot()
    # A scanner that can never go on has said why: that is a fault of the run.
    with suppress(ScannerStopped):
        while not run.is_finishing:
            if scans := run.next_scans(slot):
                slot.scanner.hand_over(scans)
    run.give_back(slot)


def _read(run: Run) -> None:
    """Read and compare, as fast as answers come."""
    for work in itertools.cycle(WORK):
        if run.is_finishing:
            return
        if not run.verifier.fresh:
            time.sleep(LOOK_EVERY_S)
            continue
        work(run)


class Figures:
    """What is counted while it runs; a `Report` of the run, from many threads."""

    def __init__(self, random: Callable[[], float] = random.random) -> None:
        self.requests: Counter[str] = Counter()
        self.troubles: Counter[str] = Counter()
        self._waits_s: list[float] = []
        self._seen = 0
        self._random = random
        self._lock = threading.Lock()

    def request(self, name: str, seconds: float, size: int, trouble: str = "") -> None:
        """Count a request, or what went wrong with it."""
        del size
        with self._lock:
            if trouble:
                self.troubles[f"{name}: {trouble}"] += 1
                return
            self.requests[name] += 1
            if name == "RecordScans":
                self._keep(seconds)

    def count(self, name: str, number: int, seconds: float | None) -> None:
        """Pass over: requests tell enough."""

    def fault(self, fault: Fault) -> None:
        """Pass over: the verdict has it."""

    def waits_ms(self) -> dict[str, float]:
        """Give percentiles of the waits for results, in milliseconds."""
        with self._lock:
            waits = sorted(self._waits_s)
        if not waits:
            return {}
        return {
            "p50": percentile_ms(waits, 0.5),
            "p99": percentile_ms(waits, 0.99),
            "max": percentile_ms(waits, 1.0),
        }

    def _keep(self, seconds: float) -> None:
        self._seen += 1
        if len(self._waits_s) < KEPT_MAX:
            self._waits_s.append(seconds)
        elif (place := int(self._random() * self._seen)) < KEPT_MAX:
            self._waits_s[place] = seconds


def percentile_ms(ascending_s: Sequence[float], share: float) -> float:
    """Give the smallest value below or at which that share of all lies, in milliseconds."""
    place = max(0, math.ceil(share * len(ascending_s)) - 1)
    return round(ascending_s[place] * 1e3, 3)
