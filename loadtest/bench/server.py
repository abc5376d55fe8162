"""Servers of one process: `parcel-ledger up` on the embedded engine, and one that does nothing."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, NamedTuple

from loadtest.bench.processes import Child, child, free_port, takes_calls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Server(NamedTuple):
    """A server that runs.

    Attributes:
        target: where it takes gRPC.
        process: what it costs.
    """

    target: str
    process: Child


@contextlib.contextmanager
def ledger(data: Path, log: Path, profile: Path | None) -> Iterator[Server]:
    """Run `parcel-ledger up` on a folder; stop it at the end as an operator would."""
    target = f"127.0.0.1:{free_port()}"
    profiler = ["loadtest.bench.profiled", str(profile)] if profile else []
    command = [sys.executable, "-m", *profiler, "ledger.app.cli", "up", "--listen", target]
    command += ["--data", str(data), "--metrics", f"127.0.0.1:{free_port()}"]
    with child("up", command, log) as process:
        process.wait_until(lambda: takes_calls(target))
        yield Server(target, process)


@contextlib.contextmanager
def echo(log: Path) -> Iterator[Server]:
    """Run the empty gRPC server of `loadtest.bench.echo`."""
    port = free_port()
    target = f"127.0.0.1:{port}"
    with child("echo", [sys.executable, "-m", "loadtest.bench.echo", str(port)], log) as process:
        process.wait_until(lambda: takes_calls(target))
        yield Server(target, process)
