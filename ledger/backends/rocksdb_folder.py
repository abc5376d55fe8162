"""The folder of the embedded engine: one process, one database, all logs and one trail store.

`FORMAT` says how it was made and is checked before anything else; `LOCK` is held while it is open;
a file `HIGHWATER…` for each log names what was acknowledged; `database` is RocksDB's.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sys
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.backends.log_rocksdb import RocksdbScanLog
from ledger.backends.numbers_rocksdb import RocksdbNumberBlocks
from ledger.backends.rocksdb_backup import FolderBackups, discard_checkpoint
from ledger.backends.rocksdb_committer import Committer
from ledger.backends.rocksdb_engine import Engine
from ledger.backends.rocksdb_format import (
    DATABASE,
    HIGH_WATERS,
    LOG_GENERATION,
    add_logs,
    load_high_water,
    make,
    read_format,
    sync_folder,
)
from ledger.backends.rocksdb_generations import FolderGenerations
from ledger.backends.rocksdb_options import block_cache
from ledger.backends.rocksdb_recovery import open_checked
from ledger.backends.store_rocksdb import RocksdbTrailStore
from ledger.errors import LedgerError, NotPossibleNow, Refused
from ledger.position import LOGS, QUARANTINE_LOG, RECEIPTS_LOG, REFUSALS_LOG, SCANS_LOG

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from rocksdict import Cache, Rdict

    from ledger.backends.rocksdb_high_water import HighWater

PARTITIONS_MAX: Final = 1_024
"""Most partitions: a high-water file is written whole after each sync, 40 bytes for each."""

SWITCH_INTERVAL_S: Final = 0.001
"""How long a busy event loop may keep Python's lock from the thread that syncs: at 20,000 scans/s
acknowledgements take 8 ms (p99: 34) instead of 29 ms (p99: 240) with Python's 5 ms.
"""

_LOCK: Final = "LOCK"


class Folder(NamedTuple):
    """An open folder."""

    path: Path
    log: RocksdbScanLog
    """The log `scans`."""
    store: RocksdbTrailStore
    receipts: RocksdbScanLog
    refusals: RocksdbScanLog
    quarantine: RocksdbScanLog
    backups: FolderBackups
    generations: FolderGenerations
    numbers: RocksdbNumberBlocks


def _nothing(_: object) -> None:
    """Neither a step nor an error is of interest."""


@asynccontextmanager
async def open_folder(
    path: Path,
    *,
    partitions: int,
    on_fatal: Callable[[LedgerError], None],
    sync: bool = True,
    on_step: Callable[[str], None] = _nothing,
    monotonic: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Folder]:
    """Open a folder, or make it; close it on leaving.

    `on_fatal` is called once, in the event loop, after a write or a sync failed: nothing more is
    acknowledged, and the process should end. `sync` and `on_step` are for tests: without `sync` a
    power cut loses acknowledged scans.

    Raises NotPossibleNow where another process holds the folder or the disk refuses; Refused where
    the folder is of another kind, version or number of partitions; Diverged where acknowledged
    records are gone or altered. Then nothing in it has been changed.

    On leaving, what is queued is still written and acknowledged; new calls raise Closed.
    """
    if not 1 <= partitions <= PARTITIONS_MAX:
        raise Refused(
            f"The embedded engine takes 1 to {PARTITIONS_MAX} partitions, not {partitions}.",
            reason="PARTITIONS_OUT_OF_RANGE",
        )
    with _locked(path), _quick_turns():
        cache = block_cache()
        database, high_waters, generations = await asyncio.to_thread(_open, path, partitions, cache)
        engine = Engine(
            database,
            high_waters,
            generations=generations,
            cache=cache,
            sync=sync,
            on_step=on_step,
            on_fatal=on_fatal,
            monotonic=monotonic,
        )
        del database
        try:
            committer = Committer(engine)
            logs = {
                name: RocksdbScanLog(
                    engine,
                    committer,
                    name=name,
                    generation=LOG_GENERATION,
                    partitions=partitions,
                )
                for name in LOGS
            }
            standing = FolderGenerations(engine, generations)
            store = RocksdbTrailStore(engine, standing)
            async with _carried(engine, committer, store):
                yield Folder(
                    path,
                    logs[SCANS_LOG],
                    store,
                    receipts=logs[RECEIPTS_LOG],
                    refusals=logs[REFUSALS_LOG],
                    quarantine=logs[QUARANTINE_LOG],
                    backups=FolderBackups(path, engine, partitions=partitions),
                    generations=standing,
                    numbers=RocksdbNumberBlocks(engine),
                )
        finally:
            await engine.close()


@asynccontextmanager
async def _carried(
    engine: Engine, committer: Committer, store: RocksdbTrailStore
) -> AsyncIterator[None]:
    """Run what logs and engine do of themselves. An error in them is told by `on_fatal`."""
    committing = asyncio.create_task(committer.run(), name="rocksdb-commit")
    syncing = asyncio.create_task(engine.sync_forever(), name="rocksdb-sync")
    try:
        yield
    finally:
        committer.stop()
        await store.stop()
        syncing.cancel()
        await asyncio.wait([committing, syncing])
        for task in (committing, syncing):
            # A LedgerError has been told already, to `on_fatal` and to everybody who waited.
            with suppress(LedgerError, asyncio.CancelledError):
                task.result()


@contextmanager
def _quick_turns() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    try:
        path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
            raise NotPossibleNow(
                f"Another `parcel-ledger up` (process {holder or 'unknown'}) is using the folder "
                f"{path}. Stop it, or use another folder.",
                reason="FOLDER_IN_USE",
                metadata={"path": str(path), "process": holder},
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        # Closing gives the lock back; the file stays, or two processes could hold two of them.
        os.close(descriptor)


def _open(
    path: Path, partitions: int, cache: Cache
) -> tuple[Rdict, Mapping[str, HighWater], Sequence[int]]:
    high_waters: dict[str, HighWater] = {}
    try:
        made = read_format(path, partitions) or make(path, partitions, beside=_LOCK)
        try:
            known = [log for log in HIGH_WATERS if log in made.logs]
            for log in known:
                high_waters[log] = load_high_water(path, log, partitions)
            database, generations = open_checked(
                path / DATABASE,
                cache,
                generation=LOG_GENERATION,
                partitions=partitions,
                high_waters=high_waters,
            )
            # Nothing is changed before all that was acknowledged is found.
            discard_checkpoint(path)
            add_logs(path, made, HIGH_WATERS)
            for log in HIGH_WATERS:
                if log not in known:
                    high_waters[log] = load_high_water(path, log, partitions)
            sync_folder(path)
        except BaseException:
            for high_water in high_waters.values():
                high_water.close()
            raise
    except OSError as error:
        raise _unusable(path, error) from error
    return database, high_waters, generations


def _unusable(path: Path, error: OSError) -> NotPossibleNow:
    return NotPossibleNow(
        f"The folder {path} cannot be used: {error.strerror}.",
        reason="FOLDER_UNUSABLE",
        metadata={"path": str(path)},
    )
