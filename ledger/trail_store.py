"""The port of a trail store: where trails rest, one partition per tracking key, rows in order.

A row is a function of one log record and its position. Nothing is ever overwritten with other bytes
or deleted, so putting rows again, in any order, from any number of writers, changes nothing.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

PUT_ROWS_MAX = 20_000
"""Most rows in one put: what bounds the memory of one call."""

READ_MANY_KEYS_MAX = 1_000
"""Most keys in one `read_many`: the largest look-up that partners may send."""

ORDER_BYTES = 32
"""Length of a row's order key: scan time 8, event id 16, position 8 bytes."""


class Row(NamedTuple):
    """One row to keep."""

    tracking_key: bytes
    """At most 128 bytes, without NUL; or the key of a container's contents (`ledger.contents`)."""
    order: bytes
    """Where it stands in its trail: ORDER_BYTES bytes whose order as bytes is the order of the
    trail.
    """
    record: bytes
    """The log record, byte for byte."""
    record_time_us: int
    """The record time in microseconds: the write's timestamp where the store has one, so that a
    replay is equal.
    """


class StoredRow(NamedTuple):
    """One row as it was kept."""

    order: bytes
    record: bytes


class KeptRow(NamedTuple):
    """One row of any trail as it was kept."""

    tracking_key: bytes
    order: bytes
    record: bytes


class Slice(NamedTuple):
    """Rows of one trail, in the order that was asked for."""

    rows: Sequence[StoredRow]
    more: bool
    """True: a limit ended the read, and there may be more rows behind the last one."""


class MarkKind(Enum):
    """What a mark says of the rows of all records below its index."""

    READABLE = "readable"
    """Reads show them."""
    SETTLED = "settled"
    """They are in the store for good, also after a power cut of its nodes."""


class MarkCell(NamedTuple):
    """One mark of one partition of a log."""

    kind: MarkKind
    log: str
    generation: int
    partition: int
    next_index: int
    """Of two marks for the same place the one with the larger index stands."""
    mark: bytes
    """An encoded `Mark`."""


class ProgressCell(NamedTuple):
    """One entry of the progress history."""

    number: int
    time_ns: int
    entry: bytes
    """An encoded `ProgressEntry`."""


class TrailStore(Protocol):
    """All methods may be used from many tasks of one event loop at once; each is safe to repeat.

    Every method raises Busy (nothing happened, slow down), Uncertain (it may have happened; the
    same again is safe), Refused (longer than a limit; nothing happened), Diverged (the store is
    broken), or Closed after the store was closed.
    """

    @property
    def generation(self) -> int:
        """Which generation of the store serves, from 1."""

    @property
    def settle_after_s(self) -> float:
        """Seconds after which what was put is there for good, whatever ends: a process by kill -9,
        or all nodes by a power cut. Before that a store may forget it, rows and marks each on
        their own.
        """

    async def lives(self) -> Mapping[str, str]:
        """Name the store's processes that can be reached, and for each the life that it is in.

        Another answer than before means that a process ended or came back in between: it may have
        forgotten what was put within `settle_after_s` before it ended, also where the caller never
        saw an error. Equal answers mean that none did. A process that is only slow to answer is no
        reason to leave it out, but to raise Busy. Empty where the store ends with the caller's own
        process.
        """

    async def put(self, rows: Sequence[Row]) -> None:
        """Keep up to PUT_ROWS_MAX rows of any keys, in any order. On return every read shows them.

        They are there for good `settle_after_s` later. On an error any part of them may be kept.
        """

    async def read(
        self,
        tracking_key: bytes,
        *,
        start: bytes = b"",
        stop: bytes | None = None,
        descending: bool = False,
        max_rows: int,
        max_bytes: int,
    ) -> Slice:
        """Return rows of one key with `start` <= order < `stop`, ascending or descending.

        `start` and `stop` are a scan time (8 bytes), an order key, or an order key and a NUL: just
        behind it; an empty `start` and no `stop` are no bounds. Ends after `max_rows` rows, or
        after the row with which the records together pass `max_bytes`. A key without rows gives an
        empty slice. The caller owns what is returned.
        """

    async def read_many(
        self, tracking_keys: Sequence[bytes], *, max_rows: int, max_bytes: int
    ) -> Sequence[Slice]:
        """Return the first rows of up to READ_MANY_KEYS_MAX keys, ascending: a slice per key.

        The limits are per key, as in `read`.
        """

    async def put_marks(self, reader: str, marks: Sequence[MarkCell]) -> None:
        """Keep marks of the reader of that name. On return `marks` shows them, or larger ones.

        Only for records whose rows have been put; for SETTLED, `settle_after_s` before. Marks of
        one place with the same index have the same bytes. A mark never goes back.
        """

    async def marks(self, reader: str) -> Sequence[MarkCell]:
        """Return all marks of the reader of that name, in one cheap read."""

    async def decide_progress(self, cell: ProgressCell) -> bool:
        """Append an entry to the progress history, unless another one was decided under its number.

        True: this entry, or the same bytes, stands under its number. False: another entry does, or
        the entry before is missing, or is not earlier: read the last one and try the next number.
        An entry that stands never changes.
        """

    async def progress_at(self, time_ns: int | None = None) -> ProgressCell | None:
        """Return the last entry at or before a time, or the last of all; None without any.

        With a time only entries count that are there for good: an engine that may still forget one
        does not show it yet. Without a time the last decided one is returned all the same: for
        those who append the next.
        """


class AllRows(Protocol):
    """All that a trail store holds: for those who compare it with the log, and for nobody who
    answers.
    """

    def all_rows(self) -> AsyncIterator[Sequence[KeptRow]]:
        """Give every row of the generation that serves, in pages, in an order of the store's own.

        Every row whose put had returned before the first page was asked for comes exactly once;
        one that is put meanwhile comes once or not at all. A page is never empty. Nothing is held
        in the store between two pages, so they may be taken slowly, and left at any point. Raises
        Busy where the store cannot be reached, Diverged where it is broken, Closed after it was
        closed; to go on after an error is to begin again.
        """
