"""`parcel-ledger hammer` passes on a ledger that keeps its promises, and on no other."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from ledger.app.exits import DONE, FAILED, REFUSED
from loadtest.hammer import KEPT_MAX, Figures, percentile_ms
from tests.load_proxy import double, drop, proxy_to, swap
from tests.shells import environment, ledger_up, typed

if TYPE_CHECKING:
    from pathlib import Path

slow = [pytest.mark.slow, pytest.mark.timeout(180)]


async def hammered(address: str, *more: str, query: str = "") -> tuple[int, dict[str, Any]]:
    """Run the command in a process of its own; give its exit code and its report."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ledger.app.cli", "hammer", "--server", address, "--json"),
        *("--query", query or address, "--writers", "3", "--readers", "2", "--batch", "50", *more),
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, json.loads(out)


class TestLedgers:
    pytestmark = slow

    async def test_a_good_ledger_passes(self, tmp_path: Path) -> None:
        """All is read back, readers have compared while writers wrote, and figures are there."""
        with ledger_up(tmp_path) as ledger:
            code, report = await hammered(ledger.address, "--scans", "5000", "--within", "60")

        assert (code, report["good"], report["goal"]["reached"]) == (DONE, True, True)
        assert report["verdict"]["acknowledged"] >= 5_000
        assert report["verdict"]["read_back"] > 0
        assert report["verdict"]["checked"] > 0
        assert not any(report["verdict"]["faults"].values())
        assert report["ack_ms"]["p50"] <= report["ack_ms"]["p99"] <= report["ack_ms"]["max"]
        assert {"RecordScans", "ListScanEvents", "BatchGetTrails"} <= report["requests"].keys()

    async def test_a_goal_that_is_missed_fails(self, tmp_path: Path) -> None:
        """Also where nothing else is wrong: a deadline is a promise too."""
        with ledger_up(tmp_path) as ledger:
            code, report = await hammered(ledger.address, "--scans", "100000000", "--within", "2")

        assert (code, report["good"], report["goal"]["reached"]) == (REFUSED, False, False)
        assert not any(report["verdict"]["faults"].values())

    async def test_a_ledger_that_loses_doubles_or_misorders_fails(self, tmp_path: Path) -> None:
        """A proxy in front of the trails leaves an entry out, shows one twice, and swaps two."""
        with ledger_up(tmp_path) as ledger:
            async with proxy_to(ledger.address) as proxy:
                proxy.tricks = [drop, double, swap]
                code, report = await hammered(
                    ledger.address, "--scans", "8000", query=proxy.address
                )

        assert (code, report["good"]) == (REFUSED, False)
        found = {kind for kind, number in report["verdict"]["faults"].items() if number}
        assert found == {"lost", "doubled", "misordered"}, report


def test_nobody_there_is_said_at_once() -> None:
    """Without a ledger there is nothing to hammer."""
    said = typed("hammer", "--server", "127.0.0.1:1", "--scans", "1")

    assert said.code == FAILED
    assert "127.0.0.1:1" in said.remark


@pytest.mark.parametrize("flag", ["--scans=0", "--writers=0", "--batch=2001", "--within=0"])
def test_nonsense_is_refused(flag: str) -> None:
    """A goal of nothing would always be reached."""
    said = typed("hammer", flag)

    assert said.code == FAILED
    assert "hammer needs" in said.remark


def test_waits_are_bounded() -> None:
    """However many results come, so many waits are kept, and a percentile is one of them."""
    figures = Figures(random=lambda: 0.5)
    for number in range(KEPT_MAX + 10):
        figures.request("RecordScans", number / 1e3, 0)
    figures.request("RecordScans", 9e9, 0, "UNAVAILABLE")

    assert figures.requests["RecordScans"] == KEPT_MAX + 10
    assert figures.troubles == {"RecordScans: UNAVAILABLE": 1}
    assert figures.waits_ms()["max"] <= KEPT_MAX + 10


@pytest.mark.parametrize(
    ("share", "wanted"), [(0.5, 50_000.0), (0.99, 99_000.0), (1.0, 100_000.0), (0.0, 1_000.0)]
)
def test_a_percentile_is_the_value_at_its_rank(share: float, wanted: float) -> None:
    """Of 1 to 100 seconds."""
    assert percentile_ms([float(second) for second in range(1, 101)], share) == wanted
