"""The folder that a gateway watches: files are spooled whole, and renamed then."""

from __future__ import annotations

import asyncio
import csv
import os
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from ingest.spool_limits import SpoolLimits
from ingest.spool_log import SpoolLog, read_spooled
from ingest.spool_opening import open_spool
from ledger.app import inbox as inbox_module
from ledger.app.inbox import Inbox
from ledger.v1.scan_event_pb2 import ScanEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from ingest.spool import Spool

HEADER = "tracking_number,type,scan_time,source"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often."""
    monkeypatch.setattr(inbox_module, "LOOK_EVERY_S", 0.02)


@asynccontextmanager
async def watching(folder: Path, spool: Spool, *, source: str = "") -> AsyncIterator[Inbox]:
    """Watch until the end of the block."""
    inbox = Inbox(folder, SpoolLog(spool), source=source, now_ns=time.time_ns)
    running = asyncio.create_task(inbox.run())
    try:
        yield inbox
    finally:
        running.cancel()
        await asyncio.wait([running])


async def until(true: Callable[[], bool]) -> None:
    """Wait for something."""
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def put(path: Path, *lines: str, header: str = HEADER) -> Path:
    """Write a file as somebody who wrote it a while ago."""
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([header, *lines]) + "\n")
    os.utime(path, (1, 1))
    return path


def line(number: int, source: str = "belt-1") -> str:
    """A good line."""
    return f"ITEM{number},SORTED,2026-03-01T12:{number // 60 % 60:02}:{number % 60:02}Z,{source}"


def events(spool: Spool) -> list[tuple[str, ScanEvent]]:
    """Sources and events of all that is in a spool."""
    found = []
    place = 1
    while place < spool.next_place:
        for frame in spool.frames(place, 1 << 20):
            scans = [read_spooled(data, place) for data in frame.scans]
            found += [(scan.source_id, ScanEvent.FromString(scan.event)) for scan in scans]
            place = frame.first_place + len(frame.scans)
    return found


async def test_a_file_is_taken(tmp_path: Path) -> None:
    """Its scans are in the spool, each with its source, before it is renamed."""
    inbox = tmp_path / "inbox"
    path = put(inbox / "scans.csv", *(line(n, f"belt-{n % 2}") for n in range(1_200)))
    async with open_spool(tmp_path / "spool") as spool, watching(inbox, spool):
        await until(lambda: not path.exists())
        found = events(spool)

    assert [one.name for one in inbox.iterdir()] == ["scans.csv.taken"]
    assert {source for source, _ in found} == {"belt-0", "belt-1"}
    assert {event.tracking_number for _, event in found} == {f"ITEM{n}" for n in range(1_200)}


async def test_a_file_that_is_taken_twice_makes_copies_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash between spooling and renaming has it taken again: the same events, ids included."""
    inbox = tmp_path / "inbox"
    path = put(inbox / "scans.csv", *(line(n) for n in range(30)))

    def dies(path: Path) -> Path:
        raise OSError(f"cannot rename {path}")

    async with open_spool(tmp_path / "spool") as spool:
        with monkeypatch.context() as patch:
            patch.setattr(inbox_module, "_rename", dies)
            async with watching(inbox, spool):
                await until(lambda: len(events(spool)) == 30)
                await asyncio.sleep(0.1)
        assert path.exists()
        async with watching(inbox, spool):
            await until(lambda: not path.exists())
        found = events(spool)

    assert len(found) == 60
    assert found[:30] == found[30:]
    assert len({event.event_id for _, event in found}) == 30


async def test_bad_lines_stand_beside_it(tmp_path: Path) -> None:
    """With their reasons, whether the file or the gateway's own check found them; the good ones are
    spooled.
    """
    inbox = tmp_path / "inbox"
    path = put(
        inbox / "scans.csv",
        line(1),
        "X,SORTD,2026-03-01T12:00:00Z,b",
        "---,SORTED,2026-03-01T12:00:00Z,b",
    )
    async with open_spool(tmp_path / "spool") as spool, watching(inbox, spool):
        await until(lambda: not path.exists())
        assert len(events(spool)) == 1
    rows = list(csv.reader((inbox / "scans.csv.refused").read_text().splitlines()))

    assert [row[:2] for row in rows[1:]] == [["3", "type"], ["4", "tracking_number"]]


async def test_the_same_name_may_come_again(tmp_path: Path) -> None:
    """What was taken before is not overwritten."""
    inbox = tmp_path / "inbox"
    async with open_spool(tmp_path / "spool") as spool, watching(inbox, spool):
        for number in range(3):
            path = put(inbox / "scans.csv", line(number))
            await until(lambda path=path: not path.exists())  # type: ignore[misc]

    assert sorted(one.name for one in inbox.iterdir()) == [
        "scans.csv.1.taken",
        "scans.csv.2.taken",
        "scans.csv.taken",
    ]


async def test_what_is_no_file_of_scans_stays(tmp_path: Path) -> None:
    """It is looked at again when it changes; others are taken meanwhile."""
    inbox = tmp_path / "inbox"
    bad = put(inbox / "a.csv", "1,2", header="what,ever")
    hidden = put(inbox / ".b.csv", line(1))
    other = put(inbox / "c.txt", line(1))
    nobody = put(inbox / "d.csv", "I,SORTED,2026-03-01T12:00:00Z", header=HEADER[:-7])
    good = put(inbox / "e.csv", line(1))
    async with open_spool(tmp_path / "spool") as spool, watching(inbox, spool):
        await until(lambda: not good.exists())
        assert bad.exists()
        assert nobody.exists()
        put(bad, line(2))
        os.utime(bad, (2, 2))
        await until(lambda: not bad.exists())
        async with watching(inbox, spool, source="belt-9"):
            await until(lambda: not nobody.exists())
        sources = {source for source, _ in events(spool)}

    assert hidden.exists()
    assert other.exists()
    assert sources == {"belt-1", "belt-9"}


async def test_a_file_that_is_still_written_is_left_alone(tmp_path: Path) -> None:
    """One that changed a moment ago waits."""
    inbox = tmp_path / "inbox"
    path = put(inbox / "scans.csv", line(1))
    os.utime(path)
    async with open_spool(tmp_path / "spool") as spool, watching(inbox, spool):
        await asyncio.sleep(0.3)
        assert path.exists()
        assert spool.unsettled == 0


async def test_a_full_spool_makes_a_file_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it is dropped; it is renamed when all of it is spooled."""
    monkeypatch.setattr("ingest.spool.FULL_RETRY_S", 0.05)
    inbox = tmp_path / "inbox"
    path = put(inbox / "scans.csv", *(line(n) for n in range(2_000)))
    limits = SpoolLimits(bytes_max=200_000)
    async with open_spool(tmp_path / "spool", limits=limits) as spool, watching(inbox, spool):
        await until(lambda: spool.is_full)
        assert path.exists()
        while path.exists():
            spool.settle(1, spool.next_place)
            await asyncio.sleep(0.05)

        assert spool.next_place == 2_001
