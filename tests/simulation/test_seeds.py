"""Thousands of schedules: no promise is broken in any of them, and every kind of fault falls."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scale import is_soak, scaled
from tests.simulation.long_run import run_resumed
from tests.simulation.runner import SCANS_LEAST, again, run_many, run_one, run_sharded
from tests.turns import SECONDS, note_of

ROOT = Path(__file__).resolve().parents[2]
SEEDS = scaled(2_000, soak=100_000)


def test_some_seeds_keep_every_promise() -> None:
    """A handful of seeds, each with hundreds of scans and many faults, breaks nothing."""
    summary = run_many(range(1, 9))

    assert not summary.found, "\n".join(summary.lines())
    assert summary.scans >= 8 * SCANS_LEAST
    assert sum(summary.fell.values()) >= 80
    assert summary.answers > 80


@pytest.mark.slow
@pytest.mark.timeout(scaled(660, soak=4_000))
def test_no_schedule_breaks_a_promise(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Thousands of seeds break nothing, and no kind of fault was left out."""
    note = note_of("seeds", ".json") if is_soak() else tmp_path / "seeds.json"
    done = run_resumed(range(1, SEEDS + 1), note, seconds=SECONDS)
    summary = done.summary

    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join([*summary.lines(), done.line()]) + "\n")
    assert not summary.found
    assert not summary.never_fell()
    assert summary.seeds == SEEDS, "without a fault so far; go on the same"


@pytest.mark.slow
def test_a_long_run_goes_on_where_it_was_ended(tmp_path: Path) -> None:
    """What a run noted is not run again, and the sum is that of one run."""
    note = tmp_path / "note"
    whole = run_sharded(range(1, 13))

    run_resumed(range(1, 7), note)
    resumed = run_resumed(range(1, 13), note)

    assert resumed.summary == whole
    assert run_resumed(range(1, 13), note) == resumed
    assert resumed.line().startswith("| 12 seeds |")


@pytest.mark.slow
def test_a_long_run_stops_when_its_time_is_over(tmp_path: Path) -> None:
    """A run without time plays nothing and loses nothing of what was noted."""
    note = tmp_path / "note"
    first = run_resumed(range(1, 5), note)

    assert run_resumed(range(1, 13), note, seconds=0.0) == first


@pytest.mark.slow
def test_a_long_run_plays_again_what_was_broken(tmp_path: Path) -> None:
    """A seed that found something stays in the note until the code no longer breaks there."""
    note = tmp_path / "note"
    bug = "mark before rows"

    found = run_resumed(range(1, 5), note, bug).summary.found

    assert found
    assert run_resumed(range(1, 5), note, bug).summary.found == found
    assert not run_resumed(range(1, 5), note).summary.found


def test_a_seed_is_one_schedule() -> None:
    """The same seed runs the same way twice, and another one does not."""
    first, second, other = run_one(26), run_one(26), run_one(27)

    assert (first.signature, first.steps, first.fell) == (
        second.signature,
        second.steps,
        second.fell,
    )
    assert other.signature != first.signature


@pytest.mark.slow
@pytest.mark.parametrize("hash_seed", ["1", "4711"])
def test_a_seed_is_one_schedule_in_every_process(hash_seed: str) -> None:
    """Another process, with other hashes of texts, plays the same schedule."""
    shown = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--seed", "26"],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert f"schedule {run_one(26).signature:012x}" in shown


@pytest.mark.slow
def test_a_failing_seed_says_how_to_play_it_again() -> None:
    """The summary of a run has the command for each failing seed, and it finds the same."""
    bug = "mark before rows"
    summary = run_many(range(1, 50), bug, stop_at=1)
    [found] = summary.found
    command = again(found.seed, bug)
    assert f"  again: {command}" in list(summary.lines(bug))

    played = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--seed", str(found.seed), "--bug", bug],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert command == f"python -m tests.simulation --seed {found.seed} --bug '{bug}'"
    assert played.returncode == 1
    assert f"broken: {found.promise}" in played.stdout
