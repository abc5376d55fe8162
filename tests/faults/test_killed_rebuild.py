"""The process is killed with -9 at each durable step of a rebuilding, while scans come."""

from pathlib import Path

import pytest
from rocksdict import Rdict

from ledger.backends.rocksdb_folder import Folder, open_folder
from ledger.backends.rocksdb_format import DATABASE
from ledger.backends.rocksdb_options import TRAIL_PREFIX, database_options, trail_family
from ledger.errors import LedgerError
from ledger.generations import Standing
from tests.faults.child import Life
from tests.faults.lives import KILLED, judge, live
from tests.folders import PARTITIONS
from tests.rebuilds import rebuilt, rows_of_generation, rows_served
from tests.scale import scaled
from tests.upkeep import compared
from tests.writing import rows_of_the_log

OLD, HALF, NEW = Standing(1, 0, []), Standing(1, 2, []), Standing(2, 0, [1])

STEPS = {
    ("generation: before the column family", 0): OLD,
    ("generation: before the write", 0): OLD,  # The family is there, and nothing names it.
    ("generation: after the write", 0): HALF,
    ("rebuild rows: before the write", 3): HALF,
    ("rebuild rows: after the write", 3): HALF,
    ("rebuild marks: before the write", 1): HALF,
    ("rebuild marks: after the write", 1): HALF,
    ("generation: before the write", 1): HALF,
    ("generation: after the write", 1): NEW,
    ("generation: after the sync", 0): NEW,
}
"""All steps, in pairs, and how often each is passed before; what a kill there leaves."""

LIVES = scaled(1, soak=10)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(scaled(120, soak=1_200))]


def unexpected(error: LedgerError) -> None:
    """No error of the engine is expected."""
    raise error


def families(ledger: Folder) -> set[str]:
    """The column families of rows that are on disk."""
    names: list[str] = Rdict.list_cf(str(ledger.path / DATABASE), database_options())
    return {name for name in names if name.startswith(TRAIL_PREFIX)}


def numbers(standing: Standing) -> set[str]:
    """Those that are named: nothing that a killed process left is there."""
    named = {standing.serving, standing.building, *standing.kept} - {0}
    return set(map(trail_family, named))


@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{step[0]} {step[1]}")
async def test_a_kill_leaves_one_that_serves(tmp_path: Path, step: tuple[str, int]) -> None:
    """Killed at each step, the old generation or the new one serves, whole; every acknowledged
    record is there once; and a rebuilding afterwards goes on, or begins cleanly.
    """
    for life in range(LIVES):
        folder = tmp_path / f"ledger-{life}"
        name, after = step
        told = await live(Life(str(folder), die_at=name, die_after=after, does="rebuild"))
        assert told.status == KILLED, told.errors
        assert told.acknowledged

        async with open_folder(folder, partitions=PARTITIONS, on_fatal=unexpected) as ledger:
            assert await ledger.generations.standing() == STEPS[step]
            assert families(ledger) == numbers(STEPS[step])
        await judge(folder, told)
        async with open_folder(folder, partitions=PARTITIONS, on_fatal=unexpected) as ledger:
            again = await rebuilt(ledger)
            assert again.comparison.is_same
            assert again.generation == ledger.store.generation
            assert again.generation == (3 if STEPS[step] is NEW else 2)
            assert {tuple(row) for row in await rows_served(ledger)} == await rows_of_the_log(
                ledger
            )
            assert (await compared(ledger)).is_same
            assert await rows_of_generation(ledger, again.before)
        await judge(folder, told)


@pytest.mark.parametrize("after", [True, False])
async def test_a_kill_in_a_drop(tmp_path: Path, after: bool) -> None:
    """Killed between the row and the family, or before the row: half a generation is given up or
    not, and what serves is whole.
    """
    folder = tmp_path / "ledger"
    step = "generation: after the sync" if after else "generation: before the write"
    told = await live(
        Life(str(folder), die_at=step, die_after=0 if after else 1, does="give up a rebuild")
    )
    assert told.status == KILLED, told.errors

    async with open_folder(folder, partitions=PARTITIONS, on_fatal=unexpected) as ledger:
        assert await ledger.generations.standing() == (OLD if after else HALF)
        assert families(ledger) == numbers(OLD if after else HALF)
    await judge(folder, told)
    async with open_folder(folder, partitions=PARTITIONS, on_fatal=unexpected) as ledger:
        # No number is used twice.
        assert (await rebuilt(ledger)).generation == (3 if after else 2)
