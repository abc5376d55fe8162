"""A spool on a real disk: what it keeps, what it refuses by name, and what it costs to be full."""

from __future__ import annotations

import asyncio
import errno
import random
import resource
import shutil
from typing import TYPE_CHECKING

import pytest

from ingest.spool_files import DiskFiles
from ingest.spool_limits import SpoolFull, SpoolLimits
from ingest.spool_opening import open_spool, spool_on
from ledger.errors import Diverged, NotPossibleNow, Refused
from tests.scale import scaled
from tests.virtual_disk import VirtualDisk

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ingest.spool import Spool

SMALL = SpoolLimits(bytes_max=1 << 20)
"""Segments of 16 KiB."""


def scan(number: int, padding: int = 300) -> bytes:
    """A scan like no other."""
    return b"scan %d " % number + b"." * padding


def shown(spool: Spool) -> dict[int, bytes]:
    """All scans that are not settled, by place."""
    found: dict[int, bytes] = {}
    for first, end in spool.unsettled_between(1, spool.next_place):
        for frame in iter_frames(spool, first, end):
            found |= {
                place: one for place, one in enumerate(frame[1], frame[0]) if first <= place < end
            }
    return found


def iter_frames(spool: Spool, first: int, end: int) -> list[tuple[int, Sequence[bytes]]]:
    """The frames that have these places."""
    found = []
    while first < end:
        for frame in spool.frames(first, 4_096):
            found.append((frame.first_place, frame.scans))
            first = frame.first_place + len(frame.scans)
    return found


def segments_in(folder: Path) -> list[Path]:
    """Its segments, oldest first."""
    return sorted(folder.glob("*.scans"))


