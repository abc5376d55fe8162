"""The server under test: `parcel-ledger up` in a process of its own, and what it costs."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import grpc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READY_WITHIN_S = 20.0
"""A server that is not ready by then is a failure."""

_TICKS = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """Give a port of loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """A running server.

    Attributes:
        target: where it listens.
        process: its process.
    """

    def __init__(self, target: str, process: subprocess.Popen[bytes]) -> None:
        self.target = target
        self.process = process

    def cpu_s(self) -> float:
        """CPU seconds that it has used, user and system."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory_peak_mb(self) -> float:
        """Largest resident memory so far, in MB."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmHWM"):
                    return int(line.split()[1]) / 1024
        raise RuntimeError("this kernel does not tell the peak of resident memory")


@contextlib.contextmanager
def ledger(folder: Path) -> Iterator[Server]:
    """Run `parcel-ledger up` on a folder; stop it at the end as an operator would."""
    port = free_port()
    command = [sys.executable, "-m", "ledger.app.cli", "up"]
    command += ["--listen", f"127.0.0.1:{port}", "--data", str(folder)]
    command += ["--metrics", f"127.0.0.1:{free_port()}"]
    with _process(command, f"127.0.0.1:{port}") as server:
        yield server


@contextlib.contextmanager
def echo() -> Iterator[Server]:
    """Run the empty gRPC server of `loadtest.bench.echo`."""
    port = free_port()
    command = [sys.executable, "-m", "loadtest.bench.echo", str(port)]
    with _process(command, f"127.0.0.1:{port}") as server:
        yield server


@contextlib.contextmanager
def _process(command: list[str], target: str) -> Iterator[Server]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        with grpc.insecure_channel(target) as channel:
            _wait(channel, process)
        yield Server(target, process)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def _wait(channel: grpc.Channel, process: subprocess.Popen[bytes]) -> None:
    ready = grpc.channel_ready_future(channel)
    deadline_s = time.monotonic() + READY_WITHIN_S
    while True:
        try:
            ready.result(0.2)
        except grpc.FutureTimeoutError:
            if process.poll() is not None or time.monotonic() > deadline_s:
                raise RuntimeError(
                    f"the server did not start: exit code {process.poll()}"
                ) from None
        else:
            return
