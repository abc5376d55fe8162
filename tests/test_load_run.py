"""Locust against real ledgers, good ones and faulty ones: that a load passes, and that it can fail.

Locust patches the process that it runs in, so here it is always a process of its own.
"""

from __future__ import annotations

import asyncio
import csv
import json
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.load_proxy import alter, double, drop, proxy_to, swap
from tests.shells import environment, ledger_up

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

SCANS_MIN = 3_000
"""What a few seconds of load acknowledge at least."""


BATCH_SCANS = 50


class Ended(NamedTuple):
    """How a load ended."""

    code: int
    verdict: dict[str, Any]
    said: str


class Load:
    """`python -m loadtest.load`, headless."""

    def __init__(self, folder: Path, *, seconds: int, **asked: str) -> None:
        self._verdict = folder / "verdict.json"
        self._asked = {"USERS": "16", "TIME": f"{seconds}s", "SEED": "7", **asked}
        self._more = (
            "--verdict",
            self._verdict,
            "--watch-s",
            "1",
            "--batch-scans",
            str(BATCH_SCANS),
        )

    async def start(self) -> asyncio.subprocess.Process:
        """Start it."""
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "loadtest.load", *map(str, self._more)),
            env={**environment(), **self._asked},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    async def end(self, process: asyncio.subprocess.Process) -> Ended:
        """Wait for its end."""
        try:
            said, _ = await asyncio.wait_for(process.communicate(), 50)
        except TimeoutError:
            process.terminate()
            raise
        assert process.returncode is not None
        assert self._verdict.exists(), said.decode()
        return Ended(process.returncode, json.loads(self._verdict.read_text()), said.decode())

    async def run(self) -> Ended:
        """Start it, and wait for its end."""
        return await self.end(await self.start())


def rows(path: Path) -> dict[tuple[str, str], int]:
    """Read Locust's statistics: how often, by type and name."""
    with path.open(encoding="utf-8") as file:
        return {
            (row["Type"], row["Name"]): int(row["Request Count"]) for row in csv.DictReader(file)
        }


async def test_a_load_of_all_kinds_of_users_passes(tmp_path: Path) -> None:
    """Two workers load a ledger that was started for them: all is read back and counted."""
    load = Load(tmp_path, seconds=4, PROCESSES="2", CSV=str(tmp_path / "stats"))

    code, verdict, said = await load.run()

    assert code == 0, said
    assert verdict["acknowledged"] == verdict["read_back"] >= SCANS_MIN
    assert verdict["checked"] > 100
    assert not any(verdict["faults"].values())
    counted = rows(tmp_path / "stats_stats.csv")
    assert counted["TOTAL", "scans acknowledged"] == verdict["acknowledged"]
    for name in ("trails looked up", "trails audited", "events watched"):
        assert counted["TOTAL", name] > 0
    for name in ("RecordScans", "BatchGetTrails", "ListScanEvents", "WatchTrail"):
        assert counted["gRPC", name] > 0
    assert "Nothing is lost, nothing is doubled." in said


async def test_a_load_fails_on_a_faulty_ledger(tmp_path: Path) -> None:
    """A batch that is acknowledged and forgotten, rows that are left out, doubled, altered or in
    the wrong place: each is caught, by the name of the scan and its item.
    """
    with ledger_up(tmp_path) as ledger:
        async with proxy_to(ledger.address) as proxy:
            proxy.swallows = lambda batch: batch == 20
            proxy.tricks = [drop, double, alter, swap]

            code, verdict, said = await Load(tmp_path, seconds=3, HOST=proxy.address).run()

    assert code == 1, said
    found = {kind: number for kind, number in verdict["faults"].items() if number}
    assert found.keys() == {"lost", "doubled", "altered", "misordered"}
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
        load = Load(tmp_path, seconds=5, HOST=ledger.address)
        process = await load.start()
        while (before := await asyncio.to_thread(ledger.records)) < SCANS_MIN // 2:
            assert process.returncode is None
            await asyncio.sleep(0.1)
        ledger.kill()
        await asyncio.to_thread(ledger.start)

        code, verdict, said = await load.end(process)

    assert code == 0, said
    assert verdict["acknowledged"] > before
    assert verdict["read_back"] >= SCANS_MIN
    assert verdict["unsettled"] == 0
    assert "UNAVAILABLE" in said  # It did not pass unnoticed.


def test_the_users_patch_nobody_who_did_not_ask_for_it() -> None:
    """Locust patches the process that imports it; its users are no way to do that by accident."""
    with pytest.raises(ImportError, match="import locust first"):
        import loadtest.grpc_user  # noqa: F401, PLC0415
