"""The roles as processes of their own, on real engines: started, asked, ended, killed."""

from __future__ import annotations

import itertools
import json
import re
import signal
import subprocess
import time
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any, Self

import grpc

from ledger.app.client import open_channel
from ledger.app.engines.pointing import write_settings
from ledger.app.exits import DONE
from ledger.v1.progress_service_pb2 import GetProgressRequest
from ledger.v1.progress_service_pb2_grpc import ProgressServiceStub
from tests.shells import COMMAND, environment, free_address, typed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ledger.app.engines import Cluster

WITHIN_S = 60
"""Longest wait for anything: a busy machine takes seconds."""

_files = itertools.count(1)


def point(folder: Path, *clusters: Cluster, **settings: str | int | bool) -> Path:
    """Write the settings that point roles at these engines, and others."""
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, str | int | bool] = {}
    for cluster in clusters:
        found |= cluster.settings()
    return write_settings(folder, {**found, **settings})


class RoleProcess:
    """`parcel-ledger ROLE`, with JSON logs.

    Attributes:
        address: where it takes gRPC.
    """

    def __init__(
        self, role: str, config: Path, *flags: str, listen: str = "", folder: Path | None = None
    ) -> None:
        """`config` is the settings file; its log goes beside it."""
        self.role = role
        self.address = listen or free_address()
        self.metrics = free_address()
        self.log = (folder or config.parent) / f"{role}-{self.metrics.rpartition(':')[2]}.log"
        listens = () if role == "writer" else ("--listen", self.address)
        self._command = [
            *(*COMMAND, role, "--config", str(config), "--metrics", self.metrics),
            *(*listens, "--log-format", "json", *flags),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def start(self) -> None:
        """Start it, also again: at the same address, with the same log."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=subprocess.DEVNULL, stderr=log, env=environment()
            )

    def __exit__(self, *_: object) -> None:
        """End it, whatever it does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def page(self, path: str) -> tuple[int, dict[str, Any]]:
        """Give status and document of a page; 0 where nobody answers."""
        try:
            with closing(HTTPConnection(self.metrics, timeout=5)) as connection:
                connection.request("GET", path)
                answer = connection.getresponse()
                document: dict[str, Any] = json.loads(answer.read())
                return answer.status, document
        except (OSError, HTTPException):
            return 0, {}

    def metric(self, name: str, labels: str = "") -> float:
        """Give a metric as it is shown; NaN where it is not."""
        with closing(HTTPConnection(self.metrics, timeout=5)) as connection:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        found = re.search(rf"^{re.escape(name + labels)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else float("nan")

    def wait_ready(self, status: int = 200) -> dict[str, Any]:
        """Wait until /ready has that status; give what it says."""
        self.wait(lambda: self.page("/ready")[0] == status, f"/ready to be {status}")
        return self.page("/ready")[1]

    def wait(self, until: Callable[[], bool], what: str) -> None:
        """Wait for something of a process that lives."""
        assert self._process is not None
        until_s = time.monotonic() + WITHIN_S
        while not until():
            assert self._process.poll() is None, f"{self.role} has ended:\n{self.log.read_text()}"
            assert time.monotonic() < until_s, f"no {what}:\n{self.log.read_text()}"
            time.sleep(0.05)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal; give the exit code."""
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(WITHIN_S)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, and wait for nothing."""
        assert self._process is not None
        self._process.send_signal(number)

    def code(self) -> int:
        """Wait until it ends by itself; give the exit code."""
        assert self._process is not None
        return self._process.wait(WITHIN_S)

    def logged(self) -> list[dict[str, Any]]:
        """Give its log so far; every line of it is JSON, but the last words of a failure."""
        lines = self.log.read_text().splitlines()
        return [json.loads(line) for line in lines if not line.startswith("parcel-ledger: ")]

    def last_words(self) -> str:
        """Give the last line of its log."""
        return self.log.read_text().splitlines()[-1]


def scan_file(folder: Path, count: int, items: int = 30) -> tuple[Path, list[str]]:
    """Write scans of some items; give the items' numbers."""
    began = next(_files) * 1_000
    numbers = [f"ITEM{began + number}" for number in range(items)]
    path = folder / f"{began}.csv"
    with path.open("w") as file:
        file.write("tracking_number,type,scan_time,source_event_id\n")
        for number in range(count):
            when = f"2026-03-01T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}Z"
            file.write(f"{numbers[number % items]},SORTED,{when},{number}\n")
    return path, numbers


def send(ingest: RoleProcess, path: Path) -> None:
    """Send a file; all of it is durable."""
    said = typed("send", path, "--source", "belt", "--server", ingest.address)
    assert said.code == DONE, said


def readable(query: RoleProcess) -> int:
    """Ask how many records are readable; -1 where the store is too busy to say."""
    with open_channel(query.address) as channel:
        try:
            answer = ProgressServiceStub(channel).GetProgress(GetProgressRequest(), timeout=20)
        except grpc.RpcError:
            return -1
    return sum(one.readable_index for one in answer.partitions)


def entries(query: RoleProcess, number: str) -> int:
    """Read one trail with the command; give the number of its entries."""
    said = typed("trail", number, "--server", query.address, "--json")
    assert said.code == DONE, said
    return len(json.loads(said.answer)["entries"])


def wait_for_entries(query: RoleProcess, numbers: list[str], each: int) -> None:
    """Wait until all these trails have so many entries, and no more."""
    for number in numbers:
        query.wait(lambda number=number: entries(query, number) >= each, f"trail of {number}")  # type: ignore[misc]
    assert [entries(query, number) for number in numbers] == [each] * len(numbers)
