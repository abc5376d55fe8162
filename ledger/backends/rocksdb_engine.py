"""The open database: every write, every sync, and the end after an error.

rocksdict holds Python's lock while it writes, so writes run in the event loop, in small bites;
syncing lets go of it and has a thread of its own. One sync serves everybody who wrote before it.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Final

from rocksdict import Checkpoint, WriteBatch, WriteOptions

from ledger.backends.rocksdb_options import LOG, META, family_options, trail_family
from ledger.errors import Busy, Closed, Diverged, NotPossibleNow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from rocksdict import Cache, ColumnFamily, Rdict

    from ledger.backends.rocksdb_high_water import HighWater

logger = logging.getLogger(__name__)

SYNC_PERIOD_S: Final = 1.0
"""What was written is synced within this time, also when nobody waits for it."""

STALL_WAIT_S: Final = 0.005
"""How long a write waits before it asks again, when flush and compaction are behind."""

STALL_MOST_S: Final = 10.0
"""How long a write waits in all before it says Busy."""

STALLED_RETRY_AFTER_S: Final = 1.0
"""What a caller is told to wait then: compaction of a first level takes some seconds."""


class Engine:
    """One database and its high-water files. Belongs to one event loop."""

    def __init__(
        self,
        database: Rdict,
        high_waters: Mapping[str, HighWater],
        *,
        generations: Iterable[int],
        cache: Cache,
        sync: bool,
        on_step: Callable[[str], None],
        on_fatal: Callable[[Diverged], None],
        monotonic: Callable[[], float],
    ) -> None:
        """`high_waters` has one for each log; `generations` are those of the store that are in the
        database, and `cache` is the one that it was opened with. `on_step` is called with the name
        of each durable step: tests end the process there.
        """
        self.high_waters = high_waters
        self.on_step = on_step
        self.monotonic = monotonic
        self.failure: Diverged | None = None
        self._database = database
        self._cache = cache
        names = [LOG, META, *map(trail_family, generations)]
        self._families = {name: database.get_column_family(name) for name in names}
        self._handles = {name: database.get_column_family_handle(name) for name in names}
        self._sync_for_real = sync
        self._on_fatal = on_fatal
        self._closed = False
        # A stall would stop the whole process, since Python's lock is held: rather ask again.
        self._write_options = WriteOptions()
        self._write_options.no_slowdown = True
        self._written = 0
        self._synced = 0
        self._syncing = asyncio.Lock()
        self._syncer = ThreadPoolExecutor(1, thread_name_prefix="rocksdb-sync")

    def family(self, name: str) -> Rdict:
        """Give a column family to read from."""
        self.check()
        return self._families[name]

    def handle(self, name: str) -> ColumnFamily:
        """Give a column family to write to."""
        return self._handles[name]

    def add_family(self, name: str) -> None:
        """Make a column family. When it returns it is on disk."""
        self.check()
        try:
            made = self._database.create_column_family(name, family_options(self._cache))
            self._handles[name] = self._database.get_column_family_handle(name)
        except Exception as error:  # rocksdict has no errors of its own.
            raise self.fail("write", error) from error
        self._families[name] = made

    def drop_family(self, name: str) -> None:
        """Remove a column family for good, with all that is in it. Who reads it at this moment may
        read on.
        """
        self.check()
        del self._handles[name]
        self._families.pop(name).close()
        try:
            self._database.drop_column_family(name)
        except Exception as error:  # rocksdict has no errors of its own.
            raise self.fail("write", error) from error

    def check(self) -> None:
        """Raise what every call raises after the end: Closed, or the error that ended all."""
        if self.failure is not None:
            raise Diverged(
                self.failure.message, reason=self.failure.reason, metadata=self.failure.metadata
            )
        if self._closed:
            raise Closed("The folder has been closed.", reason="CLOSED")

    async def write(self, fill: Callable[[WriteBatch], None], step: str) -> None:
        """Write a batch, all or nothing; reads show it then. It is not synced yet.

        `fill` may be called more than once. Raises Busy (nothing was written) where flush and
        compaction stay behind, Diverged after an error.
        """
        self.on_step(f"{step}: before the write")
        waited_s = 0.0
        while not self._try_write(fill):
            if waited_s >= STALL_MOST_S:
                raise Busy(
                    "The disk does not keep up: flush and compaction are behind.",
                    reason="ENGINE_STALLED",
                    retry_after_s=STALLED_RETRY_AFTER_S,
                )
            await asyncio.sleep(STALL_WAIT_S)
            waited_s += STALL_WAIT_S
        self._written += 1
        self.on_step(f"{step}: after the write")

    async def sync(self) -> None:
        """Return when everything that was written before the call is on disk."""
        wanted = self._written
        async with self._syncing:
            if self._synced >= wanted:
                return
            self.check()
            covered = self._written
            loop = asyncio.get_running_loop()
            try:
                await loop.run_in_executor(
                    self._syncer, self._database.flush_wal, self._sync_for_real
                )
            except Exception as error:
                raise self.fail("sync", error) from error
            self._synced = covered

    async def sync_forever(self) -> None:
        """Sync in the background what nobody waits for. Ends by cancellation or with an error."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SYNC_PERIOD_S / 2)
            await self.sync()
            try:
                for high_water in self.high_waters.values():
                    await loop.run_in_executor(self._syncer, high_water.sync)
            except OSError as error:
                raise self.fail("sync", error) from error

    def make_checkpoint(self, path: Path) -> None:
        """Make a copy of the database as it is now, whose large files are the database's own under
        second names. It may be called in another thread.

        What is in memory is flushed for it, and rocksdict holds Python's lock meanwhile: the whole
        process stands still, for some 0.1 s.
        """
        self.check()
        try:
            Checkpoint(self._database).create_checkpoint(str(path))
        except Exception as error:  # rocksdict has no errors of its own.
            raise NotPossibleNow(
                f"RocksDB cannot make a checkpoint: {error}. Nothing of the ledger was changed.",
                reason="NO_CHECKPOINT",
            ) from error

    def write_high_water(self, high_water: HighWater) -> None:
        """Put down what has been acknowledged, before it is."""
        try:
            high_water.write()
        except OSError as error:
            raise self.fail("write", error) from error

    def fail(self, what: str, error: Exception) -> Diverged:
        """End everything: nothing more is written or acknowledged. Returns what to raise."""
        if self.failure is None:
            self.failure = Diverged(
                f"The embedded engine stops, because a {what} failed: {error}. Nothing more is "
                f"acknowledged; what was acknowledged before is intact. See to the disk, then "
                f"start again.",
                reason="ENGINE_FAILED",
            )
            logger.critical("the embedded engine stops", extra={"error": str(error)})
            asyncio.get_running_loop().call_soon(self._on_fatal, self.failure)
        return self.failure

    async def close(self) -> None:
        """Sync and close. After an error nothing is synced any more."""
        if self._closed:
            return
        try:
            if self.failure is None:
                await self.sync()
        finally:
            self._closed = True
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._syncer, self._close)
            self._syncer.shutdown()

    def _try_write(self, fill: Callable[[WriteBatch], None]) -> bool:
        """Write; False where RocksDB would have made us wait."""
        self.check()
        batch = WriteBatch(raw_mode=True)
        fill(batch)
        try:
            self._database.write(batch, self._write_options)
        except Exception as error:  # rocksdict has no errors of its own.
            if "Write stall" in str(error):
                return False
            raise self.fail("write", error) from error
        return True

    def _close(self) -> None:
        # Marks go last: should this be cut short, they do not lie in files without their rows.
        self._handles.clear()
        for high_water in self.high_waters.values():
            with suppress(Exception) if self.failure else nullcontext():
                high_water.sync()
            high_water.close()
        meta = self._families.pop(META)
        for opened in (*self._families.values(), meta, self._database):
            with suppress(Exception) if self.failure else nullcontext():
                opened.close()
