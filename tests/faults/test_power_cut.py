"""The power is cut: files fall back to what was synced, and every acknowledged scan is there."""

import os
import random
import subprocess
import time
from pathlib import Path

import pytest

from ledger.errors import Diverged
from ledger.generations import Standing
from tests.faults.child import FAILED, Life
from tests.faults.lives import KILLED, Told, judge, live
from tests.folders import opened
from tests.rebuilds import rebuilt
from tests.scale import scaled

SHIM = Path(__file__).with_name("powercut.c")
ROUNDS = scaled(4, soak=200)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that notes what was synced."""
    library = tmp_path_factory.mktemp("powercut") / "powercut.so"
    flags = ["-Wall", "-Werror", "-O1", "-shared", "-fPIC"]
    subprocess.run(["gcc", *flags, "-o", str(library), str(SHIM), "-ldl"], check=True)
    return library


def cut_power(folder: Path, notes: Path) -> None:
    """Give every file of a dead process the length, and a small one the bytes, of its last sync."""
    for current, _, names in os.walk(folder):
        listing = notes / f"folder-{Path(current).stat().st_ino}"
        durable = set(listing.read_text().split("\n")) if listing.exists() else set()
        for name in names:
            file = Path(current, name)
            if name not in durable:
                file.unlink()
                continue
            inode = file.stat().st_ino
            length, small = notes / f"length-{inode}", notes / f"bytes-{inode}"
            synced = int(length.read_text()) if length.exists() else 0
            if small.exists() and small.stat().st_size == synced:
                file.write_bytes(small.read_bytes())
            elif file.stat().st_size > synced:
                os.truncate(file, synced)


async def run_until_killed(folder: Path, shim: Path, *, sync: bool, seed: int) -> Told:
    """Run a ledger, kill it at some moment, and cut the power."""
    notes = folder.with_name(folder.name + "-notes")
    notes.mkdir()
    wait_s = random.Random(seed).uniform(0.1, 1.5)
    first: list[float] = []

    def over(told: Told) -> bool:
        if len(told.acknowledged) > 100 and not first:
            first.append(time.monotonic())
        return bool(first) and time.monotonic() - first[0] > wait_s

    told = await live(
        Life(str(folder), sync=sync),
        kill_when=over,
        environment={"LD_PRELOAD": str(shim), "POWERCUT_NOTES": str(notes)},
    )
    assert told.status == KILLED, told.errors
    cut_power(folder, notes)
    return told


@pytest.mark.parametrize("seed", range(ROUNDS))
async def test_what_was_acknowledged_outlives_a_power_cut(
    tmp_path: Path, shim: Path, seed: int
) -> None:
    """Synced, every acknowledged record is there with its bytes, and the writer makes its rows."""
    folder = tmp_path / "ledger"
    told = await run_until_killed(folder, shim, sync=True, seed=seed)

    await judge(folder, told)


@pytest.mark.parametrize("syncs", [40, 101])
async def test_a_failing_sync_ends_everything(tmp_path: Path, shim: Path, syncs: int) -> None:
    """When a sync fails nothing more is acknowledged, and the process ends; what was acknowledged
    before outlives a power cut.
    """
    folder, notes = tmp_path / "ledger", tmp_path / "notes"
    notes.mkdir()
    told = await live(
        Life(str(folder)),
        environment={
            "LD_PRELOAD": str(shim),
            "POWERCUT_NOTES": str(notes),
            "POWERCUT_SYNCS": str(syncs),
        },
    )
    assert (told.status, told.failure) == (FAILED, "ENGINE_FAILED"), told.errors
    assert told.acknowledged
    cut_power(folder, notes)

    await judge(folder, told)


@pytest.mark.parametrize("does", ["history", "rows"])
async def test_what_is_told_without_an_append_outlives_a_power_cut(
    tmp_path: Path, shim: Path, does: str
) -> None:
    """An entry of the history that anyone saw, and a row that has settled, are there, though no
    append came with a sync.
    """
    folder, notes = tmp_path / "ledger", tmp_path / "notes"
    notes.mkdir()
    told = await live(
        Life(str(folder), does=does),
        kill_when=lambda told: told.progress >= 3 or told.settled_rows >= 2,
        environment={"LD_PRELOAD": str(shim), "POWERCUT_NOTES": str(notes)},
    )
    assert told.status == KILLED, told.errors
    cut_power(folder, notes)

    await judge(folder, told)


@pytest.mark.parametrize(
    ("step", "after", "wanted"),
    [
        ("generation: after the write", 0, [Standing(1, 0, []), Standing(1, 2, [])]),
        ("rebuild marks: after the write", 3, [Standing(1, 2, [])]),
        ("generation: after the write", 1, [Standing(1, 2, []), Standing(2, 0, [1])]),
        ("generation: after the sync", 0, [Standing(2, 0, [1])]),
    ],
)
async def test_a_power_cut_in_a_rebuilding(
    tmp_path: Path, shim: Path, step: str, after: int, wanted: list[Standing]
) -> None:
    """What was not synced of a generation goes with its rows: one that serves has all of them, and
    one that was told to serve does.
    """
    folder, notes = tmp_path / "ledger", tmp_path / "notes"
    notes.mkdir()
    told = await live(
        Life(str(folder), does="rebuild", die_at=step, die_after=after),
        environment={"LD_PRELOAD": str(shim), "POWERCUT_NOTES": str(notes)},
    )
    assert told.status == KILLED, told.errors
    cut_power(folder, notes)

    await judge(folder, told)
    async with opened(tmp_path) as ledger:
        assert await ledger.generations.standing() in wanted
        again = await rebuilt(ledger)
        assert again.comparison.is_same
        assert ledger.store.generation == again.generation
    await judge(folder, told)


async def test_without_syncs_a_power_cut_is_noticed(tmp_path: Path, shim: Path) -> None:
    """The same with syncing turned off loses acknowledged records: the test above can fail."""
    folder = tmp_path / "ledger"
    told = await run_until_killed(folder, shim, sync=False, seed=0)

    with pytest.raises((AssertionError, Diverged), match="gone"):
        await judge(folder, told)
