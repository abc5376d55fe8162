"""What an operator does with what is in quarantine: look, replay, drop.

Nothing of it changes what was said about the past. A replay is a new record of the log `scans` that
names the old position; what was done is a note in the log `quarantine`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from ledger.codec import fault_of
from ledger.errors import NotPossibleNow
from ledger.event import order_key
from ledger.numbers import partition_of
from ledger.position import pack_position
from ledger.quarantine.items import Items, State
from ledger.quarantine.records import (
    item_key,
    item_partition,
    note_of,
    replay_of,
    wire_position,
)
from ledger.v1.log_record_pb2 import LogRecord
from ledger.v1.quarantine_pb2 import QuarantineAction, QuarantineNote

if TYPE_CHECKING:
    from collections.abc import Callable

    from ledger.quarantine.items import Item
    from ledger.scan_log import ScanLog
    from ledger.trail_store import TrailStore
    from ledger.v1.quarantine_pb2 import QuarantinedRecord

COPIES_ROWS_MAX: Final = 1_000
"""Most copies of an event among which an earlier replay is looked for: more are a device gone mad,
and a second replay is one copy more.
"""

COPIES_BYTES_MAX: Final = 4 << 20
"""Most bytes of these copies."""


class Desk:
    """The quarantine of one ledger, for those who operate it. One thing is done at a time."""

    def __init__(
        self,
        scans: ScanLog,
        quarantine: ScanLog,
        store: TrailStore,
        *,
        now_ns: Callable[[], int],
    ) -> None:
        """`now_ns` gives nanoseconds since 1970-01-01T00:00:00Z."""
        self._scans = scans
        self._quarantine = quarantine
        self._store = store
        self._now_ns = now_ns
        self._items = Items(quarantine)
        self._acting = asyncio.Lock()

    async def items(self) -> Items:
        """Give all items as they are now."""
        await self._items.catch_up()
        return self._items

    async def get(self, position: int) -> tuple[Item, QuarantinedRecord]:
        """Give one item with its whole record. Raises NotPossibleNow where there is none."""
        item = await self._find(position)
        return item, await self._items.record_of(item)

    async def replay(self, position: int, *, by: str, why: str) -> Item:
        """Append the record to the log `scans` once more, and note that.

        Raises NotPossibleNow where it is still unfit: nothing happened then. What was replayed
        before is not appended again. Raises Busy or Uncertain where a log is away: asking again
        appends at most a copy, which readers collapse.
        """
        async with self._acting:
            item = await self._find(position)
            if item.state is State.REPLAYED:
                return item
            record = await self._items.record_of(item)
            _refuse_unfit(item, record)
            replayed = replay_of(record.value, position)
            new = await self._replayed_before(replayed)
            if new is None:
                new = await self._append(replayed)
            # If we crash here the scan is in the log again, and the item is still open. Who asks
            # again finds the row and notes it, or, before there is a row, appends an equal record.
            note = QuarantineNote(
                action=QuarantineAction.QUARANTINE_ACTION_REPLAYED,
                by=by,
                why=why,
                replayed_to=wire_position(new),
            )
            return await self._note(item, note)

    async def drop(self, position: int, *, by: str, why: str) -> Item:
        """Note that an item stays out of the trails. Raises NotPossibleNow where it is in one."""
        async with self._acting:
            item = await self._find(position)
            if item.state is State.REPLAYED:
                raise NotPossibleNow(
                    f"The record {_shown(position)} was replayed already, and stands in its trail.",
                    reason="ALREADY_REPLAYED",
                    field="position",
                )
            if item.state is State.DROPPED:
                return item
            action = QuarantineAction.QUARANTINE_ACTION_DROPPED
            return await self._note(item, QuarantineNote(action=action, by=by, why=why))

    async def _find(self, position: int) -> Item:
        item = await self._items.catch_up_with(position)
        if item is None:
            raise NotPossibleNow(
                f"There is no record {_shown(position)} in quarantine. `parcel-ledger quarantine "
                f"list` shows which there are.",
                reason="NOT_IN_QUARANTINE",
                field="position",
                metadata={"position": _shown(position)},
            )
        return item

    async def _replayed_before(self, value: bytes) -> int | None:
        """Find the row of an equal record in the trail."""
        record = LogRecord.FromString(value)
        first = order_key(record.scan_time_ns, record.event_id, 0)
        end = order_key(record.scan_time_ns, record.event_id, (1 << 63) - 1)
        found = await self._store.read(
            record.tracking_key,
            start=first,
            stop=end,
            max_rows=COPIES_ROWS_MAX,
            max_bytes=COPIES_BYTES_MAX,
        )
        same = [row for row in found.rows if row.record == value]
        return int.from_bytes(same[0].order[-8:], "big") if same else None

    async def _append(self, value: bytes) -> int:
        key = LogRecord.FromString(value).tracking_key
        identity = self._scans.identity
        partition = partition_of(key, identity.partitions)
        index = await self._scans.append(partition, [key], [value])
        return pack_position(identity.generation, partition, index)

    async def _note(self, item: Item, note: QuarantineNote) -> Item:
        note.position.CopyFrom(wire_position(item.position))
        partition = item_partition(item.position, self._quarantine.identity.partitions)
        value = note_of(note, time_ns=self._now_ns())
        await self._quarantine.append(partition, [item_key(item.position)], [value])
        return await self._find(item.position)


def _refuse_unfit(item: Item, record: QuarantinedRecord) -> None:
    """Judge a record as the writer will: in the partition that its key says, so that one that only
    lay in a wrong one is fit. Whether the store takes it shows when it is put.
    """
    fault = fault_of(record.value)
    if record.value_bytes != len(record.value):
        message = f"It has {record.value_bytes:,} bytes, more than a record may have."
    elif fault is not None:
        message = fault.message
    else:
        return
    raise NotPossibleNow(
        f"The record {_shown(item.position)} cannot be kept in a trail now either: {message}",
        reason="STILL_UNFIT",
        field="position",
        metadata={"position": _shown(item.position)},
    )


def _shown(position: int) -> str:
    return item_key(position).decode()