def contents(folder: Path) -> dict[str, bytes]:
    """All of its files."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def fill_up(spool: Spool) -> None:
    """Append until that fails."""
    while True:
        await spool.append([scan(n) for n in range(10)])


async def filled(folder: Path, batches: int = 20, limits: SpoolLimits = SMALL) -> None:
    """Make a spool of some segments: 10 scans in each batch."""
    async with open_spool(folder, limits=limits) as spool:
        for batch in range(batches):
            await spool.append([scan(batch * 10 + n) for n in range(10)])


async def test_it_is_there_after_a_restart(tmp_path: Path) -> None:
    """Scans with their places, the id, and what was settled in between."""
    await filled(tmp_path)
    async with open_spool(tmp_path, limits=SMALL) as spool:
        spool_id = spool.spool_id
        spool.settle(3, 7)
        spool.settle(100, 150)
    async with open_spool(tmp_path, limits=SMALL) as spool:
        left = shown(spool)
        again = await spool.append([scan(999)])
        assert spool.spool_id == spool_id

    gone = {*range(3, 7), *range(100, 150)}
    assert left == {n + 1: scan(n) for n in range(200) if n + 1 not in gone}
    assert again == 201


async def test_segments_go_when_all_of_them_is_settled(tmp_path: Path) -> None:
    """Also in the middle; the newest stays, since it says which place is next."""
    await filled(tmp_path)
    before = segments_in(tmp_path)
    async with open_spool(tmp_path, limits=SMALL) as spool:
        spool.settle(60, 160)
    middle = segments_in(tmp_path)
    async with open_spool(tmp_path, limits=SMALL) as spool:
        assert shown(spool).keys() == {*range(1, 60), *range(160, 201)}
        spool.settle(1, 201)
        await spool.append([scan(200)])
    async with open_spool(tmp_path, limits=SMALL) as spool:
        assert shown(spool) == {201: scan(200)}

    assert len(before) > 3
    assert len(middle) < len(before)
    assert middle[0] == before[0]
    assert len(segments_in(tmp_path)) == 1


async def test_appends_that_wait_together_are_synced_together(tmp_path: Path) -> None:
    """A hundred at once take a few syncs, and each gets its own places."""
    disk = VirtualDisk(random.Random(1))
    async with spool_on(disk, limits=SMALL, now_ns=lambda: 1, random_bytes=bytes) as spool:
        calls = disk.calls
        firsts = await asyncio.gather(*(spool.append([b"a", b"b"]) for _ in range(100)))
        calls = disk.calls - calls

    assert sorted(firsts) == list(range(1, 201, 2))
    assert calls < 20


async def test_full_is_said_and_nothing_is_dropped(tmp_path: Path) -> None:
    """New scans are turned away, old ones stay; there is room again when some are settled."""
    limits = SpoolLimits(bytes_max=100_000)
    async with open_spool(tmp_path, limits=limits) as spool:
        with pytest.raises(SpoolFull, match="100,000 bytes"):
            await fill_up(spool)
        kept = spool.unsettled
        assert len(shown(spool)) == kept
        assert spool.turned_away == 10
        spool.settle(1, kept // 2)
        async with asyncio.timeout(10):
            while spool.is_full:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await spool.append([scan(0)])

    assert sum(len(data) for data in contents(tmp_path).values()) <= limits.bytes_max + 4_096


async def test_a_full_disk_leaves_it_usable(tmp_path: Path) -> None:
    """The append that fails says so; when there is room again the next one goes through, and what
    was there before stays. (The disk is full for files beyond a length, which is as good.)
    """
    async with open_spool(tmp_path, limits=SMALL) as spool:
        await spool.append([scan(0)])
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard))
        try:
            with pytest.raises(SpoolFull, match="disk is full"):
                await spool.append([scan(1)])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert await spool.append([scan(2)]) == 2
    async with open_spool(tmp_path, limits=SMALL) as spool:
        assert shown(spool) == {1: scan(0), 2: scan(2)}


async def test_age_is_reported_and_turns_nobody_away(tmp_path: Path) -> None:
    """Scans older than the limit show; they are kept, and new ones are taken."""
    now_s = [1_000]
    limits = SpoolLimits(bytes_max=1 << 20, age_max_s=60)
    async with open_spool(tmp_path, limits=limits, now_ns=lambda: now_s[0] * 10**9) as spool:
        assert (spool.oldest_s(), spool.is_overdue()) == (0.0, False)
        await spool.append([scan(0)])
        now_s[0] += 61
        assert spool.oldest_s() == pytest.approx(61)
        assert spool.is_overdue()
        await spool.append([scan(1)])
        assert len(shown(spool)) == 2
        spool.settle(1, 2)
        assert spool.oldest_s() <= 61


def flipped(path: Path, at: int) -> None:
    """Turn one bit of a file around."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << (at % 8)
    path.write_bytes(data)


@pytest.mark.slow
@pytest.mark.timeout(scaled(60, soak=3_600))
async def test_one_flipped_bit_anywhere_is_refused_or_harmless(tmp_path: Path) -> None:
    """In a file of scans it is always refused, and the file is named; in the notes it costs at most
    scans that are sent again. Nothing is ever passed over in silence.
    """
    whole = tmp_path / "whole"
    limits = SpoolLimits(bytes_max=1 << 20)
    async with open_spool(whole, limits=limits) as spool:
        for batch in range(4):
            await spool.append([scan(batch * 3 + n, padding=20) for n in range(3)])
        spool.settle(2, 4)
        await asyncio.sleep(0.6)
    every = scaled(7, soak=1)
    reasons = set()
    for name, at in [
        (name, at) for name, data in contents(whole).items() for at in range(len(data))
    ]:
        if at % every:
            continue
        copy = tmp_path / f"{name}-{at}"
        shutil.copytree(whole, copy)
        flipped(copy / name, at)
        try:
            async with open_spool(copy, limits=limits) as spool:
                left = shown(spool)
        except (Diverged, Refused) as error:
            reasons.add((name.endswith(".scans"), error.reason))
        else:
            assert not name.endswith(".scans"), (name, at)
            assert {1, *range(4, 13)} <= left.keys(), (name, at)
            assert all(one == scan(place - 1, padding=20) for place, one in left.items())
        shutil.rmtree(copy)

    assert {reason for is_segment, reason in reasons if is_segment} == {"SPOOL_DAMAGED"}


