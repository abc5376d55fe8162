"""The file that says what a spool is: on its id all checksums of the folder depend."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from ingest.spool_opening import open_spool
from ingest.spool_recovery import IDENTITY
from ledger.errors import Diverged, Refused

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_flipped_bit_in_the_identity_is_refused(tmp_path: Path) -> None:
    """All checksums depend on the spool's id: with another one the spool would look like one in
    which nothing was ever written.
    """
    whole = tmp_path / "whole"
    async with open_spool(whole, source_id="gate-1") as spool:
        await spool.append([b"scan"])
    for at in range((whole / IDENTITY).stat().st_size - 1):  # The last one ends the line.
        copy = tmp_path / str(at)
        shutil.copytree(whole, copy)
        data = bytearray((copy / IDENTITY).read_bytes())
        data[at] ^= 1 << (at % 8)
        (copy / IDENTITY).write_bytes(data)

        if (whole / IDENTITY).read_bytes().lower() == (copy / IDENTITY).read_bytes().lower():
            continue  # A digit is the same in capitals.
        with pytest.raises((Diverged, Refused)):
            async with open_spool(copy, source_id="gate-1"):
                pass

        assert {one.name for one in copy.iterdir()} == {one.name for one in whole.iterdir()}
