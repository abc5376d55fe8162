"""One reader's place in the embedded log."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from ledger.errors import Diverged
from ledger.scan_log import LogIdentity, Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.scan_log import Assignment

RUNS_BYTES_MAX: Final = 4 << 20
"""Where one `next` ends, also below the number of records that was asked for."""


class SyncedLog(Protocol):
    """What a follower needs of the log: records that are synced, and nothing else."""

    @property
    def identity(self) -> LogIdentity:
        """Which log this is."""

    def check_open(self) -> None:
        """Raise Closed or Diverged after the end."""

    def next_index(self, partition: int) -> int:
        """Give the index behind the last synced record of a partition."""

    def synced_from(
        self, partition: int, index: int, max_records: int, max_bytes: int
    ) -> Sequence[bytes]:
        """Return records from an index on, at least one."""


class RocksdbFollower:
    """A `Follower`. It owns all partitions while it holds the lock of its name."""

    def __init__(self, log: SyncedLog, assignment: Assignment, owner: asyncio.Lock) -> None:
        """`owner` is shared by all followers of the name."""
        self._log = log
        self._assignment = assignment
        self._owner = owner
        self._owns = False
        self._places: dict[int, int] = {}
        self._changed = asyncio.Event()

    async def next(self, max_records: int) -> Sequence[Run]:
        """Wait for the partitions, then for records."""
        if not self._places:
            await self._take()
        # A reader that is far behind never waits below; the others get their turn here.
        await asyncio.sleep(0)
        while True:
            self._log.check_open()
            self._changed.clear()
            if runs := self._collect(max_records):
                return runs
            await self._changed.wait()

    async def leave(self) -> None:
        """Give the partitions up, and let the next follower have them."""
        if not self._owns:
            return
        try:
            if self._places:
                await self._assignment.given_up(list(self._places))
        finally:
            self._owns = False
            self._owner.release()

    def wake(self) -> None:
        """Look again."""
        self._changed.set()

    async def _take(self) -> None:
        if not self._owns:
            await self._owner.acquire()
            self._owns = True
        self._log.check_open()
        name, partitions = self._log.identity.name, self._log.identity.partitions
        places = await self._assignment.taken(range(partitions))
        for partition in range(partitions):
            start, end = places[partition], self._log.next_index(partition)
            if not 0 <= start <= end:
                raise Diverged(
                    f"Partition {partition} of the log `{name}` ends at index {end}; it cannot be "
                    f"read from index {start} on.",
                    reason="LOG_SHORTER_THAN_START",
                    metadata={"partition": str(partition), "next_index": str(end)},
                )
        self._places = dict(places)

    def _collect(self, max_records: int) -> Sequence[Run]:
        """Read what there is, beginning with the partition that was read longest ago."""
        runs = []
        records, size = max_records, RUNS_BYTES_MAX
        for partition, place in list(self._places.items()):
            if place >= self._log.next_index(partition):
                continue
            values = self._log.synced_from(partition, place, records, size)
            runs.append(Run(partition, place, values))
            # Put it behind the others.
            del self._places[partition]
            self._places[partition] = place + len(values)
            records -= len(values)
            size -= sum(map(len, values))
            if records <= 0 or size <= 0:
                break
        return runs
