"""The writer alone: it reads what ingest left in the log, between two runs of the bare loader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from loadtest.bench.asking import ask
from loadtest.bench.readable import wait_readable
from loadtest.bench.stats import around, cpu_us, middle, rate

if TYPE_CHECKING:
    from loadtest.bench.engines import Engines
    from loadtest.bench.roles import Roles
    from loadtest.bench.section import Section

PROCESSES: Final = ("writer", "kafka", "cassandra")

LOOK_EVERY_S: Final = 0.25
"""How often the drain is looked at."""


def writer_alone(section: Section, found: Engines, roles: Roles) -> None:
    """Measure the writer, and the loader before and after it."""
    figures, scale = section.figures, section.scale
    reference: dict[str, Any] = {"runs": []}
    figures["loader"] = reference
    section.say("the bare loader looks for its best settings, and runs: before")
    _load(section, found, reference)
    section.say("the writer alone reads what ingest left")
    _drain(section, found, roles)
    if scale.tuned:
        section.say("the bare loader, after")
        _load(section, found, reference)
    reference["rows_per_s"] = around(reference["runs"])
    figures["writer"]["ratio"] = figures["writer"]["rows_per_s"] / reference["rows_per_s"]


def _load(section: Section, found: Engines, reference: dict[str, Any]) -> None:
    known = reference.get("settings")
    answer = ask(
        "loader",
        {
            "store": found.store._asdict(),
            "pids": [one.pid for one in found.cassandra],
            "rows_max": section.scale.loader_rows_max,
            "seconds": section.scale.loader_s,
            "settings": known,
            "tuned": section.scale.tuned and not known,
        },
    )
    reference["runs"].append(answer.pop("rows_per_s"))
    if known:
        del answer["tried"]
    reference.update(answer)


def _drain(section: Section, found: Engines, roles: Roles) -> None:
    samples: list[tuple[float, int]] = []
    used: list[dict[str, float]] = []

    def on_sample(at_s: float, rows: int) -> None:
        samples.append((at_s, rows))
        used.append({**found.cpu_s(), **roles.cpu_s()})

    with roles.run("writer"):
        query = roles.target("query")
        wait_readable(query, section.highest, on_sample=on_sample, every_s=LOOK_EVERY_S)
    begin, end = middle(samples)
    rows = samples[end][1] - samples[begin][1]
    section.figures["writer"] = {
        "rows_per_s": rate(samples, begin, end),
        "rows": rows,
        "backlog": samples[-1][1] - samples[0][1],
        "cpu_us": cpu_us(used[begin], used[end], rows, PROCESSES),
    }
