"""Batches on their way to the log, and the appends that their records are cut into."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ingest.admission import Group
from ledger.scan_log import APPEND_BYTES_MAX, APPEND_RECORDS_MAX

if TYPE_CHECKING:
    import asyncio

    from ledger.errors import Busy, Uncertain


class Outcome(NamedTuple):
    """What became of some scans of a batch, all of one partition."""

    indexes: list[int]
    """Where they stand in the batch, ascending."""

    partition: int
    last_index: int
    """Index of the last of them in the partition, where there is no error."""

    error: Busy | Uncertain | None


class Ticket:
    """One batch on its way."""

    __slots__ = ("future", "outcomes", "scans", "scans_missing", "since_s", "size")

    def __init__(
        self, future: asyncio.Future[list[Outcome]], *, scans: int, size: int, since_s: float
    ) -> None:
        """`size` is what it takes in memory, in bytes; `since_s` is when it came."""
        self.future = future
        self.size = size
        self.since_s = since_s
        self.outcomes: list[Outcome] = []
        self.scans = self.scans_missing = scans


class Chunk:
    """One append: records of one partition, and whose they are."""

    __slots__ = ("bytes", "keys", "owners", "partition", "records")

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.keys: list[bytes] = []
        self.records: list[bytes] = []
        self.owners: list[tuple[Ticket, list[int]]] = []
        self.bytes = 0

    def add(self, ticket: Ticket, group: Group, bytes_max: int) -> bool:
        """Take a group, if it fits; the first one may be as large as an append."""
        size = sum(map(len, group.keys)) + sum(map(len, group.records))
        if (
            self.bytes + size > (bytes_max if self.owners else APPEND_BYTES_MAX)
            or len(self.records) + len(group.records) > APPEND_RECORDS_MAX
        ):
            return False
        self.bytes += size
        self.keys += group.keys
        self.records += group.records
        self.owners.append((ticket, group.indexes))
        return True


def first_chunk(
    partition: int, waiting: list[tuple[Ticket, Group]], bytes_max: int
) -> tuple[Chunk, list[tuple[Ticket, Group]]]:
    """Fill one append of about so many bytes from the front; return it and what is left."""
    chunk = Chunk(partition)
    for number, (ticket, group) in enumerate(waiting):
        if not chunk.add(ticket, group, bytes_max):
            left = waiting[number:]
            if (
                not chunk.owners
            ):  # Too large for an append of its own: one half, and then the other.
                left = [(ticket, half) for half in _halves(group)] + left[1:]
                return first_chunk(partition, left, bytes_max)
            return chunk, left
    return chunk, []


def _halves(group: Group) -> tuple[Group, Group]:
    middle = len(group.records) // 2
    indexes, keys, records = group
    return (
        Group(indexes[:middle], keys[:middle], records[:middle]),
        Group(indexes[middle:], keys[middle:], records[middle:]),
    )
