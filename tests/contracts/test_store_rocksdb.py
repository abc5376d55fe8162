"""The embedded trail store keeps the contract."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ledger.trail_store import TrailStore
from tests.contracts.trail_store_contract import TrailStoreContract
from tests.folders import opened


class TestStoreRocksdb(TrailStoreContract):
    @asynccontextmanager
    async def open_store(self, folder: Path) -> AsyncIterator[TrailStore]:
        """A folder of its own."""
        async with opened(folder) as ledger:
            yield ledger.store
