"""The embedded logs keep the contract."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ledger.scan_log import ScanLog
from tests.contracts.scan_log_contract import ScanLogContract
from tests.folders import opened


class TestLogRocksdb(ScanLogContract):
    @asynccontextmanager
    async def open_log(self, folder: Path) -> AsyncIterator[ScanLog]:
        """A folder of its own."""
        async with opened(folder) as ledger:
            yield ledger.log


class TestAnotherLogRocksdb(ScanLogContract):
    @asynccontextmanager
    async def open_log(self, folder: Path) -> AsyncIterator[ScanLog]:
        """The one with the largest records."""
        async with opened(folder) as ledger:
            yield ledger.refusals
