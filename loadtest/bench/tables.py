"""The figures as people read them: one table a section, and the goals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.table import Table

from loadtest.bench.goals import figure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console

    from loadtest.bench.goals import Judged

Row = tuple[str, str, str]
"""Name of a figure, what was measured, and the reference in the same run."""

NONE: Final = "–"
"""What stands where nothing was measured."""


def print_section(console: Console, name: str, figures: Mapping[str, Any]) -> None:
    """Print the table of one section; what a failure left out is shown as missing."""
    table = Table(title=name, title_justify="left")
    table.add_column("figure")
    table.add_column("measured", justify="right")
    table.add_column("reference in the same run", justify="right")
    for row in rows_of(figures):
        table.add_row(*row)
    console.print(table)
    if "settings" in figures:
        console.print(engine_words(figures["settings"]), markup=False, highlight=False)


def print_goals(console: Console, judged: Sequence[Judged]) -> None:
    """Print which goals are met: those of this version, then those of later ones."""
    for later in (False, True):
        table = Table(title="Goals later" if later else "Goals", title_justify="left")
        for column in ("section", "goal", "wanted", "measured", "met"):
            table.add_column(
                column, justify="right" if column in ("wanted", "measured") else "left"
            )
        for one in judged:
            goal = one.goal
            if goal.later == later:
                sign = "≥" if goal.more else "≤"
                met = "yes" if one.met else "NO"
                table.add_row(
                    goal.section,
                    goal.name,
                    f"{sign} {short(goal.wanted)}",
                    short(one.measured),
                    met,
                )
        console.print(table)


def rows_of(figures: Mapping[str, Any]) -> Iterator[Row]:
    """Give the rows of a section's table."""

    def at(path: str) -> str:
        return short(figure(figures, path))

    def runs(path: str) -> str:
        found = figures.get(path, {}).get("runs", [])
        return f" ({', '.join(short(run) for run in found)})" if len(found) > 1 else ""

    def times(path: str) -> str:
        return " / ".join(at(f"{path}.{name}") for name in ("p50", "p99", "p999"))

    yield (
        "whole way: acknowledged and readable, scans/s",
        at("whole.scans_per_s"),
        f"empty gRPC server {at('echo.scans_per_s')}",
    )
    yield "  CPU µs a scan", cpu(figures, "whole"), ""
    yield (
        f"ack at {at('open.scans_per_s')} scans/s, open loop: p50 / p99 / p99.9 ms",
        times("open.ack_ms"),
        "",
    )
    yield "  scan → readable: p50 / p99 / p99.9 ms", times("open.readable_ms"), ""
    if "rocksdb" in figures:
        yield (
            "rows/s, synced",
            "two rows a scan",
            f"bare RocksDB {at('rocksdb.rows_per_s')}{runs('rocksdb')}",
        )
    if "java_producer" in figures or "ingest" in figures:
        yield from _engine_rows(figures, at, runs, times)
    yield (
        f"trails of {at('reads.events')} events a second, 16 callers",
        at("reads.per_s"),
        f"bare driver {at('bare_reads.per_s')}{runs('bare_reads')}; "
        f"empty calls {at('echo.calls_per_s')}",
    )
    yield "  CPU µs a trail", cpu(figures, "reads"), cpu(figures, "bare_reads")
    yield (
        "  one caller: p50 / p99 / p99.9 ms",
        times("reads.ms"),
        f"bare driver {times('bare_reads.ms')}; empty call {times('echo.call_ms')}",
    )
    if "items" in figures:
        yield from _item_rows(figures, at, times)
    yield "memory, peak MB", _pairs(figures.get("memory_mb", {})), ""
    yield (
        "acknowledged / in the trails",
        f"{at('counted.expected')} / {at('counted.found')}",
        f"refused {at('counted.refused')}",
    )
    yield (
        "lost / doubled / conflicts / strange",
        " / ".join(at(f"counted.{name}") for name in ("lost", "doubled", "conflicts", "strange")),
        "0 / 0 / 0 / 0",
    )


def _item_rows(figures: Mapping[str, Any], at: Any, times: Any) -> Iterator[Row]:  # noqa: ANN401
    yield (
        "items of these trails a second, 16 callers",
        at("items.per_s"),
        f"trails {at('items.trails_per_s')}; × {at('items.ratio')}",
    )
    yield (
        "  one caller: p50 / p99 / p99.9 ms",
        times("items.ms"),
        f"trails {times('items.trail_ms')}",
    )
    yield (
        "  1,000 in a look-up, items/s",
        at("items.batch_per_s"),
        f"one caller, one by one {at('items.one_caller_per_s')}; × {at('items.batch_ratio')}",
    )
    yield "  the same again, nothing changed, items/s", at("items.unchanged_per_s"), ""
    yield "  CPU µs of the server", cpu(figures, "items"), ""


def _engine_rows(figures: Mapping[str, Any], at: Any, runs: Any, times: Any) -> Iterator[Row]:  # noqa: ANN401
    yield (
        "ingest alone, scans acknowledged/s",
        at("ingest.scans_per_s"),
        f"Kafka's Java producer {at('java_producer.records_per_s')}{runs('java_producer')}",
    )
    yield "  settings of the reference", "", producer_words(figures.get("java_producer", {}))
    yield "  CPU µs a scan", cpu(figures, "ingest"), cpu(figures, "java_producer")
    yield "  ack at saturation: p50 / p99 / p99.9 ms", times("ingest.ack_ms"), ""
    yield (
        "writer alone, rows/s",
        at("writer.rows_per_s"),
        f"bare loader {at('loader.rows_per_s')}{runs('loader')}",
    )
    yield "  settings of the reference", "", loader_words(figures.get("loader", {}))
    yield "  CPU µs a row", cpu(figures, "writer"), cpu(figures, "loader")


def producer_words(found: Mapping[str, Any]) -> str:
    """Write with which settings Kafka's producer ran."""
    settings = ", ".join(f"{name}={value}" for name, value in found.get("settings", {}).items())
    return f"{settings}; {short(found.get('record_bytes'))} bytes a record" if settings else NONE


def loader_words(found: Mapping[str, Any]) -> str:
    """Write with which settings the bare loader ran."""
    if "settings" not in found:
        return NONE
    rows, in_flight = found["settings"]
    return (
        f"at most {rows} rows and 40 KiB a batch, {short(found['rows_per_batch'])} on average; "
        f"{in_flight} in flight; {found['retries']} repeated"
    )


def engine_words(found: Mapping[str, Any]) -> str:
    """Write with which settings the engines ran."""
    words = [str(found.get("java", ""))]
    for engine in ("kafka", "cassandra"):
        words += [
            f"{engine} " + ", ".join(f"{name} {value}" for name, value in flat(found[engine]))
        ]
    return "\n".join(words)


def flat(found: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Give settings, with those inside others among them."""
    for name, value in found.items():
        if isinstance(value, dict):
            yield from value.items()
        else:
            yield name, value


def cpu(figures: Mapping[str, Any], name: str) -> str:
    """Write the times of CPU of one measurement, by process."""
    return _pairs(figures.get(name, {}).get("cpu_us", {}))


def short(number: float | None) -> str:
    """Write a number with as many digits as mean something."""
    if number is None:
        return NONE
    if number == int(number) or abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.2f}" if abs(number) < 10 else f"{number:.1f}"


def _pairs(found: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {short(value)}" for name, value in found.items()) or NONE
