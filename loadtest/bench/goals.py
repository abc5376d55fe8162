"""The goals, what was measured against them, and which references were not at their best. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from loadtest.bench.plan import EMBEDDED, NODES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Goal(NamedTuple):
    """Something that is wanted of one figure.

    Attributes:
        section: where it is measured.
        name: of what is measured.
        path: to the figure, names with dots between.
        wanted: the least, or the most.
        more: whether more is better.
        later: whether it is wanted of a later version, and shown so that the way there is seen.
    """

    section: str
    name: str
    path: str
    wanted: float
    more: bool = True
    later: bool = False


class Judged(NamedTuple):
    """A goal, and what was measured; None: it was not."""

    goal: Goal
    measured: float | None

    @property
    def met(self) -> bool:
        """Whether it is reached."""
        if self.measured is None:
            return False
        if self.goal.more:
            return self.measured >= self.goal.wanted
        return self.measured <= self.goal.wanted


def _on_engines(section: str) -> list[Goal]:
    """What is wanted on Kafka and Cassandra, with any number of replicas: ratios."""
    return [
        Goal(section, "ingest / Kafka's Java producer", "ingest.ratio", 0.35),
        Goal(section, "ingest / Kafka's Java producer", "ingest.ratio", 0.45, later=True),
        Goal(section, "ingest, CPU µs a scan", "ingest.cpu_us.ingest", 7, more=False, later=True),
        Goal(section, "writer / bare loader", "writer.ratio", 0.6),
        Goal(section, "writer / bare loader", "writer.ratio", 0.75, later=True),
        Goal(section, "trail reads / bare driver", "reads.ratio", 0.5),
        Goal(section, "trail reads / bare driver", "reads.ratio", 0.7, later=True),
        *(
            Goal(section, f"memory of {role}, MB", f"memory_mb.{role}", 300, more=False)
            for role in ("ingest", "writer", "query")
        ),
        *_of_items(section),
        *_at_half_load(section),
    ]


def _of_items(section: str) -> list[Goal]:
    return [
        Goal(section, "items / trails, one by one", "items.ratio", 0.55),
        Goal(section, "items, 1,000 in a look-up / one by one", "items.batch_ratio", 3),
    ]


def _at_half_load(section: str) -> list[Goal]:
    return [
        Goal(section, "ack p99 at half load, ms", "open.ack_ms.p99", 25, more=False, later=True),
        Goal(
            section, "scan → readable p99 at half load, ms", "open.readable_ms.p99", 250,
            more=False, later=True,
        ),
    ]  # fmt: skip


GOALS: Final[Sequence[Goal]] = (
    Goal(EMBEDDED, "whole way, scans/s", "whole.scans_per_s", 40_000),
    Goal(EMBEDDED, "whole way, scans/s", "whole.scans_per_s", 60_000, later=True),
    Goal(EMBEDDED, "ack p99 at half load, ms", "open.ack_ms.p99", 40, more=False),
    Goal(EMBEDDED, "trail of 20 events p50, ms", "reads.ms.p50", 2, more=False),
    Goal(EMBEDDED, "memory of the server, MB", "memory_mb.up", 300, more=False),
    *_of_items(EMBEDDED),
    *_at_half_load(EMBEDDED),
    # Everything on two cores: with three nodes of each engine on them it is no goal.
    Goal("rf1", "whole way, scans/s", "whole.scans_per_s", 20_000),
    Goal("rf1", "whole way, scans/s", "whole.scans_per_s", 30_000, later=True),
    *(goal for section in NODES for goal in _on_engines(section)),
)
"""Every goal that these figures can tell of."""

BEST: Final[Mapping[str, tuple[str, float]]] = {
    "echo.scans_per_s": ("empty gRPC server, scans/s", 714_000),
    "rocksdb.rows_per_s": ("bare RocksDB, rows/s", 280_000),
    "java_producer.records_per_s": ("Kafka's Java producer, records/s of 150 bytes", 442_000),
    "loader.rows_per_s": ("bare loader, rows/s", 54_000),
}
"""What references are known to reach alone on a quiet machine of two cores, with one replica."""

WEAK: Final = 0.7
"""A reference below this share of that was not at its best, and ratios to it flatter."""


def figure(figures: Mapping[str, Any], path: str) -> float | None:
    """Find a figure by its path; None where it is not there."""
    found: Any = figures
    for name in path.split("."):
        if not isinstance(found, dict) or name not in found:
            return None
        found = found[name]
    return float(found)


def judged(sections: Mapping[str, Mapping[str, Any]]) -> list[Judged]:
    """Judge the goals of the sections that ran."""
    return [
        Judged(goal, figure(sections[goal.section], goal.path))
        for goal in GOALS
        if goal.section in sections
    ]


def weak_references(sections: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Say which references were below what they are known to reach."""
    said = []
    for section, figures in sections.items():
        if NODES.get(section, 1) > 1:
            continue  # With more replicas than one nobody has said what they reach alone.
        for path, (name, best) in BEST.items():
            reached = figure(figures, path)
            if reached is not None and reached < WEAK * best:
                said.append(
                    f"{section}: {name} reached {reached:,.0f}, less than {WEAK} of the "
                    f"{best:,} it is known for. Ratios to it flatter."
                )
    return said
