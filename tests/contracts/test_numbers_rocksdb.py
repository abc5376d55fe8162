"""The embedded engine keeps the contract of number blocks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ledger.issuing import NumberBlocks
from tests.contracts.number_blocks_contract import NumberBlocksContract
from tests.folders import opened


class TestNumbersRocksdb(NumberBlocksContract):
    @asynccontextmanager
    async def open_blocks(self, folder: Path) -> AsyncIterator[NumberBlocks]:
        """A folder of its own."""
        async with opened(folder) as ledger:
            yield ledger.numbers
