"""Which log a suite looks at: a backend says how its own is opened."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from ledger.scan_log import ScanLog


class LogUnderTest(ABC):
    """A subclass says how its log is opened; opening twice with one folder opens the same log."""

    @abstractmethod
    def open_log(self, folder: Path) -> AbstractAsyncContextManager[ScanLog]:
        """Open the log; `folder` is an empty one, or was used for it before."""

    @pytest.fixture
    async def log(self, tmp_path: Path) -> AsyncIterator[ScanLog]:
        """The log under test."""
        async with self.open_log(tmp_path) as log:
            yield log
