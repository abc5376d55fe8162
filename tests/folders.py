"""The embedded engine in a temporary folder: what tests use that need a log or a store."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from ledger.app.operator.service import OperatorService
from ledger.app.operator.upkeep import Kept
from ledger.app.wiring.operating import SideLogs, operator_of
from ledger.backends.rocksdb_folder import Folder, open_folder
from ledger.errors import LedgerError
from ledger.quarantine.keeper import Keeper
from ledger.vocabulary import built_in
from ledger.writer import Writer

PARTITIONS = 4
"""Enough to tell partitions apart, few enough to open quickly."""


@asynccontextmanager
async def opened(
    folder: Path,
    *,
    partitions: int = PARTITIONS,
    sync: bool = True,
    on_step: Callable[[str], None] = lambda _: None,
    on_fatal: Callable[[LedgerError], None] | None = None,
) -> AsyncIterator[Folder]:
    """Opens a folder; an error of the engine that the test does not expect fails it."""
    failures: list[LedgerError] = []
    async with open_folder(
        folder / "ledger",
        partitions=partitions,
        on_fatal=on_fatal or failures.append,
        sync=sync,
        on_step=on_step,
    ) as ledger:
        yield ledger
    assert not failures, failures


def writer_of(ledger: Folder, *, most: int = 100) -> Writer:
    """The writer of a folder, with real clocks; `most` is its share limit."""
    keeper = Keeper(ledger.log, ledger.quarantine, ledger.store, now_ns=time.time_ns, most=most)
    return Writer(ledger.log, ledger.store, keeper, monotonic=time.monotonic, now_ns=time.time_ns)


def operator_service(ledger: Folder, *, embedded: bool = True) -> OperatorService:
    """The operator's service of a folder, as `up` makes it; or as a writer elsewhere does, whose
    engines have backups of their own.
    """
    backups = ledger.backups if embedded else None
    kept = Kept(ledger.log, ledger.store, ledger.store, ledger.generations, backups)
    beside = SideLogs(ledger.receipts, ledger.refusals, ledger.quarantine)
    return operator_of(kept, beside, built_in())
