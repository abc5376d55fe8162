"""What is in quarantine and what became of it: the fold over the records of the log `quarantine`.

Kept in memory by one process and caught up with the log before each use, so that any number of
processes see the same. The whole records stay in the log, and are read again when one is shown.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from ledger import metrics
from ledger.errors import Diverged
from ledger.quarantine.records import item_partition, packed_position, read_said
from ledger.v1.quarantine_pb2 import QuarantineAction

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ledger.quarantine.records import Said
    from ledger.scan_log import ScanLog
    from ledger.v1.quarantine_pb2 import (
        QuarantinedRecord,
        QuarantineNote,
        QuarantineReason,
    )

ITEMS_MAX: Final = 100_000
"""Most items that are remembered, some 50 MB: a thousand times what the share limit lets through at
once. Beyond it those that were replayed or dropped first are forgotten here, and never open ones.
"""

READ_RECORDS: Final = 500
"""Records that are read at once."""


class State(Enum):
    """What became of an item."""

    OPEN = "open"
    REPLAYED = "replayed"
    DROPPED = "dropped"


@dataclass(slots=True)
class Item:
    """One record in quarantine."""

    position: int
    """Where it lies in the log `scans`, as one number."""
    index: int
    """Index of its first record in its partition of the log `quarantine`."""
    time_ns: int
    """When it came into quarantine."""
    reason: QuarantineReason.ValueType
    message: str
    tracking_key: bytes
    source_id: str
    value_bytes: int
    spool_id: bytes = b""
    sequence: int = 0
    """The event's, in its spool; 0 where that is not known."""
    state: State = State.OPEN
    note_time_ns: int = 0
    note: QuarantineNote | None = None
    """What was done last."""

    @property
    def rank(self) -> tuple[int, int]:
        """By when it came into quarantine."""
        return self.time_ns, self.position

    @property
    def replayed_to(self) -> int | None:
        """Where the new record lies in the log `scans`."""
        if self.state is not State.REPLAYED or self.note is None:
            return None
        return packed_position(self.note.replayed_to)


class Items:
    """All items, as of the last time that they were caught up with."""

    def __init__(self, log: ScanLog) -> None:
        """`log` is the log `quarantine`."""
        self._log = log
        self._items: dict[int, Item] = {}
        self._next = [0] * log.identity.partitions
        self._catching_up = asyncio.Lock()

    async def catch_up(self) -> None:
        """Read what came since the last time. Raises Busy or Uncertain where the log is away."""
        async with self._catching_up:
            await asyncio.gather(*map(self._read_on, range(len(self._next))))
            self._forget()
        metrics.QUARANTINE_OPEN.set(self.open_count)

    async def catch_up_with(self, position: int) -> Item | None:
        """Read what came about one item, and find it."""
        async with self._catching_up:
            await self._read_on(item_partition(position, len(self._next)))
        return self._items.get(position)

    @property
    def open_count(self) -> int:
        """How many nobody has done anything about."""
        return sum(item.state is State.OPEN for item in self._items.values())

    def all(self) -> Sequence[Item]:
        """Give all, in the order in which they came into quarantine."""
        return sorted(self._items.values(), key=lambda item: item.rank)

    async def record_of(self, item: Item) -> QuarantinedRecord:
        """Read the whole record of an item."""
        partition = item_partition(item.position, self._log.identity.partitions)
        [value] = await self._log.read(partition, item.index, 1)
        return read_said(value).record.item

    async def _read_on(self, partition: int) -> None:
        bounds = await self._log.bounds(partition)
        if bounds.next < self._next[partition]:
            raise Diverged(
                f"The log `quarantine` is shorter than what was read from it: partition "
                f"{partition} ends at index {bounds.next}, and {self._next[partition]} were read.",
                reason="LOG_SHORTER_THAN_READ",
                metadata={"partition": str(partition)},
            )
        index = max(self._next[partition], bounds.first)
        while index < bounds.next:
            values = await self._log.read(partition, index, READ_RECORDS)
            for value in values:
                self._take(read_said(value), index)
                index += 1
            self._next[partition] = index

    def _take(self, said: Said, index: int) -> None:
        position, record = said
        if record.HasField("item"):
            found = record.item
            # A second one is the same record again, after a crash: it changes nothing.
            self._items.setdefault(
                position,
                Item(
                    position=position,
                    index=index,
                    time_ns=record.time_ns,
                    reason=found.reason,
                    message=found.message,
                    tracking_key=found.tracking_key,
                    source_id=found.source_id,
                    value_bytes=found.value_bytes,
                    spool_id=found.spool_id,
                    sequence=found.sequence,
                ),
            )
        elif record.HasField("note"):
            item = self._items.get(position)
            if item is not None:
                _apply(record.note, record.time_ns, item)

    def _forget(self) -> None:
        surplus = len(self._items) - ITEMS_MAX
        if surplus > 0:
            for position in _longest_settled(self._items.values(), surplus):
                del self._items[position]


def _apply(note: QuarantineNote, time_ns: int, item: Item) -> None:
    """What is in a trail again stays replayed, whatever is said after; the first replay counts."""
    if item.state is State.REPLAYED:
        return
    if note.action == QuarantineAction.QUARANTINE_ACTION_REPLAYED:
        item.state = State.REPLAYED
    elif note.action == QuarantineAction.QUARANTINE_ACTION_DROPPED:
        item.state = State.DROPPED
    else:
        return  # Of a later version; what it does is not known here.
    item.note, item.note_time_ns = note, time_ns


def _longest_settled(items: Iterable[Item], most: int) -> Sequence[int]:
    settled = [item for item in items if item.state is not State.OPEN]
    settled.sort(key=lambda item: item.note_time_ns)
    return [item.position for item in settled[:most]]
