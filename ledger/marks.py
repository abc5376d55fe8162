"""Marks: how far a reader of the log is, as cells of the trail store.

A mark names the next index and the hash of the record before it, so that a log that was cut and has
grown again is found. Writers put marks; query reads them.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from ledger.errors import Diverged
from ledger.trail_store import MarkCell, MarkKind
from ledger.v1.progress_pb2 import Mark

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ledger.scan_log import LogIdentity, ScanLog

TRAIL_READER = "trail"
"""The name under which writers read the log and put their marks."""


def encode_mark(
    identity: LogIdentity,
    partition: int,
    *,
    next_index: int,
    last_record: bytes,
    last_record_time_ns: int,
) -> MarkCell:
    """Make the READABLE mark behind a record; the same record always makes the same bytes."""
    mark = Mark(
        next_index=next_index,
        last_record_hash=hashlib.sha256(last_record).digest(),
        last_record_time_ns=last_record_time_ns,
    )
    return MarkCell(
        MarkKind.READABLE,
        identity.name,
        identity.generation,
        partition,
        next_index,
        mark.SerializeToString(deterministic=True),
    )


def marks_of(
    cells: Iterable[MarkCell], identity: LogIdentity
) -> Mapping[tuple[MarkKind, int], MarkCell]:
    """Pick the marks of one generation of one log, by kind and partition."""
    return {
        (cell.kind, cell.partition): cell
        for cell in cells
        if (cell.log, cell.generation) == (identity.name, identity.generation)
    }


async def check_mark(log: ScanLog, cell: MarkCell) -> None:
    """Raise Diverged unless the log still holds the record before the mark, byte for byte."""
    where = f"partition {cell.partition} of the log `{cell.log}`"
    mark = Mark.FromString(cell.mark)
    bounds = await log.bounds(cell.partition)
    if bounds.next < cell.next_index:
        raise Diverged(
            f"The log is shorter than what was read from it: {where} ends at index {bounds.next}, "
            f"but trails were "
            f"written up to {cell.next_index}; indexes {bounds.next} to {cell.next_index - 1} are "
            f"gone. Nothing more "
            f"is written. Restore the log from its replicas or a backup, or rebuild the trails "
            f"from the log as it is.",
            reason="LOG_SHORTER_THAN_MARK",
            metadata={"partition": str(cell.partition), "next_index": str(bounds.next)},
        )
    if bounds.first >= cell.next_index:
        return
    [value] = await log.read(cell.partition, cell.next_index - 1, 1)
    if hashlib.sha256(value).digest() != mark.last_record_hash:
        raise Diverged(
            f"The log is not the one that was read before: record {cell.next_index - 1} of {where} "
            f"has other bytes "
            f"than the trails were written from. Nothing more is written, since that would mix two "
            f"histories. Restore "
            f"the log from its replicas or a backup, or rebuild the trails from the log as it is.",
            reason="LOG_DIFFERS_FROM_MARK",
            metadata={"partition": str(cell.partition), "index": str(cell.next_index - 1)},
        )
