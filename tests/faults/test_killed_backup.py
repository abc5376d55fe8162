"""The process is killed with -9 in the middle of a backup: half a backup looks like none."""

from pathlib import Path

import pytest

from ledger.backends.rocksdb_backup import CHECKPOINT
from ledger.backends.rocksdb_folder import open_folder
from ledger.backends.rocksdb_manifest import read_manifest
from ledger.backends.rocksdb_restore import restore_folder
from ledger.errors import LedgerError, NotPossibleNow, Refused
from tests.faults.child import Life
from tests.faults.lives import KILLED, judge, live
from tests.folders import PARTITIONS
from tests.scale import scaled
from tests.upkeep import Heard

LIVES = scaled(1, soak=10)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(scaled(60, soak=600))]


def unexpected(error: LedgerError) -> None:
    """No error of the engine is expected."""
    raise error


@pytest.mark.parametrize(
    "step",
    ["backup: after the checkpoint", "backup: after the database", "backup: before the manifest"],
)
async def test_half_a_backup_is_none(tmp_path: Path, step: str) -> None:
    """Killed at each step before the last: nothing can be restored from what is left, nobody
    writes over it, and the ledger itself has lost nothing and keeps no checkpoint.
    """
    folder = tmp_path / "ledger"
    lives = []
    for life in range(LIVES):
        to = tmp_path / f"backup-{life}"
        begun = Life(
            str(folder),
            first_number=life * 100_000,
            die_at=step,
            die_after=0,
            backs_up_to=str(to),
        )
        told = await live(begun)
        assert (told.status, told.backed_up) == (KILLED, False), told.errors
        assert told.acknowledged
        lives.append(told)

        with pytest.raises(NotPossibleNow, match="no whole backup"):
            read_manifest(to)
        if step != "backup: before the manifest":  # By then it lacks nothing but the last word.
            with pytest.raises(Refused, match="not a ledger's"):
                async with open_folder(to / "files", partitions=PARTITIONS, on_fatal=unexpected):
                    pass
    await judge(folder, *lives)
    assert not (folder / CHECKPOINT).exists()


async def test_a_backup_that_was_told_of_is_whole(tmp_path: Path) -> None:
    """Killed just after the manifest: the backup can be restored, and what it holds is a ledger
    with everything that was acknowledged before it began.
    """
    folder, to = tmp_path / "ledger", tmp_path / "backup"
    told = await live(
        Life(str(folder), die_at="backup: after the manifest", die_after=0, backs_up_to=str(to))
    )
    assert told.status == KILLED, told.errors
    manifest = await restore_folder(to, tmp_path / "new", Heard())

    covered = dict(enumerate(manifest.covers["scans"]))
    assert sum(covered.values()) > 0
    told.acknowledged = {
        (partition, index): number
        for (partition, index), number in told.acknowledged.items()
        if index < covered[partition]
    }
    assert told.acknowledged
    told.progress = 0  # Entries that came after the backup began are not in it.
    await judge(tmp_path / "new", told)
    await judge(folder, told)
