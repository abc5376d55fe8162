"""The story of the demo: scanners stream, the ledger is killed, and nothing is lost or doubled.

It kills again, at most KILLS_MAX times, until a scan that was in flight is in the log twice: only
then is it shown that trails leave copies out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from ledger.app.demo.processes import LedgerProcess, ScannersProcess, verify

KILLS_MAX: Final = 3
"""Most kills: each leaves copies with a good chance, so three are nearly always enough."""

ANSWERS_WITHIN_S: Final = 30.0
"""Scanners that were cut off wait a few seconds at most before they try again."""

CAUGHT_UP_S: Final = 0.5
"""Trails that have not moved for so long, while nothing is sent, have followed the log."""

TICK_S: Final = 0.1
"""How often the bar moves."""


class Plan(NamedTuple):
    """What is asked of the demo."""

    folder: Path
    """Where the ledger's data lies."""
    work: Path
    """Where the list of acknowledgements and the processes' logs lie."""
    seconds: float
    """How long scanners stream."""
    scanners: int
    seed: int
    kills: bool


class Bar(Protocol):
    """One bar that moves."""

    def __call__(self, done: float, words: str) -> None:
        """Show how much is done, from 0 to 1, and some words."""


class Teller(Protocol):
    """Who shows the story."""

    def say(self, words: str) -> None:
        """Say one line."""

    def bar(self, name: str) -> AbstractContextManager[Bar]:
        """Show a bar."""


@dataclass(slots=True)
class Report:
    """What came of it. The verdict's counts are those of `loadtest.verify`."""

    verdict: Mapping[str, Any]
    scans_per_s: float
    """Acknowledged in the first stretch, before anything was killed."""
    refused: int
    sent_again: int
    kills: int
    in_flight_at_kill: int
    """Sum over all kills."""
    down_s: float
    """From the last kill to the next acknowledgement."""

    @property
    def good(self) -> bool:
        """Nothing is lost, nothing doubled."""
        return not self.verdict["lost"] and not self.verdict["doubled"]


def tell_story(plan: Plan, teller: Teller, *, at_end: Callable[[str, Report], None]) -> Report:
    """Run the demo. `at_end` is told the address while the ledger still runs."""
    ledger = LedgerProcess(plan.folder, plan.work / "ledger.log")
    scanners = None
    try:
        teller.say(f"A ledger starts on {ledger.address}; its data lies in {plan.folder}.")
        ledger.start()
        before = ledger.records()
        acknowledged = plan.work / "acknowledged.csv"
        scanners = ScannersProcess(
            ledger.address, acknowledged, scanners=plan.scanners, seed=plan.seed
        )
        report = _stream(plan, teller, ledger, scanners, records_before=before)
        scanners.finish()
        report.sent_again = scanners.count("sent_again")
        report.refused = scanners.count("refused")
        teller.say("Another process reads every trail back and compares it with that list.")
        with teller.bar("verifying") as bar:
            report.verdict = verify(
                ledger.address,
                acknowledged,
                on_progress=lambda done, items: bar(done / items, f"{done:,} items"),
            )
        at_end(ledger.address, report)
        return report
    finally:
        if scanners:
            scanners.end()
        ledger.end()


def _stream(
    plan: Plan,
    teller: Teller,
    ledger: LedgerProcess,
    scanners: ScannersProcess,
    *,
    records_before: int,
) -> Report:
    """Let scanners stream, with a kill in the middle."""
    report = Report({}, 0.0, 0, 0, 0, 0, 0.0)
    scanners.wait(
        lambda: scanners.count("acknowledged") > 0,
        within_s=ANSWERS_WITHIN_S,
        what="The first answer",
    )
    teller.say(
        f"{plan.scanners} scanners stream over gRPC and keep a list of what is acknowledged."
    )
    began_s = time.monotonic()
    already = scanners.count("acknowledged")
    first_s = plan.seconds / 2 if plan.kills else plan.seconds
    with teller.bar("streaming") as bar:
        _watch(scanners, bar, first_s, so_far=0.0, of_s=plan.seconds)
    elapsed_s = time.monotonic() - began_s
    report.scans_per_s = (scanners.count("acknowledged") - already) / elapsed_s
    copies = 0
    while plan.kills and not copies and report.kills < KILLS_MAX:
        if report.kills:
            teller.say("No scan was in the log twice; once more.")
            time.sleep(1.0)
        _kill(teller, ledger, scanners, report)
        scanners.say("pause")
        scanners.wait(
            lambda: scanners.count("paused") > 0 and scanners.count("in_flight") == 0,
            within_s=ANSWERS_WITHIN_S,
            what="All answers",
        )
        copies = _all_records(ledger) - records_before - scanners.count("acknowledged")
        scanners.say("resume")
    if plan.kills:
        with teller.bar("streaming") as bar:
            _watch(scanners, bar, plan.seconds - first_s, so_far=first_s, of_s=plan.seconds)
    return report


def _kill(teller: Teller, ledger: LedgerProcess, scanners: ScannersProcess, report: Report) -> None:
    """Kill the ledger, start it again, and wait until scanners get answers again."""
    in_flight = scanners.count("in_flight")
    pid = ledger.kill()
    killed_s = time.monotonic()
    report.kills += 1
    report.in_flight_at_kill += in_flight
    teller.say(f"kill -9 {pid}, with {in_flight:,} scans in flight")
    ready_s = ledger.start()
    acknowledged = scanners.count("acknowledged")
    scanners.wait(
        lambda: scanners.count("acknowledged") > acknowledged,
        within_s=ANSWERS_WITHIN_S,
        what="Answers after the kill",
    )
    report.down_s = time.monotonic() - killed_s
    teller.say(
        f"The ledger is started again on the same folder and serves after {ready_s:.1f} s; "
        f"scanners connect again and send again what has no answer."
    )


def _all_records(ledger: LedgerProcess) -> int:
    """Count the log's records, once trails have followed it to its end."""
    last, records = -1, ledger.records()
    while records != last:
        time.sleep(CAUGHT_UP_S)
        last, records = records, ledger.records()
    return records


def _watch(
    scanners: ScannersProcess, bar: Bar, seconds: float, *, so_far: float, of_s: float
) -> None:
    """Move the bar for some seconds."""
    began_s = time.monotonic()
    last, last_s, rate = scanners.count("acknowledged"), began_s, 0.0
    while (now_s := time.monotonic()) < began_s + seconds:
        acknowledged = scanners.count("acknowledged")
        if now_s - last_s >= 1.0:
            rate = (acknowledged - last) / (now_s - last_s)
            last, last_s = acknowledged, now_s
        words = f"{acknowledged:,} acknowledged"
        bar((so_far + now_s - began_s) / of_s, f"{words}, {rate:,.0f} scans/s" if rate else words)
        time.sleep(TICK_S)
    bar((so_far + seconds) / of_s, f"{scanners.count('acknowledged'):,} acknowledged")
