"""Processes that are measured: what they cost, whether we started them or an engine did."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Final

import grpc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

READY_WITHIN_S: Final = 60.0
"""A process that is not ready by then is a failure; three nodes on two cores are slow."""

STOP_WITHIN_S: Final = 60.0
"""The same for ending as told."""

ABORT_WITHIN_S: Final = 5.0
"""Seconds for a process to write down where its threads are."""

LAST_LINES: Final = 12
"""Lines of a log that are shown with a failure."""

_TICKS = os.sysconf("SC_CLK_TCK")


class Seen:
    """A process of this machine. Its CPU and memory are the kernel's own figures."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def cpu_s(self) -> float:
        """CPU seconds that it has used, user and system."""
        stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii", errors="replace")
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory_peak_mb(self) -> float:
        """Largest resident memory so far, in MB."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii", errors="replace")
        for line in status.splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
        raise RuntimeError("this kernel does not tell the peak of resident memory")

    def arguments(self) -> list[str]:
        """The command line that it was started with."""
        return Path(f"/proc/{self.pid}/cmdline").read_text(encoding="utf-8").split("\0")


class Child(Seen):
    """A process of ours, whose output goes to a file.

    Attributes:
        name: what it is called in tables.
        log: the file of its output.
    """

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        super().__init__(process.pid)
        self.name = name
        self.log = log
        self._process = process

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Wait until it is ready. Raises RuntimeError with its last words where it is not."""
        deadline_s = time.monotonic() + READY_WITHIN_S
        while not ready():
            self.check()
            if time.monotonic() > deadline_s:
                raise RuntimeError(
                    f"{self.name} was not ready in {READY_WITHIN_S:.0f} s{self._said()}"
                )
            time.sleep(0.05)

    def check(self) -> None:
        """Raise RuntimeError with its last words where it has ended."""
        if (code := self._process.poll()) is not None:
            raise RuntimeError(f"{self.name} ended with exit code {code}{self._said()}")

    def stop(self) -> None:
        """End it as an operator would. Raises RuntimeError where it was gone or does not end."""
        self.check()
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGABRT)  # Python then writes where its threads are.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(ABORT_WITHIN_S)
            self.kill()
            raise RuntimeError(
                f"{self.name} did not end in {STOP_WITHIN_S:.0f} s; its log has its stacks: "
                f"{self.log}"
            ) from None
        if code:
            raise RuntimeError(f"{self.name} ended with exit code {code}{self._said()}")

    def kill(self) -> None:
        """End it at once, if it is there."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _said(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "".join(f"\n    {line[:300]}" for line in lines[-LAST_LINES:])


@contextlib.contextmanager
def child(
    name: str, command: Sequence[str], log: Path, environ: Mapping[str, str] | None = None
) -> Iterator[Child]:
    """Run a process; stop it at the end, and kill it where something went wrong before."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONFAULTHANDLER": "1", **(environ or {})},
        )
    running = Child(name, process, log)
    try:
        try:
            yield running
        except Exception:
            running.check()  # Where it has died, that is the reason, whatever failed then.
            raise
        running.stop()
    finally:
        running.kill()


def free_port() -> int:
    """Give a port of loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def takes_calls(target: str) -> bool:
    """Say whether a gRPC server listens there."""
    with grpc.insecure_channel(target) as channel:
        try:
            grpc.channel_ready_future(channel).result(0.2)
        except grpc.FutureTimeoutError:
            return False
    return True


def says_ready(metrics: str) -> bool:
    """Say whether the process with this metrics address says that it can do its work."""
    try:
        with urllib.request.urlopen(f"http://{metrics}/ready", timeout=1) as answer:
            status: int = answer.status
            return status == 200
    except (OSError, http.client.HTTPException):
        return False
