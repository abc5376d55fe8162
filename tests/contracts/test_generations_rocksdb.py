"""The generations of the embedded store keep the contract."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ledger.backends.store_rocksdb import RocksdbTrailStore
from tests.contracts.generations_contract import GenerationsContract
from tests.folders import opened


class TestGenerationsRocksdb(GenerationsContract):
    @asynccontextmanager
    async def open_store(self, folder: Path) -> AsyncIterator[RocksdbTrailStore]:
        """A folder of its own."""
        async with opened(folder) as ledger:
            yield ledger.store
