"""The list of a spool's refused scans: bounded, and what goes out of it is counted and told."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from ingest.spool_files import disk_files
from ingest.spool_limits import REFUSED_BYTES_MAX, SpoolLimits
from ingest.spool_opening import open_spool
from ingest.spool_refused import RefusedList, RefusedScan, count_let_go, read_refused
from ledger.app.exits import DONE
from tests.shells import typed
from tests.virtual_disk import Crash, VirtualDisk

if TYPE_CHECKING:
    from pathlib import Path

BYTES_MAX = 4_000
"""Room for some ten scans in each of its two files."""


def refused(place: int) -> RefusedScan:
    """A scan that the ledger refused."""
    return RefusedScan(place, 1, "gate-1", bytes(16), place, "event", "REQUIRED", "why", b"scan")


def places_in(folder: Path) -> list[int]:
    """The places that a person finds in the list."""
    return [scan.place for scan in read_refused(folder)]


def test_a_full_list_lets_its_oldest_go_and_says_how_many(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The newest half at least stays, without a gap; the log tells what went; a new start knows."""
    with disk_files(tmp_path) as files:
        listed = RefusedList(files, BYTES_MAX)
        for place in range(1, 100):
            listed.add([refused(place)])
            assert listed.size_bytes <= BYTES_MAX
        again = RefusedList(files, BYTES_MAX)
    found = places_in(tmp_path)

    assert found == list(range(listed.let_go + 1, 100))
    assert len(found) >= 8
    assert (listed.let_go, listed.count) == (99 - len(found), len(found))
    assert (again.let_go, again.count) == (listed.let_go, listed.count)
    assert count_let_go(tmp_path) == listed.let_go
    told = [record for record in caplog.records if "was full" in record.getMessage()]
    assert sum(record.__dict__["scans"] for record in told) == listed.let_go


def test_many_at_once_keep_to_the_bound(tmp_path: Path) -> None:
    """One result may refuse more than the list has room for; the newest are there."""
    with disk_files(tmp_path) as files:
        listed = RefusedList(files, BYTES_MAX)
        listed.add([refused(place) for place in range(1, 200)])

    assert listed.size_bytes <= BYTES_MAX
    assert places_in(tmp_path) == list(range(listed.let_go + 1, 200))


def test_a_list_of_an_earlier_version_goes_on(tmp_path: Path) -> None:
    """Its one file is the oldest, however long it is, until a newer one is full."""
    with disk_files(tmp_path) as files:
        RefusedList(files, 1 << 20).add([refused(place) for place in range(1, 60)])
        listed = RefusedList(files, BYTES_MAX)
        assert (listed.count, listed.let_go) == (59, 0)
        listed.add([refused(60)])
    assert places_in(tmp_path) == list(range(1, 61))


@pytest.mark.parametrize("fault", ["before", "after", "torn", "fails", "full"])
@pytest.mark.parametrize("power", [False, True])
def test_a_fault_at_any_step_of_the_turn_loses_none_that_was_listed(
    fault: str, *, power: bool
) -> None:
    """Whichever file call ends in the process's death, a power cut or an error: what `add` has
    returned for is in the list, or counted as let go.
    """
    for step in range(12):
        disk = VirtualDisk(random.Random(step))
        listed = RefusedList(disk, BYTES_MAX)
        added = 0
        while not listed.let_go:  # Up to a list that has turned once, and is full again soon.
            added += 1
            listed.add([refused(added)])
        while listed.size_bytes + 400 < BYTES_MAX:
            added += 1
            listed.add([refused(added)])
        disk.in_calls(step, fault)
        try:
            for _ in range(5):
                listed.add([refused(added + 1)])
                added += 1
        except (Crash, OSError):
            pass
        if power:
            disk.cut_power()
        again = RefusedList(disk, BYTES_MAX)
        names = sorted(name for name in disk.names() if name.startswith("refused"))
        text = b"".join(disk.read(name, 0, 1 << 20) for name in names).decode(errors="replace")
        for place in range(again.let_go + 1, added + 1):
            assert f'"place": {place},' in text, (step, fault, disk.fell, place, again.let_go)
        again.add([refused(added + 1)])


async def test_bad_scans_leave_room_for_good_ones(tmp_path: Path) -> None:
    """A source whose scans are refused without end fills a sixteenth of the spool, and no more."""
    limits = SpoolLimits(bytes_max=200_000)
    async with open_spool(tmp_path, limits=limits) as spool:
        told = asyncio.Event()
        spool.listeners.append(told.set)
        for _ in range(60):
            first = await spool.append([b"x" * 200] * 10)
            spool.refuse([refused(place) for place in range(first, first + 10)])
            while spool.unsettled:
                told.clear()
                await told.wait()
        counts = (spool.refused, spool.let_go)
    with disk_files(tmp_path) as files:
        listed = sum(files.size(name) for name in files.names() if name.startswith("refused"))
    assert counts[1] > 0
    assert sum(counts) == 600
    assert listed <= limits.refused_bytes < REFUSED_BYTES_MAX


def test_the_command_says_what_went_out(tmp_path: Path) -> None:
    """On standard error, so that the list itself stays one that a program reads."""
    with disk_files(tmp_path / "gateway") as files:
        listed = RefusedList(files, BYTES_MAX)
        listed.add([refused(place) for place in range(1, 100)])
    table = typed("gateway", "refusals", "--data", tmp_path)
    lines = typed("gateway", "refusals", "--data", tmp_path, "--json")

    assert table.code == lines.code == DONE
    assert f"{listed.let_go} older ones went out" in table.remark
    assert lines.answer.count("\n") == listed.count
