"""A folder is cut, torn, full, of another kind, or in use: a clear answer, and no more lost."""

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from ledger.errors import Diverged, LedgerError, NotPossibleNow
from tests.faults.child import FAILED, Life
from tests.faults.known import append, contents, keep_rows, known, unmarked_rows
from tests.faults.lives import KILLED, Told, judge, live
from tests.faults.test_flipped_bits import Crashed, crash, listing
from tests.folders import PARTITIONS, opened
from tests.scale import scaled

FLIPS = scaled(8, soak=400)
REFUSALS = {
    "DATABASE_DAMAGED",
    "LOG_DIFFERS_FROM_ACKNOWLEDGED",
    "LOG_SHORTER_THAN_ACKNOWLEDGED",
}
"""Bits that are flipped in each file."""


async def refusal(folder: Path, *, partitions: int = PARTITIONS) -> LedgerError:
    """Open a folder that must be refused; nothing in it may change."""
    before = listing(folder)
    with pytest.raises(LedgerError) as refused:
        async with opened(folder, partitions=partitions):
            pass
    assert listing(folder) == before
    return refused.value


async def opens_whole(
    folder: Path, acknowledged: Mapping[tuple[int, int], bytes]
) -> Diverged | None:
    """Open a folder and read everything in it, or give the error that says why not."""
    try:
        async with opened(folder) as ledger:
            assert await contents(ledger.log) == acknowledged
            assert not await unmarked_rows(ledger)
    except Diverged as error:
        # Its traceback would keep iterators, and with them the database, open.
        return Diverged(error.message, reason=error.reason, metadata=error.metadata)
    return None


@pytest.fixture
async def crashed(tmp_path: Path) -> Crashed:
    """A folder as a crash leaves it."""
    return await crash(tmp_path)


class TestCutWriteAheadLog:
    @pytest.mark.slow
    async def test_a_cut_is_refused_or_harmless(self, crashed: Crashed, tmp_path: Path) -> None:
        """Cut below what was acknowledged: refused, and the lost indexes are named. Cut above:
        opened, with every mark's rows.
        """
        wal = crashed.wal.read_bytes()
        outcomes = set()
        for length in [*range(0, len(wal) - 500, 97), *range(len(wal) - 500, len(wal), 13)]:
            copy = tmp_path / "copy"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(crashed.folder, copy)
            os.truncate(crashed._replace(folder=copy).wal, length)
            error = await opens_whole(copy, crashed.acknowledged)
            outcomes.add(error is None)
            if error is None:
                continue
            assert error.reason == "LOG_SHORTER_THAN_ACKNOWLEDGED"
            partition = int(error.metadata["partition"])
            end = int(error.metadata["next_index"])
            acknowledged = int(error.metadata["acknowledged_next_index"])
            ours = [index for p, index in crashed.acknowledged if p == partition]
            assert end < acknowledged == max(ours) + 1
            assert f"partition {partition}, indexes {end} to {acknowledged - 1}" in str(error)

        assert outcomes == {True, False}

    @pytest.mark.parametrize(
        "torn",
        [b"\0" * 5_000, os.urandom(3), b"\x01\x02\x03\x04\x40\x01\x01 half a record"],
        ids=["zeros", "three bytes", "half a record"],
    )
    async def test_a_torn_tail_is_harmless(self, crashed: Crashed, torn: bytes) -> None:
        """What a crash left of a write that nobody was told of does not stand in the way."""
        crashed.wal.write_bytes(crashed.wal.read_bytes() + torn)

        async with opened(crashed.folder) as ledger:
            assert await contents(ledger.log) == crashed.acknowledged
            one = known(99, partitions=PARTITIONS)
            place = await append(ledger.log, one)
        async with opened(crashed.folder) as ledger:
            assert await contents(ledger.log) == {**crashed.acknowledged, place: one.value}

    async def test_a_missing_one_is_refused(self, crashed: Crashed) -> None:
        """Without its write-ahead log a folder is refused."""
        crashed.wal.unlink()

        assert (await refusal(crashed.folder)).reason == "LOG_SHORTER_THAN_ACKNOWLEDGED"


class TestSeveralWriteAheadLogs:
    @pytest.mark.slow
    async def test_a_hole_in_the_middle_is_refused_or_harmless(self, tmp_path: Path) -> None:
        """When an older one is shorter than it was, or gone, what lies in the younger one does not
        hide it: the folder is refused, or nothing that was acknowledged lay there.
        """
        folder, told = await crash_with_two(tmp_path)
        reasons = {}
        for harm in (-1, 0, 1, 700, 10_000, 1 << 20):
            copy = tmp_path / f"copy {harm}"
            shutil.copytree(folder, copy / "ledger")
            older, _ = write_ahead_logs(copy / "ledger")
            if harm < 0:
                older.unlink()
            else:
                os.truncate(older, older.stat().st_size - harm)
            reason = await why_refused(copy)
            if reason is None:
                await judge(copy / "ledger", told)
            else:
                reasons[harm] = reason

        assert -1 in reasons
        assert 0 not in reasons
        assert set(reasons.values()) <= REFUSALS


async def why_refused(folder: Path) -> str | None:
    """Open a folder, and give the reason where it is refused; then nothing in it may change."""
    before = listing(folder)
    try:
        async with opened(folder):
            return None
    except LedgerError as error:
        assert listing(folder) == before
        return error.reason


def write_ahead_logs(folder: Path) -> list[Path]:
    """The write-ahead logs of a folder, the oldest first."""
    return sorted((folder / "database").glob("*.log"))


