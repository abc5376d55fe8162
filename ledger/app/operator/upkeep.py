"""Jobs that look after what is stored: the comparison of store and log, and backups."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Final, NamedTuple

from ledger.app.operator.jobs import Progress, Work
from ledger.compare.comparing import Comparison, compare_with_log
from ledger.compare.drill import Kind
from ledger.contents import container_of
from ledger.errors import NotPossibleNow, Refused
from ledger.generations import Generations
from ledger.quarantine.desk import Desk
from ledger.quarantine.records import wire_position
from ledger.scan_log import ScanLog
from ledger.trail_store import AllRows, TrailStore
from ledger.upkeep import Backups
from ledger.v1 import comparison_pb2 as pb
from ledger.v1.quarantine_pb2 import QuarantineReason

COMPARE: Final = "compare"
"""Kind of the job that compares the store with the log."""

BACKUP: Final = "backup"
"""Kind of the job that backs up the folder."""

FOLDER_BYTES_MAX: Final = 4_096
"""Most bytes of a path: what systems take."""

FAULTS: Final = {
    Kind.MISSING: pb.ComparedFault.COMPARED_FAULT_MISSING,
    Kind.OTHER: pb.ComparedFault.COMPARED_FAULT_OTHER,
    Kind.SURPLUS: pb.ComparedFault.COMPARED_FAULT_SURPLUS,
}
"""How each fault is said."""


class Kept(NamedTuple):
    """What one process keeps: what upkeep is about."""

    scans: ScanLog
    store: TrailStore
    rows: AllRows
    """Those of the store."""
    generations: Generations
    """Those of the store."""
    backups: Backups | None = None
    """None where the engines have tools of their own."""


def compare_work(kept: Kept, desk: Desk) -> Work:
    """Give the work of comparing; `desk` is the quarantine's."""

    async def compare(progress: Progress) -> None:
        found = await compare_with_log(
            kept.scans, kept.store, kept.rows, refused=refused_of(desk), told=progress
        )
        progress.result.comparison.CopyFrom(comparison_message(found))
        same = "the same" if found.is_same else "they differ"
        progress.message(f"{found.rows:,} rows for {found.scope.positions:,} records: {same}")

    return compare


def refused_of(desk: Desk) -> Callable[[], Awaitable[Collection[int]]]:
    """Give what tells the positions of records that the store did not take, by quarantine."""

    async def refused() -> Collection[int]:
        items = (await desk.items()).all()
        reason = QuarantineReason.QUARANTINE_REASON_STORE_REFUSED
        return [item.position for item in items if item.reason == reason]

    return refused


def backup_work(kept: Kept, folder: str) -> Work:
    """Give the work of backing up. Raises Refused where the request is wrong, or NotPossibleNow."""
    if not folder or len(os.fsencode(folder)) > FOLDER_BYTES_MAX or "\0" in folder:
        raise Refused(
            f"`folder` is empty or longer than {FOLDER_BYTES_MAX} bytes; it is a path.",
            reason="FIELD_INVALID",
            field="folder",
        )
    backups = kept.backups
    if backups is None:
        raise NotPossibleNow(
            "This ledger keeps its scans in Kafka and Cassandra: replicate Kafka's topics, and "
            "back up Cassandra with its own tools. Only the embedded engine is backed up here.",
            reason="NO_BACKUP_HERE",
        )

    async def back_up(progress: Progress) -> None:
        backup = await backups.back_up(Path(folder), progress)
        progress.result.backup.CopyFrom(backup)
        progress.message(f"{backup.files} files in {folder}")

    return back_up


def comparison_message(found: Comparison) -> pb.Comparison:
    """Say what came of a comparison."""
    message = pb.Comparison(
        same=found.is_same,
        records=found.scope.positions,
        rows=found.rows,
        younger_rows=found.younger,
        other_generation_rows=found.other_generations,
        range_count=found.range_count,
        position_count=found.difference_count,
    )
    for one in found.ranges:
        message.ranges.add(
            first=wire_position(one.first_position),
            log_rows=one.expected.rows,
            store_rows=one.found.rows,
        )
    for each in found.differences:
        container = container_of(each.tracking_key)
        key = each.tracking_key if container is None else container
        message.positions.add(
            position=wire_position(each.position),
            fault=FAULTS[each.kind],
            tracking_key=key.decode(errors="backslashreplace"),
            contents=container is not None,
        )
    for partition, bounds in sorted(found.scope.parts.items()):
        digest = found.expected.of_partition(found.scope.generation, partition)
        message.partitions.add(
            partition=partition,
            first_index=bounds.first,
            next_index=bounds.next,
            rows=digest.rows,
            digest=digest.total.to_bytes(32, "big"),
        )
    return message
