"""Backup and restore of the embedded engine: everything acknowledged before is there, once."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ledger.backends.rocksdb_backup import CHECKPOINT
from ledger.backends.rocksdb_manifest import (
    BackedUpFile,
    Manifest,
    read_manifest,
    write_manifest,
)
from ledger.backends.rocksdb_restore import restore_folder
from ledger.errors import Diverged, LedgerError, NotPossibleNow, Refused
from ledger.marks import TRAIL_READER
from ledger.v1.backup_pb2 import Backup
from tests.faults.known import append, contents, known
from tests.folders import PARTITIONS, opened
from tests.quarantined import garbage, items_of, put
from tests.upkeep import Heard, compared, settle
from tests.writing import caught_up, fill, ledger, rows_of_the_log, running

if TYPE_CHECKING:
    from ledger.backends.rocksdb_folder import Folder

__all__ = ["ledger"]  # A fixture, taken by its name.


@pytest.fixture
async def backup(ledger: Folder, tmp_path: Path) -> Path:
    """A backup of a small ledger."""
    await fill(ledger, range(40))
    await put(ledger.log, garbage(1))
    async with running(ledger.log, ledger.quarantine, ledger.store):
        await caught_up(ledger)
    await settle(ledger)
    await ledger.backups.back_up(tmp_path / "backup", Heard())
    return tmp_path / "backup"


def files_of(backup: Path) -> list[Path]:
    """All files of a backup that a restore needs."""
    return [backup / "files" / file.path for file in read_manifest(backup).files]


async def refusal(backup: Path, path: Path) -> LedgerError:
    """Why a backup cannot be restored."""
    with pytest.raises(LedgerError) as refused:
        await restore_folder(backup, path, Heard())
    return refused.value


class TestWhole:
    async def test_everything_acknowledged_before_it_is_there_once(
        self, ledger: Folder, tmp_path: Path
    ) -> None:
        """Backed up while scans come and rows are written: the restored folder opens, has each
        record that was acknowledged before the backup began where it was, and its trails are
        what its log says.
        """
        numbers, acknowledged = itertools.count(), {}

        async def go_on() -> None:
            while True:
                one = known(next(numbers), partitions=PARTITIONS)
                acknowledged[await append(ledger.log, one)] = one.value

        async with running(ledger.log, ledger.quarantine, ledger.store):
            load = [asyncio.create_task(go_on()) for _ in range(8)]
            await asyncio.sleep(0.5)
            before = dict(acknowledged)
            said = await ledger.backups.back_up(tmp_path / "backup", told := Heard())
            after = dict(acknowledged)
            for task in load:
                task.cancel()
            await asyncio.wait(load)
        await restore_folder(tmp_path / "backup", tmp_path / "new" / "ledger", Heard())

        async with opened(tmp_path / "new") as restored:
            found = await contents(restored.log)
            async with running(restored.log, restored.quarantine, restored.store):
                await caught_up(restored)
            await settle(restored)
            comparison = await compared(restored)
            rows = await rows_of_the_log(restored)
        assert len(after) > len(before) > 100
        assert before.items() <= found.items()
        assert sum(one.next_index for one in said.partitions) >= len(before)
        assert comparison.is_same
        assert comparison.rows == len(rows)
        assert told.counts[-1] == told.totals[0]

    async def test_all_logs_and_marks_are_in_it(
        self, ledger: Folder, backup: Path, tmp_path: Path
    ) -> None:
        """Quarantine, marks and trails are as they were, without a writer's help."""
        await restore_folder(backup, tmp_path / "new" / "ledger", Heard())

        async with opened(tmp_path / "new") as restored:
            assert await items_of(restored) == await items_of(ledger)
            marks = await restored.store.marks(TRAIL_READER)
            assert set(marks) == set(await ledger.store.marks(TRAIL_READER))
            assert marks
            assert (await compared(restored)).is_same

    async def test_the_ledger_goes_on_and_nothing_is_left_in_it(
        self, ledger: Folder, backup: Path
    ) -> None:
        """After a backup records come as before, and there is no checkpoint beside the database."""
        await fill(ledger, range(40, 50))

        assert files_of(backup)
        assert not (ledger.path / CHECKPOINT).exists()
        assert len(await contents(ledger.log)) == 51

    async def test_a_second_backup_is_one_of_its_own(
        self, ledger: Folder, backup: Path, tmp_path: Path
    ) -> None:
        """It shares no file with the first or with the ledger."""
        await ledger.backups.back_up(tmp_path / "second", Heard())

        assert all(file.stat().st_nlink == 1 for file in files_of(tmp_path / "second"))
        assert all(file.stat().st_nlink == 1 for file in files_of(backup))

    async def test_an_empty_ledger_can_be_backed_up(self, ledger: Folder, tmp_path: Path) -> None:
        """And restored."""
        (tmp_path / "backup").mkdir()
        said = await ledger.backups.back_up(tmp_path / "backup", Heard())
        await restore_folder(tmp_path / "backup", tmp_path / "new" / "ledger", Heard())

        assert [one.next_index for one in said.partitions] == [0] * PARTITIONS
        async with opened(tmp_path / "new") as restored:
            assert await contents(restored.log) == {}

    async def test_a_ledger_removes_what_a_killed_backup_left(self, tmp_path: Path) -> None:
        """A checkpoint that is found at the start would keep files alive for ever."""
        async with opened(tmp_path) as folder:
            (folder.path / CHECKPOINT).mkdir()
            (folder.path / CHECKPOINT / "000001.sst").write_bytes(b"old")
        async with opened(tmp_path) as folder:
            assert not (folder.path / CHECKPOINT).exists()


