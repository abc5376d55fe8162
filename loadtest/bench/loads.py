"""The loads that are measured, on either pair of engines: closed loop, open loop, ingest alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from loadtest.bench.plan import STREAMS
from loadtest.bench.readable import wait_readable
from loadtest.bench.stats import cpu_us, percentiles
from loadtest.bench.traffic import BATCH_SCANS, STEPS
from loadtest.bench.worker import IN_FLIGHT, Load, Report, run_load

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtest.bench.section import Section

SHARE_OF_RATE = 0.5
"""The open loop goes at this share of what the whole way sustains."""

GROWING = 0.6
"""Trails grow over this share of a run: then enough of them are full at its end."""


class Target(NamedTuple):
    """A ledger under load.

    Attributes:
        ingest: where scans are sent.
        query: where trails are read.
        cpu_s: CPU seconds used so far, by process.
        in_flight: batches on their way on each stream in the closed loop.
        backlog_max: senders wait while more scans are unread; None: they never do.
    """

    ingest: str
    query: str
    cpu_s: Callable[[], dict[str, float]]
    in_flight: int = IN_FLIGHT
    backlog_max: int | None = None


def warm_up(section: Section, target: Target) -> float:
    """Load everything for a while; give the scans a second that became readable."""
    report = _run(
        section, target, section.scale.warm_s, section.scale.items_at_once,
        backlog_max=target.backlog_max,
    )  # fmt: skip
    waited_s = wait_readable(target.query, report.sent.highest)
    return report.sent.acknowledged / (report.elapsed_s + waited_s)


def whole_way(section: Section, target: Target, seconds: float, expected_per_s: float) -> int:
    """Closed loop, then until all of it is readable. Gives the number of the run."""
    before = target.cpu_s()
    items = items_at_once(section, expected_per_s * seconds * GROWING)
    report = _run(section, target, seconds, items, backlog_max=target.backlog_max)
    waited_s = wait_readable(target.query, report.sent.highest)
    after = target.cpu_s()
    scans = report.sent.acknowledged
    section.figures["whole"] = {
        "seconds": report.elapsed_s,
        "waited_s": waited_s,
        "scans": scans,
        "scans_per_s": scans / (report.elapsed_s + waited_s),
        "acknowledged_per_s": scans / report.elapsed_s,
        "cpu_us": {
            **cpu_us(before, after, scans),
            "client": report.client_cpu_s / scans * 1e6,
        },
        "items_at_once": items * STREAMS,
        "samples": [list(sample) for sample in report.samples],
    }
    return len(section.told)


def open_loop(section: Section, target: Target, seconds: float, rate: float | None = None) -> None:
    """At a fixed rate: time to the result, and to being readable, of what was due when.

    The rate is half of what the whole way sustains, unless another is given.
    """
    rate = rate or section.figures["whole"]["scans_per_s"] * SHARE_OF_RATE
    report = _run(
        section, target, seconds, section.scale.items_at_once, scans_per_s=rate, read_back=True
    )
    wait_readable(target.query, report.sent.highest)
    section.figures["open"] = {
        "scans_per_s": rate,
        "ack_ms": percentiles(report.sent.latencies_s),
        "readable_ms": percentiles(report.readable_s),
        "batches": len(report.sent.latencies_s),
        "read_back": len(report.readable_s),
    }


def ingest_alone(section: Section, target: Target, seconds: float) -> Report:
    """Closed loop, while nothing reads the log."""
    before = target.cpu_s()
    report = _run(
        section, target, seconds, section.scale.items_at_once,
        scans_max=section.scale.ingest_scans_max,
    )  # fmt: skip
    scans = report.sent.acknowledged
    section.figures["ingest"] = {
        "seconds": report.elapsed_s,
        "scans": scans,
        "scans_per_s": scans / report.elapsed_s,
        "ack_ms": percentiles(report.sent.latencies_s),
        "cpu_us": {
            **cpu_us(before, target.cpu_s(), scans, only=("ingest", "kafka")),
            "client": report.client_cpu_s / scans * 1e6,
        },
    }
    return report


def items_at_once(section: Section, scans: float) -> int:
    """Give so many items for each stream that their trails grow over `scans` scans."""
    items = int(scans / STEPS / STREAMS / BATCH_SCANS) * BATCH_SCANS
    return max(section.scale.items_at_once, items)


def _run(
    section: Section,
    target: Target,
    seconds: float,
    items: int,
    **further: Any,  # noqa: ANN401 - fields of Load.
) -> Report:
    load = Load(
        ingest=target.ingest,
        query=target.query,
        run=section.next_run,
        seconds=seconds,
        items_at_once=items,
        in_flight=target.in_flight,
        **further,
    )
    report = run_load(load)
    section.remember(load.run, report.sent)
    return report
