"""A run of many seeds that ends when its time is over, or when somebody ends it, and goes on where
it was: what is done stands in a note, with the commits that it was done at.
"""

from __future__ import annotations

import json
import math
import subprocess
import time
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from tests.simulation.plan import ALL_FAULTS
from tests.simulation.runner import Found, Summary, run_one, run_part, together, workers

if TYPE_CHECKING:
    from pathlib import Path

PART_SEEDS = 200
"""Seeds after which is noted how far it is: ten seconds, which is all that is ever lost."""

FOUND_MOST = 20
"""Broken promises after which it does not go on."""


class Done(NamedTuple):
    """How far a run is."""

    summary: Summary
    commits: Counter[str]
    """Seeds that were played at each commit."""

    def line(self) -> str:
        """Say it as a row of the table in docs/faults.md."""
        seeds, found, fell, scans, answers = self.summary
        rarest = min(ALL_FAULTS, key=lambda fault: fell[fault])
        return (
            f"| {seeds:,} seeds | {scans:,} scans, {answers:,} answers compared, "
            f"{sum(fell.values()):,} faults of {len(ALL_FAULTS)} kinds, the rarest "
            f"{fell[rarest]:,} times ({rarest}) | {len(found) or 'no'} broken promises "
            f"| {', '.join(self.commits)} |"
        )


def run_resumed(seeds: range, note: Path, bug: str = "", *, seconds: float = math.inf) -> Done:
    """Run the seeds that are not done yet, for some time; after each part note what came of it.

    What broke a promise earlier is played again first: it may have been mended.
    """
    until_s = time.monotonic() + seconds
    done = _read(note, bug)
    commit = _commit()
    with workers() as pool:
        for begin in range(done.summary.seeds, len(seeds), PART_SEEDS):
            if time.monotonic() >= until_s or len(done.summary.found) >= FOUND_MOST:
                break
            part = run_part(pool, seeds[begin : begin + PART_SEEDS], bug)
            commits = done.commits + Counter({commit: part.seeds})
            done = Done(together([done.summary, part]), commits)
            _write(note, done)
    return done


def _read(note: Path, bug: str) -> Done:
    if not note.exists():
        return Done(Summary(0, [], Counter(), 0, 0), Counter())
    summary, commits = json.loads(note.read_text())
    count, found, fell, scans, answers = summary
    again = [run_one(seed, bug) for seed, _ in found]
    still = [Found(result.seed, result.broken[0]) for result in again if result.broken]
    return Done(Summary(count, still, Counter(fell), scans, answers), Counter(commits))


def _write(note: Path, done: Done) -> None:
    new = note.with_suffix(".new")
    new.write_text(json.dumps(done))
    new.replace(note)


def _commit() -> str:
    """Name the commit, and say where the code is not what was committed."""
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"],
        capture_output=True,
        text=True,
        check=False,
    )
    return said.stdout.strip() or "no commit"
