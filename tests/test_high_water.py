"""The high-water file under power cuts: whatever is torn, what was synced is still known."""

import os
import random
from pathlib import Path

import pytest

from ledger.backends.rocksdb_high_water import HighWater
from tests.scale import scaled

SECTOR_BYTES = 512
PARTITIONS = 32


def torn(synced: bytes, written: bytes, choose: random.Random) -> bytes:
    """What a disk may hold after a power cut: of each sector the synced or the written state."""
    return b"".join(
        choose.choice((synced, written))[at : at + SECTOR_BYTES]
        for at in range(0, len(written), SECTOR_BYTES)
    )


def note(high_water: HighWater, number: int) -> None:
    """Acknowledge record `number` of partition 0, and something in every other one."""
    for partition in range(PARTITIONS):
        high_water.set_record(partition, number, b"record %d" % number)
    high_water.write()


@pytest.mark.parametrize("seed", range(scaled(100, soak=5_000)))
def test_a_power_cut_leaves_what_was_synced(tmp_path: Path, seed: int) -> None:
    """After any writes and syncs, any mix of old and new sectors opens, and says no less than what
    was synced and no more than what was written.
    """
    choose = random.Random(seed)
    path = tmp_path / "HIGHWATER"
    HighWater.create(path, PARTITIONS)
    high_water = HighWater.load(path, PARTITIONS)
    disk, least, number = path.read_bytes(), 0, 0
    for _ in range(choose.randrange(1, 12)):
        for _ in range(choose.randrange(4)):
            number += 1
            note(high_water, number)
        if choose.random() < 0.7:
            high_water.sync()
            disk, least = path.read_bytes(), number
    high_water.close()
    path.write_bytes(torn(disk, path.read_bytes(), choose))

    survivor = HighWater.load(path, PARTITIONS)

    assert least <= survivor.record(0).next <= number
    survivor.close()


@pytest.mark.parametrize("seed", range(scaled(100, soak=5_000)))
def test_a_power_cut_during_a_sync_leaves_the_sync_before(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writes go on while a sync runs; a cut in the middle of it leaves the one before whole."""
    choose = random.Random(seed)
    path = tmp_path / "HIGHWATER"
    HighWater.create(path, PARTITIONS)
    high_water = HighWater.load(path, PARTITIONS)
    note(high_water, 1)
    high_water.sync()
    disk = path.read_bytes()
    note(high_water, 2)
    real = os.fdatasync

    def cut(_: int) -> None:
        for number in (3, 4, 5):
            note(high_water, number)
        path.with_suffix(".cut").write_bytes(torn(disk, path.read_bytes(), choose))

    monkeypatch.setattr(os, "fdatasync", cut)
    high_water.sync()
    monkeypatch.setattr(os, "fdatasync", real)
    high_water.close()

    survivor = HighWater.load(path.with_suffix(".cut"), PARTITIONS)

    assert 1 <= survivor.record(0).next <= 5
    survivor.close()


def test_every_write_is_synced_at_last(tmp_path: Path) -> None:
    """Slots take turns for ever, and a sync with nothing new says so."""
    path = tmp_path / "HIGHWATER"
    HighWater.create(path, PARTITIONS)
    high_water = HighWater.load(path, PARTITIONS)
    for number in range(1, 20):
        note(high_water, number)
        assert high_water.sync()
        assert not high_water.sync()
        again = HighWater.load(path, PARTITIONS)
        assert again.record(0).next == number
        again.close()
    high_water.close()