async def crash_with_two(tmp_path: Path) -> tuple[Path, Told]:
    """Kill a ledger while it flushes: both write-ahead logs are needed, and have records."""

    def flushing(folder: Path, _: Told) -> bool:
        with suppress(FileNotFoundError):
            logs = write_ahead_logs(folder)
            return len(logs) == 2 and logs[1].stat().st_size > 30_000
        return False

    for attempt in range(20):
        folder = tmp_path / f"attempt {attempt}" / "ledger"
        told = await live(
            Life(str(folder), write_buffer_bytes=8 << 20), kill_when=partial(flushing, folder)
        )
        if flushing(folder, told):
            return folder, told
    raise AssertionError("no crash during a flush")


class TestOtherFiles:
    async def test_a_folder_without_its_database_is_refused(self, crashed: Crashed) -> None:
        """A database that is gone is not made anew."""
        shutil.rmtree(crashed.folder / "ledger" / "database")

        assert (await refusal(crashed.folder)).reason == "DATABASE_MISSING"

    async def test_an_altered_record_is_refused(self, crashed: Crashed, tmp_path: Path) -> None:
        """A log of another history, as long as ours, is noticed by the hash of its last record."""
        async with opened(tmp_path / "other") as ledger:
            for number in range(100, 110):
                await append(ledger.log, known(number - 100, partitions=PARTITIONS, padding=number))
        ours = crashed.folder / "ledger" / "database"
        shutil.rmtree(ours)
        shutil.copytree(tmp_path / "other" / "ledger" / "database", ours)

        assert (await refusal(crashed.folder)).reason == "LOG_DIFFERS_FROM_ACKNOWLEDGED"

    @pytest.mark.slow
    async def test_a_damaged_file_is_refused_or_named_on_reading(self, tmp_path: Path) -> None:
        """A flipped bit in a file of rows or of log blocks is never read as something else."""
        records = {}
        async with opened(tmp_path) as ledger:
            for number in range(50):
                one = known(number, partitions=PARTITIONS, padding=900)
                records[await append(ledger.log, one)] = one.value
            await keep_rows(ledger, [(p, i, value) for (p, i), value in records.items()])
        refusals = set()
        database = tmp_path / "ledger" / "database"
        for file in [*database.glob("*.sst"), *database.glob("*.blob")]:
            whole = file.read_bytes()
            for at in range(5, len(whole), len(whole) // FLIPS):
                flipped = bytearray(whole)
                flipped[at] ^= 4
                file.write_bytes(flipped)
                error = await opens_whole(tmp_path, records)
                refusals.add(error.reason if error else "")
            file.write_bytes(whole)

        assert await opens_whole(tmp_path, records) is None
        assert refusals - {""}

    @pytest.mark.parametrize("torn", [(0,), (1,), (2,), (0, 1), (0, 1, 2)], ids=str)
    async def test_a_torn_high_water_file_only_says_less(
        self, crashed: Crashed, torn: tuple[int, ...]
    ) -> None:
        """Slots may be torn; without any whole one nothing can be shown, so it is refused."""
        file = crashed.folder / "ledger" / "HIGHWATER"
        image = bytearray(file.read_bytes())
        size = len(image) // 3
        for slot in torn:
            image[slot * size + 64 : slot * size + 512] = os.urandom(448)
        file.write_bytes(image)

        if len(torn) == 3:
            assert (await refusal(crashed.folder)).reason == "HIGH_WATER_UNREADABLE"
            return
        async with opened(crashed.folder) as ledger:
            assert await contents(ledger.log) == crashed.acknowledged

    async def test_a_missing_high_water_file_is_refused(self, crashed: Crashed) -> None:
        """Without the file nothing can be shown."""
        (crashed.folder / "ledger" / "HIGHWATER").unlink()

        assert (await refusal(crashed.folder)).reason == "HIGH_WATER_UNREADABLE"


@pytest.mark.slow
class TestProcesses:
    async def test_a_second_process_is_told_who_holds_the_folder(self, tmp_path: Path) -> None:
        """While one process holds a folder another gets a clear message; a kill gives it free."""
        folder = tmp_path / "ledger"
        refused: list[LedgerError] = []

        async def knock(holder: int) -> None:
            with pytest.raises(NotPossibleNow) as error:
                async with opened(tmp_path):
                    pass
            refused.append(error.value)
            assert error.value.metadata["process"] == str(holder)

        told = await live(Life(str(folder)), while_running=knock, kill_when=lambda _: bool(refused))

        assert refused[0].reason == "FOLDER_IN_USE"
        assert "Stop it, or use another folder" in refused[0].message
        await judge(folder, told)

    async def test_a_full_disk_ends_the_process_and_nothing_else(self, tmp_path: Path) -> None:
        """When a write finds no room, nothing more is acknowledged, the process says why and
        ends; with room again it goes on, with everything that was acknowledged.
        """
        folder = tmp_path / "ledger"
        lives: list[Told] = []
        for life, full_at in enumerate((20_000, 50_001, 90_002)):
            told = await live(
                Life(str(folder), first_number=life * 100_000, file_bytes_max=full_at)
            )

            assert told.status == FAILED, told.errors
            assert told.failure == "ENGINE_FAILED"
            lives.append(told)
        await judge(folder, *lives)

        alive = await live(
            Life(str(folder), first_number=900_000),
            kill_when=lambda told: len(told.acknowledged) > 500,
        )
        assert alive.status == KILLED
        await judge(folder, *lives, alive)
