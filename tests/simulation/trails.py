"""Trails as readers get them, compared with what the log holds: order, copies, conflicts, bytes.

What a trail should be is said here from the definition, for any prefix of a partition.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.v1.log_record_pb2 import LogRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ledger.v1.raw_pb2 import RawTrailEntry
    from tests.simulation.sim_log import LogCluster


RECORDS_READ_MOST: Final = 2_000
"""Records that need not be read again: some seeds have so many, each looked at ten times."""


@lru_cache(RECORDS_READ_MOST)
def record_of(value: bytes) -> LogRecord:
    """Read a record, to look at: it is shared."""
    return LogRecord.FromString(value)


class Said(NamedTuple):
    """What a record says, as far as it is looked at again and again."""

    key: bytes
    scan_time_ns: int
    event_id: bytes
    source: str
    spool_id: bytes
    sequence: int
    event: bytes
    keys: tuple[bytes, ...]
    """Under which it is a row: the item's, and that of the contents of what the item went into."""


CONTENTS: Final = b"\xff"
"""Before the key of a container, under which its contents lie."""


@lru_cache(RECORDS_READ_MOST)
def said_by(value: bytes) -> Said:
    """Read a record once: each look at a field of a message makes its value anew."""
    r = LogRecord.FromString(value)
    key, container = r.tracking_key, r.container_key
    keys = (key, CONTENTS + container) if container else (key,)
    return Said(key, r.scan_time_ns, r.event_id, r.source_id, r.spool_id, r.sequence, r.event, keys)


class Shown(NamedTuple):
    """One entry of a trail, as far as it is compared."""

    scan_time_ns: int
    event_id: bytes
    at: int
    source: str
    event: bytes
    duplicates: int
    conflict: bool


class Record(NamedTuple):
    """One record of an item, as far as trails are made from it."""

    at: int
    scan_time_ns: int
    event_id: bytes
    source: str
    event: bytes


def records_of(log: LogCluster, partition: int, key: bytes) -> list[Record]:
    """Give the records of an item, in the order of the log."""
    there = log.partitions[partition]
    return [
        Record(index, said.scan_time_ns, said.event_id, said.source, said.event)
        for index, said in enumerate(map(said_by, there.values[: there.durable]))
        if said.key == key
    ]


def records_by_key(log: LogCluster, partition: int) -> dict[bytes, list[Record]]:
    """Give the records of all items of a partition."""
    found: dict[bytes, list[Record]] = {}
    values = log.partitions[partition].values
    for index, value in enumerate(values[: log.partitions[partition].durable]):
        said = said_by(value)
        record = Record(index, said.scan_time_ns, said.event_id, said.source, said.event)
        found.setdefault(said.key, []).append(record)
    return found


def expected(records: Iterable[Record], end: int) -> list[Shown]:
    """Say what the trail is of the records below an index."""
    copies: dict[tuple[str, bytes, bytes], list[Record]] = {}
    contents: dict[tuple[str, bytes], set[bytes]] = {}
    for record in records:
        if record.at < end:
            identity = record.source, record.event_id
            copies.setdefault((*identity, record.event), []).append(record)
            contents.setdefault(identity, set()).add(record.event)
    return sorted(
        Shown(
            first.scan_time_ns,
            first.event_id,
            first.at,
            first.source,
            first.event,
            len(same) - 1,
            len(contents[first.source, first.event_id]) > 1,
        )
        for same in copies.values()
        for first in same[:1]
    )


def shown(entries: Iterable[RawTrailEntry], scan_times: dict[bytes, int]) -> list[Shown]:
    """Say what a reader got. `scan_times` gives the time of each event's bytes."""
    return [
        Shown(
            scan_times.get(entry.event, -1),
            entry.event[2:18],
            entry.position.index,
            entry.source_id,
            entry.event,
            entry.marks.duplicate_count,
            entry.marks.conflict,
        )
        for entry in entries
    ]


def one_snapshot(got: Sequence[Shown], records: Sequence[Record]) -> bool:
    """Whether what was got is the trail as of some moment: of some prefix of the partition."""
    ends = [record.at + 1 for record in records]
    latest = max((one.at for one in got), default=-1)
    # A copy may have come later than all that is shown, so several ends have to be tried.
    return any(list(got) == expected(records, end) for end in [0, *ends] if end > latest or not got)
