"""Trail reads from flushed tables: `query` over gRPC, between two runs of the bare driver."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from loadtest.bench.asking import ask
from loadtest.bench.items import read_items
from loadtest.bench.plan import CALLERS
from loadtest.bench.reads import fullest, read_trails
from loadtest.bench.stats import around, cpu_us, percentiles

if TYPE_CHECKING:
    from loadtest.bench.engines import Engines
    from loadtest.bench.roles import Roles
    from loadtest.bench.section import Section

ITEMS_MAX: Final = 20_000
"""Trails to choose from: far more than are read, so that most are read once."""

PROCESSES: Final = ("query", "cassandra")

WARM_READS: Final = 500
"""Reads before anything is measured."""


def flushed_reads(section: Section, found: Engines, roles: Roles, run: int) -> None:
    """Read the fullest trails of a run, and have the bare driver read the same."""
    section.say("tables are flushed")
    found.flush()
    items, events = fullest(section.told[run])
    items = random.Random(3).sample(items, min(len(items), ITEMS_MAX))
    runs = [_bare(section, found, items)]
    section.say("query reads trails")
    query, calls = roles.target("query"), section.scale.reads
    read_trails(query, items, calls=WARM_READS, at_once=CALLERS)
    single = read_trails(query, items, calls=calls, at_once=1)
    before = {**found.cpu_s(), **roles.cpu_s()}
    many = read_trails(query, items, calls=calls, at_once=CALLERS)
    after = {**found.cpu_s(), **roles.cpu_s()}
    if section.scale.tuned:
        runs.append(_bare(section, found, items))
    bare_per_s = around([one["per_s"] for one in runs])
    section.figures["bare_reads"] = {
        "runs": [one["per_s"] for one in runs],
        "per_s": bare_per_s,
        "ms": runs[-1]["ms"],
        "cpu_us": {"bare driver": runs[-1]["cpu_us"], "cassandra": runs[-1]["cassandra_us"]},
    }
    section.figures["reads"] = {
        "trails": len(items),
        "events": events,
        "ms": percentiles(single.latencies_s),
        "per_s": many.per_s,
        "ratio": many.per_s / bare_per_s,
        "cpu_us": cpu_us(before, after, len(many.latencies_s), PROCESSES),
    }
    section.say("query reads items, and their trails")
    section.figures["items"] = read_items(
        query, items, calls=calls, cpu_s=lambda: roles.cpu_s()["query"]
    )


def _bare(section: Section, found: Engines, items: list[int]) -> dict[str, float]:
    section.say("the bare driver reads trails")
    return ask(
        "bare_reads",
        {
            "store": found.store._asdict(),
            "pids": [one.pid for one in found.cassandra],
            "items": items,
            "calls": section.scale.reads,
            "at_once": CALLERS,
        },
    )
