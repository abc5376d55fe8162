"""Locust against real ledgers, good ones and faulty ones: that a load passes, and that it can fail.

Locust patches the process that it runs in, so here it is always a process of its own.
"""

from __future__ import annotations

import asyncio
import csv
import json
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from ledger.app.client import open_channel
from ledger.app.ports import free_port
from ledger.v1.progress_service_pb2 import GetProgressRequest
from ledger.v1.progress_service_pb2_grpc import ProgressServiceStub
from tests.load_proxy import alter, double, drop, proxy_to, swap
from tests.shells import environment, ledger_up

if TYPE_CHECKING:
    from pathlib import Path

# They take seconds; a machine that is busy with other things may take a minute.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

SCANS_MIN = 4_000
"""How many are recorded before a load is told to end."""

BATCH_SCANS = 50


COUNTED = ("scans acknowledged", "trails looked up", "trails audited", "events watched")
METHODS = ("RecordScans", "BatchGetTrails", "ListScanEvents", "WatchTrail")


class Ended(NamedTuple):
    """How a load ended."""

    code: int
    verdict: dict[str, Any]
    said: str


class Load:
    """`python -m loadtest.load`, headless, until it is told to end."""

    def __init__(self, folder: Path, **asked: str) -> None:
        self._verdict = folder / "verdict.json"
        self._asked = {"USERS": "16", "TIME": "10m", "SEED": "7", **asked}
        self._more = ("--verdict", self._verdict, "--watch-s", "1", "--batch-scans", BATCH_SCANS)
        self._said: list[str] = []
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "loadtest.load", *map(str, self._more)),
            env={**environment(), **self._asked},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    async def line(self) -> str:
        """Read a line of what it says; empty at the end."""
        assert self._process is not None
        assert self._process.stdout is not None
        self._said.append((await self._process.stdout.readline()).decode())
        return self._said[-1]

    async def records(self, address: str, count: int) -> None:
        """Wait until so many scans are readable."""
        with open_channel(address) as channel:
            stub = ProgressServiceStub(channel)
            while True:
                answer = await asyncio.to_thread(stub.GetProgress, GetProgressRequest())
                if sum(one.readable_index for one in answer.partitions) >= count:
                    return
                assert self._process is not None
                assert self._process.returncode is None, self._said
                await asyncio.sleep(0.1)

    def stop(self) -> None:
        """Tell it to end, as an operator would."""
        assert self._process is not None
        self._process.terminate()

    async def end(self) -> Ended:
        """Wait for its end."""
        while await self.line():
            pass
        assert self._process is not None
        code = await self._process.wait()
        said = "".join(self._said)
        assert self._verdict.exists(), said
        return Ended(code, json.loads(self._verdict.read_text()), said)

    async def run(self, address: str) -> Ended:
        """Run it until enough is recorded there."""
        await self.start()
        await self.records(address, SCANS_MIN)
        self.stop()
        return await self.end()


def rows(path: Path) -> dict[tuple[str, str], int]:
    """Read Locust's statistics: how often, by type and name."""
    with path.open(encoding="utf-8") as file:
        return {
            (row["Type"], row["Name"]): int(row["Request Count"]) for row in csv.DictReader(file)
        }


def wait_for_rows(path: Path, wanted: set[tuple[str, str]]) -> None:
    """Wait until Locust, which writes every second, has counted all of these."""
    while not wanted <= rows(path).keys():
        time.sleep(0.2)


async def test_a_load_of_all_kinds_of_users_passes(tmp_path: Path) -> None:
    """Two workers load a ledger that was started for them: all is read back and counted."""
    load = Load(tmp_path, PROCESSES="2", CSV=str(tmp_path / "stats"))
    await load.start()
    address = (await load.line()).rstrip(".\n").split()[-1]
    await load.records(address, SCANS_MIN)
    wanted = {("TOTAL", name) for name in COUNTED} | {("gRPC", name) for name in METHODS}
    await asyncio.to_thread(wait_for_rows, tmp_path / "stats_stats.csv", wanted)
    load.stop()

    code, verdict, said = await load.end()

    assert code == 0, said
    assert verdict["acknowledged"] >= verdict["read_back"] >= SCANS_MIN * 0.9  # Some are copies.
    assert verdict["checked"] > 100
    assert not any(verdict["faults"].values())
    counted = rows(tmp_path / "stats_stats.csv")
    assert counted["TOTAL", "scans acknowledged"] <= verdict["acknowledged"]
    assert all(counted[row] > 0 for row in wanted)
    assert "Nothing is lost, nothing is doubled." in said


async def test_a_load_fails_on_a_faulty_ledger(tmp_path: Path) -> None:
    """A batch that is acknowledged and forgotten, rows that are left out, doubled, altered or in
    the wrong place: each is caught, by the name of the scan and its item.
    """
    with ledger_up(tmp_path) as ledger:
        async with proxy_to(ledger.address) as proxy:
            proxy.swallows_after = 20
            proxy.tricks = [drop, double, alter, swap]

            code, verdict, said = await Load(tmp_path, HOST=proxy.address).run(ledger.address)

    assert code == 1, said
    found = {kind: number for kind, number in verdict["faults"].items() if number}
    assert found.keys() == {"lost", "doubled", "altered", "misordered"}, said
    named = verdict["named"]
    for kind, item in zip(("lost", "doubled", "altered", "misordered"), proxy.tricked, strict=True):
        assert any(line.startswith(f"{kind}: {item}: scan ") for line in named)
    lost = {bytes.fromhex(line.split()[3]) for line in named if line.startswith("lost: ")}
    assert len(proxy.swallowed) > BATCH_SCANS // 2
    assert proxy.swallowed < lost
    assert found["lost"] == len(lost) == len(proxy.swallowed) + 1
    assert "has not kept its promise" in said


async def test_a_restart_under_load_loses_nothing(tmp_path: Path) -> None:
    """The ledger is killed under load and started again: scanners send again, and all is there."""
    with ledger_up(tmp_path) as ledger:
        load = Load(tmp_path, HOST=ledger.address)
        await load.start()
        await load.records(ledger.address, SCANS_MIN // 2)
        ledger.kill()
        await asyncio.to_thread(ledger.start)
        await load.records(ledger.address, SCANS_MIN)
        load.stop()

        code, verdict, said = await load.end()

    assert code == 0, said
    assert verdict["acknowledged"] > SCANS_MIN // 2
    assert verdict["unsettled"] == 0
    assert "UNAVAILABLE" in said  # It did not pass unnoticed.


async def test_a_load_that_reached_no_ledger_fails(tmp_path: Path) -> None:
    """When its time is over nothing was acknowledged: nothing is shown, and that is no success."""
    load = Load(tmp_path, USERS="2", TIME="1s", HOST=f"127.0.0.1:{free_port()}")
    await load.start()

    code, verdict, said = await load.end()

    assert code == 1, said
    assert verdict["acknowledged"] == 0
    assert "nothing is shown" in said


def test_the_users_patch_nobody_who_did_not_ask_for_it() -> None:
    """Locust patches the process that imports it; its users are no way to do that by accident."""
    with pytest.raises(ImportError, match="imports it first"):
        import loadtest.grpc_user  # noqa: F401, PLC0415
