"""The contract of the store on a generation that was rebuilt, and on one beside which another is
being built.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.contracts.all_rows_contract import AllRowsContract, WholeStore
from tests.contracts.trail_store_contract import TrailStoreContract
from tests.folders import opened


class TestRebuiltStoreRocksdb(AllRowsContract, TrailStoreContract):
    @asynccontextmanager
    async def open_store(self, folder: Path) -> AsyncIterator[WholeStore]:
        """A folder of its own, whose first generation is gone."""
        async with opened(folder) as ledger:
            if ledger.store.generation == 1:
                building = await ledger.generations.begin()
                await ledger.generations.serve(building.generation)
                await ledger.generations.drop(1)
            yield ledger.store


class TestStoreRocksdbBesideOneThatIsBuilt(AllRowsContract, TrailStoreContract):
    @asynccontextmanager
    async def open_store(self, folder: Path) -> AsyncIterator[WholeStore]:
        """A folder of its own; every row is put to both."""
        async with opened(folder) as ledger:
            await ledger.generations.begin()
            yield ledger.store
