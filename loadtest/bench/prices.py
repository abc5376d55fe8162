"""What durability costs: `python -m loadtest.bench.prices`, or `make bench-prices`.

The same loads on Kafka and Cassandra, one node of each, with one choice changed at a time, and
without a change before and after. New engines each time. Written to docs/benchmarks/prices.json.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rich.console import Console
from rich.table import Table

from loadtest.bench import loads
from loadtest.bench.distributed import count_all, load_target
from loadtest.bench.engines import engines
from loadtest.bench.facts import engine_facts, machine, topic_of
from loadtest.bench.kafka_topics import set_on_topic
from loadtest.bench.keep import DOCS, RESULTS, rounded
from loadtest.bench.plan import FULL, QUICK, Scale
from loadtest.bench.roles import Roles
from loadtest.bench.section import Section, good
from loadtest.bench.tables import short

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LOAD_S: Final = 30.0
"""Seconds of closed loop, and again of open loop, for each choice."""

SHARE: Final = 0.25
"""The open loop goes at this share of what is sustained without a change or, where that is less, of
what is sustained with the change."""

FILE: Final = "prices.json"

ALLOWED: Final = "-Dcassandra.config.allow_system_properties=true"
"""Without it Cassandra does not take settings from Java's properties."""


class Choice(NamedTuple):
    """One way to set the engines.

    Attributes:
        name: of it.
        meaning: when what was acknowledged is on a disk.
        cassandra: settings of cassandra.yaml that are changed.
        topic: settings of the topic that are changed.
    """

    name: str
    meaning: str
    cassandra: Mapping[str, str] = {}
    topic: Mapping[str, str] = {}


USUAL: Final = Choice("as delivered", "Cassandra within 1 s, Kafka when the system writes")

CHOICES: Final[Sequence[Choice]] = (
    USUAL,
    Choice(
        "commitlog_sync: batch",
        "Cassandra before it answers",
        cassandra={"commitlog_sync": "batch", "commitlog_sync_period": "0ms"},
    ),
    Choice(
        "commitlog_sync: group, 10 ms; concurrent_writes: 256",
        "Cassandra before it answers, together with others",
        cassandra={
            "commitlog_sync": "group",
            "commitlog_sync_period": "0ms",
            "commitlog_sync_group_window": "10ms",
            # Each write waits for the window in a thread: the usual 32 are 3,200 requests a second.
            "concurrent_writes": "256",
        },
    ),
    Choice("flush.messages=1", "Kafka before it answers", topic={"flush.messages": "1"}),
    USUAL,
)
"""What is measured, in this order."""


def measure(choice: Choice, section: Section, rate: float | None) -> None:
    """Measure one choice: closed loop, then open loop at a share of `rate`, the scans a second that
    were sustained without a change, or of its own.
    """
    options = [f"-Dcassandra.settings.{name}={value}" for name, value in choice.cassandra.items()]
    java = " ".join([ALLOWED, *options]) if options else ""
    with engines(section.data / "engines", 1, java_options=java) as found:
        roles = Roles(found.settings, section.logs, profiled=section.profiled)
        roles.init()
        if choice.topic:
            set_on_topic(found.bootstrap, topic_of(found), choice.topic)
        section.figures["settings"] = engine_facts(found)
        with roles.run("query"), roles.run("ingest"), roles.run("writer"):
            target = load_target(section, found, roles)
            section.say("warm-up")
            reached = loads.warm_up(section, target)
            section.say("closed loop")
            loads.whole_way(section, target, section.scale.whole_s, reached)
            section.say("open loop")
            own: float = section.figures["whole"]["scans_per_s"]
            offered = SHARE * min(own, rate or own)
            loads.open_loop(section, target, section.scale.open_s, offered)
            count_all(section, roles)


def main() -> int:
    """Measure all choices, even after one has failed; print the table and keep it."""
    console = Console(width=None if sys.stdout.isatty() else 150)
    scale: Scale = (
        QUICK if os.environ.get("QUICK") else FULL._replace(whole_s=LOAD_S, open_s=LOAD_S)
    )
    found: list[dict[str, Any]] = []
    rate: float | None = None
    for number, choice in enumerate(CHOICES):
        one = _measured(choice, number, scale, rate, console)
        found.append({"name": choice.name, "meaning": choice.meaning, **one})
        if rate is None and "whole" in one:
            rate = one["whole"]["scans_per_s"]
    about = machine()
    _print(console, found)
    folder = RESULTS if scale.quick or any(one["failed"] for one in found) else DOCS
    folder.mkdir(parents=True, exist_ok=True)
    document = rounded({"about": about, "scale": scale._asdict(), "choices": found})
    (folder / FILE).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    console.print(f"Kept in {folder / FILE}", markup=False)
    return 1 if any(one["failed"] for one in found) else 0


def _measured(
    choice: Choice, number: int, scale: Scale, rate: float | None, console: Console
) -> dict[str, Any]:
    began_s = time.monotonic()

    def say(words: str) -> None:
        console.print(f"{choice.name}: {words}", markup=False, highlight=False)

    failed: str | None = None
    with tempfile.TemporaryDirectory(prefix="parcel-ledger-prices-") as place:
        logs = RESULTS / "logs" / f"prices-{number}"
        section = Section(choice.name, scale, say, Path(place), logs)
        try:
            measure(choice, section, rate)
        except Exception as failure:  # The others go on.
            failed = f"{type(failure).__name__}: {failure}"
            logs.mkdir(parents=True, exist_ok=True)
            (logs / "failure.txt").write_text(traceback.format_exc(), encoding="utf-8")
    if failed is None and not good(section.figures):
        failed = f"scans were lost, doubled or in conflict: {section.figures.get('counted')}"
    if failed:
        say(f"FAILED: {failed}")
    section.figures.get("whole", {}).pop("samples", None)
    return {**section.figures, "failed": failed, "seconds": time.monotonic() - began_s}


def _print(console: Console, found: Sequence[Mapping[str, Any]]) -> None:
    table = Table(title="What durability costs: one node of each engine", title_justify="left")
    for column in ("choice", "on a disk", "whole way, scans/s", "ack p50 / p99 ms", "at scans/s"):
        table.add_column(column)
    for one in found:
        whole, slow = one.get("whole", {}), one.get("open", {})
        ack = slow.get("ack_ms", {})
        table.add_row(
            one["name"],
            one["meaning"],
            short(whole.get("scans_per_s")),
            f"{short(ack.get('p50'))} / {short(ack.get('p99'))}",
            short(slow.get("scans_per_s")),
        )
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
