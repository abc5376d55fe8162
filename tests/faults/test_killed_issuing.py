"""The process is killed with -9 at each durable step of issuing; and a folder that forgot."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.errors import Diverged
from tests.faults.issuing_child import COUNT
from tests.faults.lives import ROOT
from tests.folders import opened

STEPS = [
    "numbers: before the write",
    "numbers: after the write",
    "numbers: after the sync",
    "numbers: after the high water",
]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def live(folder: Path, first: int, step: str, after: int) -> dict[int, list[str]]:
    """Run the child until it has killed itself; give what it said."""
    said = subprocess.run(
        [
            *(sys.executable, "-m", "tests.faults.issuing_child"),
            *(str(folder), str(first), step, str(after)),
        ],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        check=False,
        text=True,
        timeout=50,
    )
    assert said.returncode == (-signal.SIGKILL if step else 0), said.stderr
    lines = [line.split() for line in said.stdout.splitlines()]
    return {int(number): numbers for number, *numbers in lines}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("after", [6, 7])
def test_a_kill_loses_numbers_at_most(tmp_path: Path, step: str, after: int) -> None:
    """Killed at each step of taking and of giving, no number is given twice, and every request is
    given what it was given before; only what was being taken is lost.
    """
    folder = tmp_path / "ledger"
    told = live(folder, 0, step, after)
    again = live(folder, 0, "", 0)
    others = live(folder, 100, "", 0)

    assert len(told) == 3  # Each of them is two changes.
    assert {number: again[number] for number in told} == told
    numbers = [one for given in (*again.values(), *others.values()) for one in given]
    assert len(numbers) == len(set(numbers)) == 40 * COUNT
    lost = int(max(numbers)[14:21]) - len(numbers)
    taken, given = (after == 6) == (step != STEPS[0]), after == 7 and step != STEPS[0]
    assert lost == (COUNT if taken and not given else 0)


async def test_a_folder_that_forgot_is_refused(tmp_path: Path) -> None:
    """A database that lost what was issued last would issue it twice: it is not opened."""
    live(tmp_path / "ledger", 0, STEPS[3], 5)
    shutil.copytree(tmp_path / "ledger", tmp_path / "older" / "ledger")
    live(tmp_path / "ledger", 50, STEPS[3], 5)
    shutil.copy(tmp_path / "ledger" / "HIGHWATER-numbers", tmp_path / "older" / "ledger")

    async with opened(tmp_path):
        pass
    with pytest.raises(Diverged) as error:
        async with opened(tmp_path / "older"):
            pass
    assert error.value.reason == "NUMBERS_DIFFER_FROM_ISSUED"
