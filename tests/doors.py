"""The door that tests of the query side ask at, as a fixture of all tests.

A test that has a `clock`, or whose file uses that fixture, asks at a door with this clock, which
shows at once all that it has: as stories of items need it. All others have the usual door.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.asking import Asked
    from tests.item_doors import Clock


@pytest.fixture
def clock() -> Clock:
    """The clock of the door."""
    from tests.item_doors import Clock  # noqa: PLC0415 - most tests need no door.

    return Clock()


@pytest.fixture
async def door(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Asked]:
    """A door to an empty ledger."""
    from tests.asking import asked  # noqa: PLC0415
    from tests.item_doors import item_door  # noqa: PLC0415

    if "clock" in request.fixturenames:
        opening = item_door(tmp_path, request.getfixturevalue("clock"), monkeypatch)
    else:
        opening = asked(tmp_path / "ledger")
    async with opening as opened:
        yield opened
