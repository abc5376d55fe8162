"""The figures as people and machines read them."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

WHERE = Path("docs/benchmarks")

GOALS: dict[str, tuple[str, float, bool]] = {
    "whole_way_per_s": ("whole way, scans/s", 40_000, True),
    "ack_p99_ms": ("ack p99 at half load, ms", 40, False),
    "trail_p50_ms": ("trail of 20 events p50, ms", 2, False),
    "memory_peak_mb": ("memory of the server, MB", 300, False),
}
"""Goal by figure: its name, its value, and whether more is better."""


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Exact percentiles in milliseconds: all measurements are kept, so none is estimated."""
    ordered = sorted(seconds)
    return {
        name: ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1e3
        for name, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999), ("max", 1.0))
    }


def machine() -> dict[str, str]:
    """Where and on what the figures were measured."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607 - the tree's own git.
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text(encoding="ascii").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    packages = ("grpcio", "protobuf", "rocksdict")
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit or "unknown",
        "processor": f"{os.cpu_count()} x {model}",
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
    }


def show(figures: dict[str, Any], *, keep: bool) -> None:
    """Print the tables; keep them as JSON where it was a full run."""
    figures["ack_p99_ms"] = figures["ack_ms"]["p99"]
    figures["trail_p50_ms"] = figures["trail_read_ms"]["p50"]
    about = machine()
    console = Console(width=110)
    table = Table(title=f"Embedded engine, synced · {about['processor']} · {about['commit']}")
    table.add_column("figure")
    table.add_column("measured", justify="right")
    table.add_column("reference in the same run", justify="right")
    for name, value, reference in _rows(figures):
        table.add_row(name, value, reference)
    console.print(table)
    goals = Table(title="Goals")
    for column in ("goal", "wanted", "measured", "met"):
        goals.add_column(column)
    for key, (name, wanted, more) in GOALS.items():
        met = figures[key] >= wanted if more else figures[key] <= wanted
        sign = "≥" if more else "≤"
        goals.add_row(name, f"{sign} {wanted:,.0f}", f"{figures[key]:,.1f}", "yes" if met else "NO")
    console.print(goals)
    if keep:
        WHERE.mkdir(parents=True, exist_ok=True)
        target = WHERE / "embedded.json"
        target.write_text(json.dumps({"about": about, "figures": figures}, indent=1) + "\n")
        console.print(f"kept in {target}")


def _rows(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    echo, rocks = figures["echo_scans_per_s"], figures["bare_rocksdb_rows_per_s"]
    ack, readable, trail = figures["ack_ms"], figures["readable_ms"], figures["trail_read_ms"]
    empty = figures["empty_call_ms"]
    return [
        ("acknowledged scans/s, closed loop", f"{figures['acknowledged_per_s']:,.0f}",
         f"empty gRPC server {echo:,.0f}"),
        ("whole way scans/s (acknowledged and readable)", f"{figures['whole_way_per_s']:,.0f}",
         f"bare RocksDB rows/s {rocks:,.0f} (two rows a scan)"),
        ("server CPU µs a scan / client", f"{figures['server_cpu_us_per_scan']:.1f} / "
         f"{figures['client_cpu_us_per_scan']:.1f}", ""),
        (f"ack ms at {figures['open_loop_scans_per_s']:,.0f}/s, p50 / p99 / p99.9",
         f"{ack['p50']:.1f} / {ack['p99']:.1f} / {ack['p999']:.1f}", "open loop"),
        ("scan → readable ms, p50 / p99", f"{readable['p50']:.1f} / {readable['p99']:.1f}", ""),
        ("trail of 20 events ms, p50 / p99", f"{trail['p50']:.2f} / {trail['p99']:.2f}",
         f"empty call {empty['p50']:.2f} / {empty['p99']:.2f}"),
        ("trail reads/s, 16 at once", f"{figures['trail_reads_per_s']:,.0f}",
         f"empty calls/s {figures['empty_calls_per_s']:,.0f}"),
        ("server CPU µs a trail", f"{figures['trail_read_server_cpu_us']:,.0f}", ""),
        ("memory of the server, peak MB", f"{figures['memory_peak_mb']:,.0f}", ""),
        ("acknowledged / in the trails", f"{figures['expected']:,} / {figures['found']:,}", ""),
        ("lost / doubled / conflicts", f"{figures['lost']} / {figures['doubled']} / "
         f"{figures['conflicts']}", "0 / 0 / 0"),
    ]  # fmt: skip
