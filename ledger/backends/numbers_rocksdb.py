"""The state of issuing in RocksDB: a key per space and per request, and one for the last change.

Each change is synced and named in a high-water file before anyone is told, as records of the log
are: a database that lost the end of its write-ahead log would give numbers twice, so it is refused.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from ledger.backends.rocksdb_high_water import hash_of
from ledger.backends.rocksdb_options import META
from ledger.backends.rocksdb_reading import reading
from ledger.errors import Diverged

if TYPE_CHECKING:
    from rocksdict import Rdict, WriteBatch

    from ledger.backends.rocksdb_engine import Engine
    from ledger.backends.rocksdb_high_water import HighWater

NUMBERS: Final = "numbers"
"""Name of the high-water file: it has no partitions, and the last change where others have the last
entry of the progress history.
"""

_SPACE: Final = b"number-space\0"
_REQUEST: Final = b"number-request\0"
_CHANGE: Final = b"number-change"


class RocksdbNumberBlocks:
    """A `NumberBlocks`."""

    def __init__(self, engine: Engine) -> None:
        """`engine` has the high-water file of numbers."""
        self._engine = engine
        self._changing = asyncio.Lock()
        self._change = _last_change(engine.family(META))[0]
        self._synced = engine.high_waters[NUMBERS].progress().next

    async def space(self, name: str) -> bytes | None:
        """Look under the lock: what is being written is on disk then."""
        async with self._changing:
            return await self._read(_SPACE + name.encode())

    async def move(self, name: str, before: bytes | None, after: bytes) -> bool:
        """Compare and set under the lock."""
        async with self._changing:
            if await self._read(_SPACE + name.encode()) != before:
                return False
            await self._write(_SPACE + name.encode(), after)
            return True

    async def given(self, request_id: bytes) -> bytes | None:
        """Look under the lock, too."""
        async with self._changing:
            return await self._read(_REQUEST + request_id)

    async def give(self, request_id: bytes, block: bytes) -> bytes:
        """The first block stands."""
        async with self._changing:
            stands = await self._read(_REQUEST + request_id)
            if stands is None:
                await self._write(_REQUEST + request_id, block)
                stands = block
            return stands

    async def _read(self, key: bytes) -> bytes | None:
        # A call that was cancelled may have written and not synced.
        await self._show()
        with reading("The number blocks"):
            value: bytes | None = self._engine.family(META).get(key)
        return value

    async def _write(self, key: bytes, value: bytes) -> None:
        number = self._change + 1
        change = number.to_bytes(8, "big") + hash_of(key + value)

        def fill(batch: WriteBatch) -> None:
            meta = self._engine.handle(META)
            batch.put(key, value, meta)
            batch.put(_CHANGE, change, meta)

        await self._engine.write(fill, "numbers")
        # Nothing else runs between the write and this.
        self._change = number
        await self._show()

    async def _show(self) -> None:
        """Make all changes durable, and note that they may be told."""
        if self._change == self._synced:
            return
        await self._engine.sync()
        self._engine.on_step("numbers: after the sync")
        # If we crash here the change stands, and nobody was told: a retry finds it.
        number, change = _last_change(self._engine.family(META))
        high_water = self._engine.high_waters[NUMBERS]
        high_water.set_progress(number, change)
        self._engine.write_high_water(high_water)
        self._synced = number
        self._engine.on_step("numbers: after the high water")


def check_numbers(meta: Rdict, high_water: HighWater) -> None:
    """Raise Diverged unless the database holds the last change that was told, or a later one."""
    told = high_water.progress()
    number, change = _last_change(meta)
    if number < told.next or (number == told.next and told.next and hash_of(change) != told.hash):
        raise Diverged(
            f"Change {told.next} of the number blocks is missing or has other bytes, so numbers "
            f"would be issued twice. Nothing has been changed. Restore the whole folder from a "
            f"backup.",
            reason="NUMBERS_DIFFER_FROM_ISSUED",
            metadata={"number": str(told.next)},
        )


def _last_change(meta: Rdict) -> tuple[int, bytes]:
    """Read the number of the last change, and its bytes; 0 where nothing was ever issued."""
    with reading("The number blocks"):
        change: bytes | None = meta.get(_CHANGE)
    return (int.from_bytes(change[:8], "big"), change) if change else (0, b"")
