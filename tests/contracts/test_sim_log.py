"""The log of the simulation keeps the contract, also on a clock that is not virtual."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ledger.scan_log import ScanLog
from tests.contracts.scan_log_contract import ScanLogContract
from tests.simulation.real_timers import opened_log


class TestSimLog(ScanLogContract):
    @asynccontextmanager
    async def open_log(self, folder: Path) -> AsyncIterator[ScanLog]:
        """A cluster for each folder."""
        async with opened_log(folder) as log:
            yield log
