"""The embedded trail store keeps the contract."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.contracts.all_rows_contract import AllRowsContract, WholeStore
from tests.contracts.trail_store_contract import TrailStoreContract
from tests.folders import opened


class TestStoreRocksdb(AllRowsContract, TrailStoreContract):
    @asynccontextmanager
    async def open_store(self, folder: Path) -> AsyncIterator[WholeStore]:
        """A folder of its own."""
        async with opened(folder) as ledger:
            yield ledger.store