class TestBroken:
    async def test_a_flipped_byte_is_found_and_named(self, backup: Path, tmp_path: Path) -> None:
        """In each file of a backup, one after the other; nothing is left of a restore."""
        for file in files_of(backup):
            good = file.read_bytes()
            if not good:
                continue
            middle = len(good) // 2
            file.write_bytes(good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :])

            error = await refusal(backup, tmp_path / "new")

            assert isinstance(error, Diverged)
            assert str(file.relative_to(backup)) in error.message
            assert not (tmp_path / "new").exists()
            file.write_bytes(good)
        await restore_folder(backup, tmp_path / "new", Heard())

    async def test_all_damaged_files_are_named_at_once(self, backup: Path, tmp_path: Path) -> None:
        """One is missing, one was cut; the person need not try again and again."""
        *_, first, _, last = (file for file in files_of(backup) if file.stat().st_size)
        first.write_bytes(first.read_bytes()[:-1])
        last.unlink()

        error = await refusal(backup, tmp_path / "new")

        assert f"files/{last.name} is missing" in error.message
        assert f"{first.name} has " in error.message

    async def test_a_damaged_manifest_is_refused(self, backup: Path, tmp_path: Path) -> None:
        """A flipped bit anywhere in it, and a manifest that is no manifest."""
        manifest = backup / "BACKUP"
        good = manifest.read_bytes()
        document = json.loads(good)
        document["backup"]["covers"]["scans"][0] += 1
        for bad in (json.dumps(document).encode(), b"{}", b"[]", good[:-20], b"\xff"):
            manifest.write_bytes(bad)

            assert isinstance(await refusal(backup, tmp_path / "new"), Diverged)

    async def test_a_backup_of_another_version_is_refused(
        self, backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The program that made it can read it."""
        monkeypatch.setattr("ledger.backends.rocksdb_manifest.MANIFEST_VERSION", 2)

        error = await refusal(backup, tmp_path / "new")

        assert isinstance(error, Refused)
        assert error.reason == "BACKUP_VERSION_UNKNOWN"

    async def test_a_folder_without_a_manifest_is_no_backup(
        self, backup: Path, tmp_path: Path
    ) -> None:
        """Also where all its files are there."""
        (backup / "BACKUP").unlink()

        assert (await refusal(backup, tmp_path / "new")).reason == "NO_WHOLE_BACKUP"
        assert (await refusal(tmp_path / "nothing", tmp_path / "new")).reason == "NO_WHOLE_BACKUP"

    async def test_what_is_acknowledged_and_not_in_it_is_found(
        self, backup: Path, tmp_path: Path
    ) -> None:
        """A backup whose database is older than its high-water file passes its own sums and is
        refused by the engine's checks; nothing is left of it.
        """
        await make_database_empty(backup)

        error = await refusal(backup, tmp_path / "new")

        assert isinstance(error, Diverged)
        assert error.reason == "LOG_SHORTER_THAN_ACKNOWLEDGED"
        assert not (tmp_path / "new").exists()


async def make_database_empty(backup: Path) -> None:
    """Put the database of an empty ledger into a backup, and make its sums right."""

    async with opened(backup.parent / "empty"):
        pass
    manifest = read_manifest(backup)
    shutil.rmtree(backup / "files" / "database")
    shutil.copytree(backup.parent / "empty" / "ledger" / "database", backup / "files" / "database")
    files = [
        BackedUpFile(
            str(path.relative_to(backup / "files")),
            path.stat().st_size,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in sorted((backup / "files" / "database").iterdir())
        if path.is_file()
    ]
    files += [file for file in manifest.files if not file.path.startswith("database/")]
    write_manifest(backup, Manifest(manifest.partitions, manifest.covers, files))


class TestRefused:
    async def test_nothing_is_written_over(
        self, ledger: Folder, backup: Path, tmp_path: Path
    ) -> None:
        """Neither by a backup nor by a restore, and what was there stays."""
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "letter").write_text("Dear")
        (tmp_path / "file").write_text("Dear")
        for path in (tmp_path / "mine", tmp_path / "file", backup):
            with pytest.raises(NotPossibleNow):
                await ledger.backups.back_up(path, Heard())
            assert isinstance(await refusal(backup, path), NotPossibleNow)

        assert (tmp_path / "mine" / "letter").read_text() == "Dear"
        assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter"]
        await restore_folder(backup, tmp_path / "new", Heard())

    async def test_a_place_that_is_not_fit(self, ledger: Folder, tmp_path: Path) -> None:
        """Inside of the ledger, by a relative path, or where no folder can be made."""
        (tmp_path / "file").write_text("Dear")
        for path in (ledger.path / "b", ledger.path, Path("backup"), tmp_path / "file" / "b"):
            with pytest.raises(NotPossibleNow):
                await ledger.backups.back_up(path, Heard())
        assert not (ledger.path / "b").exists()

    async def test_a_cancelled_backup_leaves_nothing(self, ledger: Folder, tmp_path: Path) -> None:
        """Cancelled at each of its steps: no folder, no checkpoint, and the next one is whole."""
        await fill(ledger, range(40))
        (tmp_path / "there").mkdir()
        for turns in range(0, 60, 3):
            task = asyncio.create_task(ledger.backups.back_up(tmp_path / "backup", Heard()))
            for _ in range(turns):
                await asyncio.sleep(0.001)
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                assert isinstance(task.result(), Backup)
                assert turns
                shutil.rmtree(tmp_path / "backup")
            assert not (tmp_path / "backup").exists()
            assert not (ledger.path / CHECKPOINT).exists()
        await ledger.backups.back_up(tmp_path / "there", Heard())
        await restore_folder(tmp_path / "there", tmp_path / "new", Heard())
