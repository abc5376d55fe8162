"""A section on Kafka and Cassandra: what each role reaches, beside what its engine does alone.

References stand before and after what they are compared with, so that drift cancels out.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from loadtest.bench import loads
from loadtest.bench.embedded import empty_server
from loadtest.bench.engines import Engines, engines
from loadtest.bench.facts import engine_facts, topic_of
from loadtest.bench.plan import NODES
from loadtest.bench.producer_reference import JavaProducer
from loadtest.bench.readable import wait_readable
from loadtest.bench.roles import Roles
from loadtest.bench.trails import flushed_reads
from loadtest.bench.writer_alone import writer_alone

if TYPE_CHECKING:
    from loadtest.bench.section import Section

IN_FLIGHT: Final = 10
"""Batches on their way on each stream: 16,000 scans, which Kafka answers in 50 to 100 ms."""


def measure(section: Section) -> None:
    """Measure everything of this section into its figures."""
    nodes = NODES[section.name]
    empty_server(section)
    section.say(f"Kafka and Cassandra start, {nodes} of each")
    with engines(section.data / "engines", nodes) as found:
        roles = Roles(found.settings, section.logs, profiled=section.profiled)
        section.say("topics and tables are made")
        roles.init()
        section.figures["memory_mb"] = roles.memory_mb  # Filled as roles end.
        section.figures["settings"] = {**engine_facts(found), "roles": dict(roles.settings)}
        with roles.run("query"):
            try:
                _measure(section, found, roles)
            finally:
                # Also where something failed: what was acknowledged must be there all the same.
                count_all(section, roles)


def load_target(section: Section, found: Engines, roles: Roles) -> loads.Target:
    """Give what a load needs to know."""

    def cpu_s() -> dict[str, float]:
        return {**found.cpu_s(), **roles.cpu_s()}

    return loads.Target(
        roles.target("ingest"),
        roles.target("query"),
        cpu_s,
        IN_FLIGHT,
        section.scale.backlog_scans_max,
    )


def count_all(section: Section, roles: Roles) -> None:
    """Count what was acknowledged; a writer runs meanwhile, or what it left would be missing."""
    if not section.told:
        return
    section.say("all that was acknowledged is read back and counted")
    with contextlib.ExitStack() as ends:
        if "writer" not in roles.running:
            ends.enter_context(roles.run("writer"))
        wait_readable(roles.target("query"), section.highest)
        section.count_all(roles.target("query"))


def _measure(section: Section, found: Engines, roles: Roles) -> None:
    say, scale = section.say, section.scale
    with roles.run("ingest"):
        target = load_target(section, found, roles)
        with roles.run("writer"):
            say(f"warm-up, {scale.warm_s:.0f} s")
            reached = loads.warm_up(section, target)
            say(f"the whole way, closed loop, {scale.whole_s:.0f} s")
            run = loads.whole_way(section, target, scale.whole_s, reached)
            say(f"open loop at half of that, {scale.open_s:.0f} s")
            loads.open_loop(section, target, scale.open_s)
        _ingest(section, found, target)
    writer_alone(section, found, roles)
    flushed_reads(section, found, roles, run)


def _ingest(section: Section, found: Engines, target: loads.Target) -> None:
    """Ingest alone, between two runs of Kafka's own producer."""
    scale, figures = section.scale, section.figures
    with JavaProducer(section, found, topic_of(found)) as producer:
        producer.before()
        section.say(f"ingest alone, closed loop, {scale.ingest_s:.0f} s")
        loads.ingest_alone(section, target, scale.ingest_s)
        producer.after()
    reference = figures["java_producer"]["records_per_s"]
    figures["ingest"]["ratio"] = figures["ingest"]["scans_per_s"] / reference
