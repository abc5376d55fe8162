"""The store of the simulation keeps the contract, also on a clock that is not virtual."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ledger.trail_store import TrailStore
from tests.contracts.trail_store_contract import TrailStoreContract
from tests.simulation.real_timers import opened_store


class TestSimStore(TrailStoreContract):
    @asynccontextmanager
    async def open_store(self, folder: Path) -> AsyncIterator[TrailStore]:
        """A cluster for each folder."""
        async with opened_store(folder) as store:
            yield store
