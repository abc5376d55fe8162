"""A folder of another version, another size or another kind is left alone, and says why."""

import json
from pathlib import Path

import pytest

from ledger.errors import NotPossibleNow, Refused
from tests.faults.known import append, known
from tests.faults.test_damaged_folder import crashed, refusal
from tests.faults.test_flipped_bits import Crashed
from tests.folders import PARTITIONS, opened

__all__ = ["crashed"]  # A fixture, taken by its name.


class TestFormat:
    async def test_another_version_is_refused(self, crashed: Crashed) -> None:
        """A folder of a later program is left alone."""
        file = crashed.folder / "ledger" / "FORMAT"
        file.write_text(json.dumps({**json.loads(file.read_text()), "format": 2}))

        error = await refusal(crashed.folder)

        assert isinstance(error, Refused)
        assert error.reason == "FOLDER_FORMAT_UNKNOWN"

    async def test_another_number_of_partitions_is_refused(self, crashed: Crashed) -> None:
        """A folder says how many partitions it was made with."""
        error = await refusal(crashed.folder, partitions=PARTITIONS + 1)

        assert error.reason == "FOLDER_OTHER_PARTITIONS"
        assert f"was made with {PARTITIONS} partitions" in error.message

    async def test_an_unreadable_one_is_refused(self, crashed: Crashed) -> None:
        """A damaged FORMAT is not guessed."""
        (crashed.folder / "ledger" / "FORMAT").write_text("{")

        assert (await refusal(crashed.folder)).reason == "FOLDER_FORMAT_UNREADABLE"

    async def test_a_missing_one_is_refused(self, crashed: Crashed) -> None:
        """A folder with a database and without FORMAT is not made anew."""
        (crashed.folder / "ledger" / "FORMAT").unlink()

        assert (await refusal(crashed.folder)).reason == "FOLDER_NOT_A_LEDGER"

    async def test_a_folder_of_something_else_is_refused(self, tmp_path: Path) -> None:
        """Nothing is put between other files."""
        (tmp_path / "ledger").mkdir()
        (tmp_path / "ledger" / "holiday.jpg").touch()

        assert (await refusal(tmp_path)).reason == "FOLDER_NOT_A_LEDGER"

    async def test_a_making_that_was_cut_short_is_repeated(self, tmp_path: Path) -> None:
        """What a crash during making leaves is no obstacle."""
        (tmp_path / "ledger").mkdir()
        (tmp_path / "ledger" / "HIGHWATER").write_bytes(b"PLH")
        (tmp_path / "ledger" / "FORMAT.new").write_bytes(b"{")

        async with opened(tmp_path) as ledger:
            await append(ledger.log, known(1, partitions=PARTITIONS))

    @pytest.mark.parametrize("partitions", [0, 1_025])
    async def test_a_number_out_of_range_is_refused(self, tmp_path: Path, partitions: int) -> None:
        """The embedded engine has a limit of partitions."""
        with pytest.raises(Refused):
            async with opened(tmp_path, partitions=partitions):
                pass

    async def test_a_folder_that_cannot_be_made_is_refused(self, tmp_path: Path) -> None:
        """A path below a file is told in plain words."""
        (tmp_path / "ledger").touch()

        with pytest.raises(NotPossibleNow, match="cannot be used"):
            async with opened(tmp_path):
                pass
