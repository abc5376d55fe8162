"""The port of a log: where acknowledged scans lie, in order, for good, and what goes with them.

A log has a name, a generation, and P partitions. Each partition is a sequence of records with
indexes from 0, without gaps. The log is the source of truth: nothing in it is changed or removed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from ledger.position import QUARANTINE_LOG, RECEIPTS_LOG, REFUSALS_LOG, SCANS_LOG

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from ledger.v1.ingest_service_pb2 import Durability

APPEND_RECORDS_MAX = 4_000
"""Most records in one append: two full batches of a sender."""

APPEND_BYTES_MAX = 1 << 20
"""Most bytes of keys and values in one append: the largest request that Kafka's producer sends by
default.
"""

RECORD_BYTES_MAX = 16 << 10
"""Most bytes of a scan's record: an event of 8 KiB, sealed personal data of 4 KiB, and the
envelope.
"""

RECORD_BYTES_MAX_OF: Final[Mapping[str, int]] = {
    SCANS_LOG: RECORD_BYTES_MAX,
    RECEIPTS_LOG: 64 << 10,  # Some hundred receipts: what comes in a linger of a busy partition.
    REFUSALS_LOG: 68 << 10,  # 64 KiB of the scan, and who, when and why.
    QUARANTINE_LOG: 24 << 10,  # A whole record of `scans`, and where, when and why.
}
"""Most bytes of one value, by the name of the log."""


class LogIdentity(NamedTuple):
    """Which log this is, and what it promises."""

    name: str
    generation: int
    partitions: int
    durability: Durability.ValueType
    """What holds when `append` returns."""
    record_bytes_max: int = RECORD_BYTES_MAX
    """Most bytes of one value."""


class Bounds(NamedTuple):
    """What a partition holds: indexes from `first` up to, but not including, `next`."""

    first: int
    next: int


class Run(NamedTuple):
    """Records of one partition that follow one another, from `first_index` on, in order."""

    partition: int
    first_index: int
    values: Sequence[bytes]


class Assignment(Protocol):
    """What a reader does when partitions come and go. At any change all may pass through both."""

    async def taken(self, partitions: Sequence[int]) -> Mapping[int, int]:
        """Take these partitions; return the index to start from for each of them.

        Awaited inside `Follower.next`, before anything of these partitions is returned. An error
        comes out of `next`.
        """

    async def given_up(self, partitions: Sequence[int]) -> None:
        """Finish and mark what is in flight for these partitions; another reader gets them then.

        Also awaited when the follower is left. It may come too late, when another reader has them
        already: so everything a reader does must be harmless when it is done twice.
        """


class Follower(Protocol):
    """One reader's place in the log. One task uses it."""

    async def next(self, max_records: int) -> Sequence[Run]:
        """Wait until there is something; return runs of different partitions, in order within each.

        Returns at most about `max_records` records in all, and never an empty run; no partition
        waits for ever behind a busier one. What it returns is not returned again by this follower.
        It may return nothing when partitions came or went.
        Raises Diverged when a record that should be there is not: the log is shorter than the
        start index, has a hole, or no longer holds it. Raises Busy or Uncertain when the log
        cannot be reached for long.
        """


class ScanLog(Protocol):
    """One named log. All methods may be used from many tasks of one event loop at once.

    A call that is cancelled may have taken effect all the same. Every method raises Closed after
    the log was closed.
    """

    @property
    def identity(self) -> LogIdentity:
        """Which log this is. Never changes."""

    async def append(self, partition: int, keys: Sequence[bytes], values: Sequence[bytes]) -> int:
        """Append records to one partition, all or none, and return the index of the first.

        `keys` and `values` have the same length, from 1 to APPEND_RECORDS_MAX; together at most
        APPEND_BYTES_MAX; each value at most `identity.record_bytes_max`. In `scans` the key is
        the tracking key.
        Returns only when all of them would survive what `identity.durability` promises to survive.
        They then have the indexes first, first + 1, … in this order. Appends that run at once may
        be ordered in any way. Raises Busy: nothing was appended. Uncertain: they may have been
        appended, and appending them again is safe, because readers collapse equal records.
        Refused: longer than a limit; nothing was appended. Diverged: the log is broken; nothing
        more will be acknowledged.
        """

    async def read(self, partition: int, index: int, max_records: int) -> Sequence[bytes]:
        """Return up to `max_records` (at least 1) values from `index` on.

        Returns fewer where a megabyte is full or the log ends, but at least one. For one record an
        engine may have to read a whole megabyte.
        Raises Diverged where `index` is not in the log: at or beyond its end, or before its first
        record. Busy or Uncertain where the log cannot be reached; asking again is safe.
        """

    async def bounds(self, partition: int) -> Bounds:
        """Return which indexes the partition holds now. Every record that was acknowledged before
        is within. Raises Busy or Uncertain where the log cannot be reached; asking again is safe.
        """

    def follow(self, reader: str, assignment: Assignment) -> AbstractAsyncContextManager[Follower]:
        """Read on under that name, sharing the partitions with all other followers of the name.

        Each partition belongs to one follower of a name at a time, as far as the log can know; a
        reader must stay harmless where two believe to own it. Where a partition starts is the
        reader's business, by `assignment`.
        """
