"""Trails out of Cassandra: one statement for each direction, always with a limit.

The server knows no limit in bytes, so a trail is read in chunks that grow: what is in memory stays
near what was asked for, whatever the size of its records.
"""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from ledger.backends.cassandra_gathering import KEYS_MAX, Begun, Gathering
from ledger.backends.cassandra_ring import Ring
from ledger.backends.cassandra_wire import encode_int, encode_list
from ledger.errors import TooLarge
from ledger.trail_store import READ_MANY_KEYS_MAX, Slice, StoredRow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cassandra.query import PreparedStatement

    from ledger.backends.cassandra_ring import Groups
    from ledger.backends.cassandra_session import Session

FIRST_ROWS: Final = 100
"""Most rows in the first chunk of a trail: real items have fewer, so that one request is enough. At
most 1.6 MiB, since a record has at most 16 KiB.
"""

CHUNK_ROWS_MAX: Final = 1_000
"""Most rows in a later chunk: 16 MiB, where a trail whose records were small goes on with large
ones; some 5 ms of the server's time.
"""

MANY_ROWS: Final = 40
"""Most rows of each key in a request of many keys; longer trails are then read on by themselves. At
most 16 MiB in one answer.
"""

ORDER_END: Final = b"\xff" * 33
"""Behind every order."""

_SELECT: Final = (
    "SELECT order_key, record FROM $keyspace.rows_s$rows "
    "WHERE tracking_key = ? AND order_key >= ? AND order_key < ? ORDER BY order_key {} LIMIT ?"
)
_SELECT_MANY: Final = (
    "SELECT order_key, record, tracking_key FROM $keyspace.rows_s$rows "
    "WHERE tracking_key IN ? PER PARTITION LIMIT ?"
)

_row: Final[Callable[[tuple[Any, ...]], StoredRow]] = partial(tuple.__new__, StoredRow)
"""Makes a row of a tuple, in half the time of a call of the class."""


class Reading:
    """Reads rows."""

    def __init__(
        self,
        session: Session,
        up: PreparedStatement,
        down: PreparedStatement,
        many: PreparedStatement,
    ) -> None:
        """Use `of`."""
        self._session = session
        self._up = up
        self._down = down
        self._many = many
        self._ring = Ring(session.metadata, session.cluster.keyspace)
        self._gathering = Gathering(
            one=self._begin, many=self._begin_many, replicas_of=self._ring.group_of
        )

    @classmethod
    async def of(cls, session: Session, generation: int) -> Reading:
        """Prepare for the rows of that generation."""
        return cls(
            session,
            await session.prepare(_SELECT.format("ASC"), rows=generation),
            await session.prepare(_SELECT.format("DESC"), rows=generation),
            await session.prepare(_SELECT_MANY, rows=generation),
        )

    async def read(
        self,
        key: bytes,
        *,
        start: bytes,
        stop: bytes | None,
        descending: bool,
        max_rows: int,
        max_bytes: int,
    ) -> Slice:
        """Read chunk after chunk; the first one together with what others ask for."""
        taken = _Taken(max_rows, max_bytes)
        if not start and stop is None and not descending:
            taken.add(*await self._gathering.begin(key, taken.wanted()))
            start = taken.behind() if taken.rows else start
        await self._read_on(key, start, stop, taken, descending=descending)
        return taken.slice()

    async def read_many(
        self, keys: Sequence[bytes], *, max_rows: int, max_bytes: int
    ) -> Sequence[Slice]:
        """Read the beginnings together, all requests at once; then what goes on."""
        if len(keys) > READ_MANY_KEYS_MAX:
            raise TooLarge(
                f"A look-up has at most {READ_MANY_KEYS_MAX} keys; this has {len(keys)}.",
                reason="READ_TOO_LARGE",
            )
        taken = {key: _Taken(max_rows, max_bytes) for key in keys}
        groups: Groups[bytes] = {}
        self._ring.add(list(taken), bytes, groups)
        wanted = _Taken(max_rows, max_bytes).wanted()
        for found in await asyncio.gather(
            *(
                self._begin_many(group[start : start + KEYS_MAX], wanted)
                for group in groups.values()
                for start in range(0, len(group), KEYS_MAX)
            )
        ):
            for key, begun in found.items():
                taken[key].add(*begun)
        await asyncio.gather(
            *(
                self._read_on(key, one.behind(), None, one)
                for key, one in taken.items()
                if not one.is_over
            )
        )
        slices = {key: one.slice() for key, one in taken.items()}
        return [slices[key] for key in keys]

    async def _begin(self, key: bytes, limit: int) -> Begun:
        """Read the first rows of one trail."""
        values = (key, b"", ORDER_END, encode_int(limit))
        rows = await self._session.read(self._up, values, key=key)
        return Begun(list(map(_row, rows)), limit)

    async def _begin_many(self, keys: Sequence[bytes], limit: int) -> Mapping[bytes, Begun]:
        """Read the first rows of several trails with the same replicas, in one request."""
        limit = min(MANY_ROWS, limit)
        rows = await self._session.read(
            self._many, (encode_list(keys), encode_int(limit)), key=keys[0]
        )
        found: dict[bytes, list[StoredRow]] = {key: [] for key in keys}
        for key, part in groupby(rows, itemgetter(2)):
            found[key] += [_row(row[:2]) for row in part]
        return {key: Begun(begun, limit) for key, begun in found.items()}

    async def _read_on(
        self,
        key: bytes,
        start: bytes,
        stop: bytes | None,
        taken: _Taken,
        *,
        descending: bool = False,
    ) -> None:
        statement = self._down if descending else self._up
        end = ORDER_END if stop is None else stop
        while not taken.is_over:
            if start >= end:
                taken.add([], 1)
                return
            limit = taken.wanted()
            rows = await self._session.read(
                statement, (key, start, end, encode_int(limit)), key=key
            )
            taken.add(list(map(_row, rows)), limit)
            if not taken.is_over:
                if descending:
                    end = taken.rows[-1].order
                else:
                    start = taken.behind()


class _Taken:
    """What was read of one trail, up to its limits."""

    def __init__(self, max_rows: int, max_bytes: int) -> None:
        self.rows: list[StoredRow] = []
        self.is_over = False
        self._size = 0
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._more = False

    def wanted(self) -> int:
        """Say how many rows to ask for: one more than is needed shows that there are more."""
        left = self._max_rows - len(self.rows) + 1
        if not self.rows:
            return min(left, FIRST_ROWS)
        fit = (self._max_bytes - self._size) * len(self.rows) // max(1, self._size) + 2
        return max(1, min(left, fit, CHUNK_ROWS_MAX))

    def add(self, rows: Sequence[StoredRow], limit: int) -> None:
        """Take the next rows, of which `limit` were asked for."""
        size = self._size + sum([len(row[1]) for row in rows])
        if len(self.rows) + len(rows) <= self._max_rows and size < self._max_bytes:
            self.rows += rows
            self._size = size
            self.is_over = len(rows) < limit
            return
        for row in rows:
            if len(self.rows) >= self._max_rows or self._size >= self._max_bytes:
                self.is_over = self._more = True
                return
            self.rows.append(row)
            self._size += len(row.record)
        self.is_over = len(rows) < limit

    def behind(self) -> bytes:
        """Give the order with which the trail goes on."""
        return self.rows[-1].order + b"\0"

    def slice(self) -> Slice:
        """Give what was read."""
        return Slice(self.rows, more=self._more)
