"""The folder of the embedded engine: one process, one database, one log and one trail store.

`FORMAT` says how it was made and is checked before anything else; `LOCK` is held while it is open;
`HIGHWATER` names what was acknowledged; `database` is RocksDB's.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import sys
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.backends.log_rocksdb import RocksdbScanLog
from ledger.backends.rocksdb_engine import Engine
from ledger.backends.rocksdb_high_water import HighWater
from ledger.backends.rocksdb_recovery import open_checked
from ledger.backends.store_rocksdb import RocksdbTrailStore
from ledger.errors import Diverged, LedgerError, NotPossibleNow, Refused
from ledger.position import SCANS_LOG

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from rocksdict import Rdict

FORMAT_VERSION: Final = 1
"""Version of everything in the folder. Another one is refused."""

PARTITIONS_MAX: Final = 1_024
"""Most partitions: the high-water file is written whole after each sync, 40 bytes for each."""

SWITCH_INTERVAL_S: Final = 0.001
"""How long a busy event loop may keep Python's lock from the thread that syncs: at 20,000 scans/s
acknowledgements take 8 ms (p99: 34) instead of 29 ms (p99: 240) with Python's 5 ms.
"""

_FORMAT: Final = "FORMAT"
_LOCK: Final = "LOCK"
_HIGH_WATER: Final = "HIGHWATER"
_DATABASE: Final = "database"
_LOG_GENERATION: Final = 1
_STORE_GENERATION: Final = 1


class Folder(NamedTuple):
    """An open folder."""

    path: Path
    log: RocksdbScanLog
    """The log `scans`."""
    store: RocksdbTrailStore


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
        database, high_water = await asyncio.to_thread(_open, path, partitions)
        engine = Engine(
            database,
            high_water,
            sync=sync,
            on_step=on_step,
            on_fatal=on_fatal,
            monotonic=monotonic,
        )
        del database
        try:
            log = RocksdbScanLog(
                engine, name=SCANS_LOG, generation=_LOG_GENERATION, partitions=partitions
            )
            store = RocksdbTrailStore(engine, generation=_STORE_GENERATION)
            async with _carried(engine, log, store):
                yield Folder(path, log, store)
        finally:
            await engine.close()


@asynccontextmanager
async def _carried(
    engine: Engine, log: RocksdbScanLog, store: RocksdbTrailStore
) -> AsyncIterator[None]:
    """Run what the log and the engine do of themselves. An error in them is told by `on_fatal`."""
    committing = asyncio.create_task(log.run(), name="rocksdb-commit")
    syncing = asyncio.create_task(engine.sync_forever(), name="rocksdb-sync")
    try:
        yield
    finally:
        log.stop()
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


def _open(path: Path, partitions: int) -> tuple[Rdict, HighWater]:
    try:
        if (path / _FORMAT).exists():
            _check_format(path, partitions)
        else:
            _make(path, partitions)
        high_water = HighWater.load(path / _HIGH_WATER, partitions)
        try:
            database = open_checked(
                path / _DATABASE,
                log=SCANS_LOG,
                generation=_LOG_GENERATION,
                partitions=partitions,
                high_water=high_water,
            )
            _sync_folder(path)
        except BaseException:
            high_water.close()
            raise
    except OSError as error:
        raise _unusable(path, error) from error
    return database, high_water


def _check_format(path: Path, partitions: int) -> None:
    text = (path / _FORMAT).read_text(encoding="utf-8")
    try:
        made = json.loads(text)
        version, made_with = int(made["format"]), int(made["partitions"])
    except (ValueError, KeyError, TypeError) as error:
        raise Diverged(
            f"The file {path / _FORMAT} cannot be read. Restore it from a backup.",
            reason="FOLDER_FORMAT_UNREADABLE",
            metadata={"path": str(path)},
        ) from error
    if version != FORMAT_VERSION:
        raise Refused(
            f"The folder {path} has format {version}; this program reads format {FORMAT_VERSION}. "
            f"Use the program that made it.",
            reason="FOLDER_FORMAT_UNKNOWN",
            metadata={"path": str(path), "format": str(version)},
        )
    if made_with != partitions:
        raise Refused(
            f"The folder {path} was made with {made_with} partitions, not {partitions}. Set "
            f"partitions to {made_with}, or use another folder.",
            reason="FOLDER_OTHER_PARTITIONS",
            metadata={"path": str(path), "partitions": str(made_with)},
        )


def _make(path: Path, partitions: int) -> None:
    """Make the files beside the database, `FORMAT` last: with it the folder is a ledger's."""
    strangers = {entry.name for entry in path.iterdir()} - {_LOCK, _HIGH_WATER, _FORMAT + ".new"}
    if strangers:
        raise Refused(
            f"The folder {path} is not empty and has no file {_FORMAT}, so it is not a ledger's. "
            f"Use another folder.",
            reason="FOLDER_NOT_A_LEDGER",
            metadata={"path": str(path)},
        )
    HighWater.create(path / _HIGH_WATER, partitions)
    made = {
        "format": FORMAT_VERSION,
        "partitions": partitions,
        "log_generation": _LOG_GENERATION,
        "store_generation": _STORE_GENERATION,
    }
    new = path / (_FORMAT + ".new")
    with new.open("w", encoding="utf-8") as file:
        json.dump(made, file)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path / _FORMAT)
    _sync_folder(path)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unusable(path: Path, error: OSError) -> NotPossibleNow:
    return NotPossibleNow(
        f"The folder {path} cannot be used: {error.strerror}.",
        reason="FOLDER_UNUSABLE",
        metadata={"path": str(path)},
    )
