"""What tests of rebuilding share: a rebuilding of a folder, and what its generations hold."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from ledger.app.operator.upkeep import refused_of
from ledger.backends.rocksdb_building import FolderBuilding
from ledger.bringing import Bringing
from ledger.quarantine.desk import Desk
from ledger.rebuilding import Rebuilding
from tests.upkeep import Heard, rows_in, settle
from tests.writing import caught_up, running

if TYPE_CHECKING:
    from ledger.backends.rocksdb_folder import Folder
    from ledger.rebuilding import Rebuilt
    from ledger.trail_store import KeptRow


class Cancelling(Heard):
    """Who is told, and cancels the work when so much is done."""

    def __init__(self, place: int) -> None:
        super().__init__()
        self._place = place

    def done(self, count: int, message: str = "") -> None:
        """Hear how much is done."""
        super().done(count, message)
        task = asyncio.current_task()
        if count >= self._place and task:
            task.cancel()


def rebuilding_of(ledger: Folder) -> Rebuilding:
    """Rebuild the store of a folder, as the operator's service does."""
    desk = Desk(ledger.log, ledger.quarantine, ledger.store, now_ns=lambda: 1)
    return Rebuilding(
        ledger.log,
        ledger.store,
        ledger.generations,
        refused=refused_of(desk),
        monotonic=time.monotonic,
    )


async def rebuilt(ledger: Folder, told: Heard | None = None) -> Rebuilt:
    """Rebuild the store of a folder to which nobody writes."""
    await carried(ledger)
    return await rebuilding_of(ledger).rebuild(told or Heard())


async def carried(ledger: Folder) -> None:
    """Let a writer keep and settle all that is in the log."""
    async with running(ledger.log, ledger.quarantine, ledger.store):
        await caught_up(ledger)
    await settle(ledger)


async def rows_of_generation(ledger: Folder, generation: int) -> list[KeptRow]:
    """All rows of one generation, sorted."""
    whole = FolderBuilding(ledger.store._engine, generation).all_rows()
    return sorted([row async for page in whole for row in page])


async def rows_served(ledger: Folder) -> list[KeptRow]:
    """All rows of the one that serves, sorted."""
    return sorted(await rows_in(ledger))


async def brought(ledger: Folder) -> int:
    """Bring everything to a new generation, and leave it before it serves; give its number."""
    building = await ledger.generations.begin()
    bringing = Bringing(ledger.log, ledger.store, building, monotonic=time.monotonic)
    await bringing.bring(await bringing.spans(), (), Heard())
    return building.generation
