"""The section of the embedded engine: one process, everything synced to its disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtest.bench import loads, rocksdb, server
from loadtest.bench.items import read_items
from loadtest.bench.plan import CALLERS
from loadtest.bench.reads import fullest, read_trails
from loadtest.bench.stats import around, percentiles
from loadtest.bench.worker import Load, run_load

if TYPE_CHECKING:
    from pathlib import Path

    from loadtest.bench.section import Section

ROW_BYTES = 300
"""A row of bare RocksDB, about as long as ours."""


def measure(section: Section) -> None:
    """Measure everything of this section into its figures."""
    figures, scale, say = section.figures, section.scale, section.say
    empty_server(section)
    say("bare RocksDB, before")
    before = _rocksdb(section)
    profile = section.logs / "up.profile.txt" if section.profiled else None
    with server.ledger(section.data / "up", section.logs / "up.log", profile) as up:
        target = loads.Target(up.target, up.target, lambda: {"up": up.process.cpu_s()})
        say(f"warm-up, {scale.warm_s:.0f} s")
        loads.warm_up(section, target)
        say(f"the whole way, closed loop, {scale.embedded_s:.0f} s")
        # As many items as at once in all runs before: figures stay comparable.
        run = loads.whole_way(section, target, scale.embedded_s, expected_per_s=0)
        say(f"open loop at half of that, {scale.embedded_s / 2:.0f} s")
        loads.open_loop(section, target, scale.embedded_s / 2)
        say("trails are read")
        _reads(section, up, run)
        say("all that was acknowledged is read back and counted")
        section.count_all(up.target)
        figures["memory_mb"] = {"up": up.process.memory_peak_mb()}
    say("bare RocksDB, after")
    runs = [before, _rocksdb(section)]
    figures["rocksdb"] = {
        "runs": runs,
        "rows_per_s": around(runs),
        "settings": f"synced, {rocksdb.ROWS_PER_COMMIT:,} rows a commit, {ROW_BYTES} bytes a row",
    }


def empty_server(section: Section) -> None:
    """Measure gRPC alone: the same messages, made before, to a server that does nothing."""
    scale, figures = section.scale, section.figures
    section.say("empty gRPC server")
    with server.echo(section.logs / "echo.log") as nothing:
        load = Load(
            nothing.target, nothing.target, 1, scale.reference_s, scale.items_at_once, prepared=True
        )
        report = run_load(load)
        single = read_trails(nothing.target, [0], calls=scale.reads, at_once=1)
        many = read_trails(nothing.target, [0], calls=scale.reads, at_once=CALLERS)
    figures["echo"] = {
        "scans_per_s": report.sent.acknowledged / report.elapsed_s,
        "call_ms": percentiles(single.latencies_s),
        "calls_per_s": many.per_s,
    }


def _rocksdb(section: Section) -> float:
    place: Path = section.data
    return rocksdb.bare_rocksdb(section.scale.reference_s / 2, b"v" * ROW_BYTES, str(place))


def _reads(section: Section, up: server.Server, run: int) -> None:
    items, events = fullest(section.told[run])
    calls = section.scale.reads
    single = read_trails(up.target, items, calls=calls, at_once=1)
    before_s = up.process.cpu_s()
    many = read_trails(up.target, items, calls=calls, at_once=CALLERS)
    section.figures["reads"] = {
        "trails": len(items),
        "events": events,
        "ms": percentiles(single.latencies_s),
        "per_s": many.per_s,
        "cpu_us": {"up": (up.process.cpu_s() - before_s) / len(many.latencies_s) * 1e6},
    }
    section.say("items are read, and their trails")
    section.figures["items"] = read_items(up.target, items, calls=calls, cpu_s=up.process.cpu_s)
