"""Runs the bench: `make bench`, or `QUICK=1 make bench` for about a minute of load."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import grpc

from ledger.v1.progress_service_pb2 import GetProgressRequest
from ledger.v1.progress_service_pb2_grpc import ProgressServiceStub
from loadtest.bench import reads, references, report, server
from loadtest.bench.traffic import BATCH_SCANS, STEPS
from loadtest.bench.worker import Load, Report, work

QUICK = bool(os.environ.get("QUICK"))
LOAD_S = 15.0 if QUICK else 60.0
WARM_S = 3.0 if QUICK else 10.0
REFERENCE_S = 4.0 if QUICK else 10.0
STREAMS = 8
ITEMS_AT_ONCE = 400 if QUICK else 2_000
READS = 2_000


def main() -> None:
    """Measure everything in one run, print the table, and keep it under docs/benchmarks."""
    figures: dict[str, Any] = {"load_s": LOAD_S, "streams": STREAMS, "batch_scans": BATCH_SCANS}
    with tempfile.TemporaryDirectory(prefix="parcel-ledger-bench-") as place:
        _reference_echo(figures)
        _reference_rocksdb(figures, place, "before")
        with server.ledger(Path(place) / "data") as under_test:
            _throughput(figures, under_test)
            _latency(figures, under_test)
            _reads(figures, under_test)
            figures["memory_peak_mb"] = under_test.memory_peak_mb()
        _reference_rocksdb(figures, place, "after")
    report.show(figures, keep=not QUICK)
    if figures["lost"] or figures["doubled"] or figures["conflicts"] or figures["refused"]:
        raise SystemExit("The run lost, doubled or refused scans.")


def _load(load: Load) -> Report:
    """Run a load in a process of its own."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(load, there))
    process.start()
    there.close()
    answer: Report = here.recv()
    process.join()
    return answer


def _throughput(figures: dict[str, Any], under_test: server.Server) -> None:
    """Closed loop: scans acknowledged a second, and all of them readable, a second."""
    first = Load(under_test.target, 1, WARM_S, STREAMS, ITEMS_AT_ONCE, 0, None, read_back=False)
    warm = _load(first)
    _wait_readable(under_test, warm)
    cpu_s = under_test.cpu_s()
    answer = _load(first._replace(run=2, seconds=LOAD_S, first_stream=STREAMS))
    waited_s = _wait_readable(under_test, answer)
    used_s = under_test.cpu_s() - cpu_s
    scans = answer.sent.acknowledged
    figures["acknowledged"] = scans
    figures["refused"] = answer.sent.refused
    figures["acknowledged_per_s"] = scans / answer.elapsed_s
    figures["whole_way_per_s"] = scans / (answer.elapsed_s + waited_s)
    figures["server_cpu_us_per_scan"] = used_s / scans * 1e6
    figures["client_cpu_us_per_scan"] = answer.client_cpu_s / scans * 1e6
    figures["steps"] = answer.sent.steps


def _wait_readable(under_test: server.Server, answer: Report) -> float:
    """Wait until all that was acknowledged is readable, and say how long that took."""
    started_s = time.monotonic()
    with grpc.insecure_channel(under_test.target) as channel:
        stub = ProgressServiceStub(channel)
        while True:
            progress = stub.GetProgress(GetProgressRequest())
            readable = {part.partition: part.readable_index for part in progress.partitions}
            if all(
                readable.get(partition, 0) > index
                for partition, index in answer.sent.highest.items()
            ):
                return time.monotonic() - started_s
            time.sleep(0.02)


def _latency(figures: dict[str, Any], under_test: server.Server) -> None:
    """Open loop at half of what was reached: time to the result, and to being readable."""
    rate = figures["whole_way_per_s"] / 2
    answer = _load(
        Load(
            under_test.target, 3, LOAD_S / 2, STREAMS, ITEMS_AT_ONCE, 2 * STREAMS, rate,
            read_back=True,
        )
    )  # fmt: skip
    _wait_readable(under_test, answer)
    figures["open_loop_scans_per_s"] = rate
    figures["refused"] += answer.sent.refused
    figures["ack_ms"] = report.percentiles(answer.sent.latencies_s)
    figures["readable_ms"] = report.percentiles(answer.readable_s)


def _reads(figures: dict[str, Any], under_test: server.Server) -> None:
    """Trails of 20 events, one at a time and 16 at a time; then every acknowledged scan counted."""
    steps = figures.pop("steps")
    full = [item for item, count in steps.items() if count == STEPS]
    figures["trails_of_20"] = len(full)
    single = asyncio.run(reads.latencies(under_test.target, full, calls=READS, at_once=1))
    figures["trail_read_ms"] = report.percentiles(single)
    cpu_s, started_s = under_test.cpu_s(), time.monotonic()
    many = asyncio.run(reads.latencies(under_test.target, full, calls=READS, at_once=16))
    figures["trail_reads_per_s"] = len(many) / (time.monotonic() - started_s)
    figures["trail_read_server_cpu_us"] = (under_test.cpu_s() - cpu_s) / len(many) * 1e6
    counted = asyncio.run(reads.count(under_test.target, 2, steps))
    figures.update(counted._asdict())


def _reference_echo(figures: dict[str, Any]) -> None:
    """The same client and messages against a server that does nothing."""
    with server.echo() as nothing:
        load = Load(
            nothing.target, 1, REFERENCE_S, STREAMS, ITEMS_AT_ONCE, 0, None, read_back=False
        )
        answer = _load(load)
        figures["echo_scans_per_s"] = answer.sent.acknowledged / answer.elapsed_s
        empty = asyncio.run(reads.latencies(nothing.target, [0], calls=READS, at_once=1))
        figures["empty_call_ms"] = report.percentiles(empty)
        started_s = time.monotonic()
        asyncio.run(reads.latencies(nothing.target, [0], calls=READS, at_once=16))
        figures["empty_calls_per_s"] = READS / (time.monotonic() - started_s)


def _reference_rocksdb(figures: dict[str, Any], place: str, when: str) -> None:
    rows = references.bare_rocksdb(REFERENCE_S / 2, b"v" * 300, place)
    figures[f"bare_rocksdb_rows_per_s_{when}"] = rows
    figures["bare_rocksdb_rows_per_s"] = statistics.mean(
        figures[key] for key in figures if key.startswith("bare_rocksdb_rows_per_s_")
    )


if __name__ == "__main__":
    main()
