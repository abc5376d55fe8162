"""A long test in turns: `make test` does a few, `make soak` all of them, in parts that go on where
the last one ended.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.scale import is_soak

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER_VARIABLE: Final = "LEDGER_TESTS_SOAK_FOLDER"
"""Names the folder in which it stands how many turns are done; `.soak` without it."""

SECONDS: Final = 3_000.0
"""After so long a part ends: with its last turn, and all around it, within an hour."""


def turns(name: str, count: int) -> Iterator[int]:
    """Yield the numbers of the turns from 0, in a soak those that are not done yet.

    A turn is done when the next one is asked for. A part whose time is over fails: not all is done.
    """
    if not is_soak():
        yield from range(count)
        return
    file = note_of(name, ".txt")
    until_s = time.monotonic() + SECONDS
    for turn in range(int(file.read_text()) if file.exists() else 0, count):
        if time.monotonic() > until_s:
            pytest.fail(f"{name}: {turn} of {count} turns are done without a fault; go on the same")
        yield turn
        file.write_text(str(turn + 1))


def note_of(name: str, suffix: str) -> Path:
    """Name the file in which it stands how far a soak is."""
    folder = Path(os.environ.get(FOLDER_VARIABLE, ".soak"))
    folder.mkdir(exist_ok=True)
    return folder / f"{name}{suffix}"