def lengthen(path: Path, data: bytes) -> None:
    """Write behind the end of a file."""
    with path.open("ab") as file:
        file.write(data)


def cut(path: Path, size: int) -> None:
    """Make a file shorter."""
    with path.open("r+b") as file:
        file.truncate(size)


def do_damage(folder: Path, damage: str) -> None:
    """Remove or cut a file."""
    segments = segments_in(folder)
    if damage == "cut in the middle":
        cut(segments[1], segments[1].stat().st_size - 1)
    else:
        guilty = {"middle gone": segments[1], "newest gone": segments[-1]}
        guilty.get(damage, folder / "SPOOL").unlink()


@pytest.mark.parametrize("damage", ["middle gone", "cut in the middle", "newest gone", "no id"])
async def test_what_is_missing_is_named(tmp_path: Path, damage: str) -> None:
    """A file that was removed or cut short is refused, with the places or the file; nothing is
    changed by looking.
    """
    await filled(tmp_path)
    do_damage(tmp_path, damage)
    before = contents(tmp_path)
    with pytest.raises(Diverged) as raised:
        async with open_spool(tmp_path, limits=SMALL):
            pass

    assert raised.value.reason == "SPOOL_DAMAGED"
    assert raised.value.metadata
    assert contents(tmp_path) == before


async def test_a_torn_end_is_passed_over(tmp_path: Path) -> None:
    """What a crash has left of a commit that nobody was told of."""
    await filled(tmp_path)
    newest = segments_in(tmp_path)[-1]
    lengthen(newest, newest.read_bytes()[20:200])
    async with open_spool(tmp_path, limits=SMALL) as spool:
        assert len(shown(spool)) == 200
        assert await spool.append([scan(200)]) == 201


async def test_a_folder_has_one_user_and_one_source(tmp_path: Path) -> None:
    """A second process is refused, and so is another source: its scans would be sent as its own."""
    async with open_spool(tmp_path, source_id="gate-1"):
        with pytest.raises(NotPossibleNow, match="Another process"):
            async with open_spool(tmp_path, source_id="gate-1"):
                pass
    with pytest.raises(Refused, match="gate-1"):
        async with open_spool(tmp_path, source_id="gate-2"):
            pass


async def test_a_scan_that_is_too_long_is_refused(tmp_path: Path) -> None:
    """Alone, before anything is written."""
    async with open_spool(tmp_path) as spool:
        with pytest.raises(Refused, match="bytes"):
            await spool.append([bytes((16 << 10) + 1)])
        assert await spool.append([bytes(16 << 10)]) == 1


async def test_a_disk_that_fails_is_said(tmp_path: Path) -> None:
    """An error of the device may have happened after all; the next append begins a new file."""
    disk = VirtualDisk(random.Random(1))
    async with spool_on(disk, limits=SMALL, now_ns=lambda: 1, random_bytes=bytes) as spool:
        await spool.append([scan(0)])
        disk.in_calls(1, "fails")  # The sync.
        with pytest.raises(Exception, match="disk fails") as raised:
            await spool.append([scan(1)])
        assert await spool.append([scan(2)]) == 2
        disk.cut_power()
    async with spool_on(disk, limits=SMALL, now_ns=lambda: 1, random_bytes=bytes) as spool:
        found = shown(spool)

    assert type(raised.value).__name__ == "Uncertain"
    assert found == {1: scan(0), 2: scan(2)}


def test_files_say_what_is_not_there(tmp_path: Path) -> None:
    """Reading a file that is missing is an error, its length is nothing."""
    files = DiskFiles(tmp_path)

    assert files.size("x") == 0
    with pytest.raises(OSError, match="No such file") as raised:
        files.read("x", 0, 1)
    assert raised.value.errno == errno.ENOENT
