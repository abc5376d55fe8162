"""The process is killed with -9 at each durable step: before it is kept, and before it is told."""

from pathlib import Path

import pytest

from tests.faults.child import Life
from tests.faults.lives import KILLED, judge, live
from tests.scale import scaled

STEPS = [
    "log: before the write",
    "log: after the write",
    "log: after the sync",
    "log: before the acknowledgement",
    "rows: before the write",
    "rows: after the write",
    "marks: before the write",
    "marks: after the write",
    "progress: before the write",
    "progress: after the write",
    "progress: after the sync",
]
"""All that the engine names, in pairs: the thing is not kept, or kept and nobody knows."""

LIVES = scaled(2, soak=20)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(scaled(60, soak=600))]


@pytest.mark.parametrize("step", STEPS)
async def test_a_kill_at_a_step_loses_and_doubles_nothing(tmp_path: Path, step: str) -> None:
    """Killed again and again at one step, the ledger resumes by itself each time; then every
    acknowledged record is there, and the trails are the log: nothing lost, nothing twice.
    """
    folder = tmp_path / "ledger"
    lives = []
    for life in range(LIVES):
        die_after = (life * 7 + 1) % 5
        told = await live(
            Life(str(folder), first_number=life * 100_000, die_at=step, die_after=die_after)
        )
        assert told.status == KILLED, told.errors
        assert told.opened
        lives.append(told)

    await judge(folder, *lives)
    if not step.startswith("log"):
        assert any(told.acknowledged for told in lives)
