"""The progress history in Cassandra: each number is decided once, by compare-and-set.

Entries lie in buckets by their number, since compare-and-set is for one partition. A second table
says where to look for a time. It is written plainly, after the decision, and only a hint: what it
does not know is found by bisecting the numbers, whose times only grow.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.backends.cassandra_session import Bound
from ledger.backends.cassandra_wire import encode_bigint, encode_int
from ledger.errors import Busy, Uncertain
from ledger.trail_store import ProgressCell

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cassandra.query import PreparedStatement

    from ledger.backends.cassandra_nodes import Nodes
    from ledger.backends.cassandra_session import Session

logger = logging.getLogger(__name__)

BUCKET_ENTRIES: Final = 1_024
"""Entries in one partition: 17 minutes where there is one each second, some 1 MB."""

_DAY_NS: Final = 86_400 * 1_000_000_000
_TIME_MAX: Final = (1 << 63) - 1

_DECIDE: Final = (
    "INSERT INTO $keyspace.progress_s$generation (bucket, number, time_ns, entry) "
    "VALUES (?, ?, ?, ?) IF NOT EXISTS"
)
_FROM: Final = (
    "SELECT number, time_ns, entry, writetime(entry) FROM $keyspace.progress_s$generation "
    "WHERE bucket = ? AND number >= ? LIMIT 2"
)
_LAST: Final = (
    "SELECT number, time_ns, entry, writetime(entry) FROM $keyspace.progress_s$generation "
    "WHERE bucket = ? ORDER BY number DESC LIMIT 1"
)
_FILE: Final = (
    "INSERT INTO $keyspace.progress_times_s$generation (day, time_ns, number) VALUES (?, ?, ?) "
    "USING TIMESTAMP 1"
)
_FIND: Final = (
    "SELECT number FROM $keyspace.progress_times_s$generation "
    "WHERE day = ? AND time_ns <= ? ORDER BY time_ns DESC LIMIT 1"
)


class _Standing(NamedTuple):
    """An entry as it was decided."""

    number: int
    time_ns: int
    entry: bytes
    decided_us: int
    """When, by the clock of the node that coordinated it, in microseconds."""

    @property
    def cell(self) -> ProgressCell:
        return ProgressCell(self.number, self.time_ns, self.entry)


class History:
    """The entries."""

    def __init__(
        self,
        session: Session,
        nodes: Nodes,
        statements: Sequence[PreparedStatement],
        now_ns: Callable[[], int],
    ) -> None:
        """Use `of`."""
        self._session = session
        self._nodes = nodes
        self._decide, self._from, self._last_of, self._file, self._find = statements
        self._now_ns = now_ns
        self._bucket = 0
        """A bucket that had entries when it was looked at last: where to begin to look."""

    @classmethod
    async def of(cls, session: Session, nodes: Nodes, *, now_ns: Callable[[], int]) -> History:
        """Prepare. `now_ns` gives nanoseconds since 1970-01-01T00:00:00Z."""
        statements = [
            await session.prepare(_DECIDE, repeatable=False),
            await session.prepare(_FROM, serial=True),
            await session.prepare(_LAST, serial=True),
            await session.prepare(_FILE),
            await session.prepare(_FIND),
        ]
        return cls(session, nodes, statements, now_ns)

    async def decide(self, cell: ProgressCell) -> bool:
        """Look at what stands under the number and the one before, then try."""
        if cell.number < 1:
            return False
        around = await self._around(max(1, cell.number - 1))
        stands = around.get(cell.number)
        if stands is None:
            before = around.get(cell.number - 1)
            if cell.number > 1 and (before is None or before.time_ns >= cell.time_ns):
                return False
            if not await self._try(cell):
                return False
        elif stands.cell != cell:
            return False
        await self._file_time(cell)
        return True

    async def at(self, time_ns: int | None) -> ProgressCell | None:
        """Find the last entry, or the last one at or before a time that is there for good."""
        if time_ns is None:
            last = await self._last()
            return last.cell if last else None
        settle_ns = int(self._nodes.settle_after_s * 1e9)
        settled_ns = self._now_ns() - settle_ns
        found = await self._at_or_before(min(time_ns, settled_ns))
        # An entry's time is taken before it is decided, by whoever decides it: after a pause of
        # that process it may be old when the entry is still young.
        while found and found.decided_us * 1_000 > settled_ns:
            found = (await self._around(found.number - 1)).get(found.number - 1)
        return found.cell if found else None

    async def _try(self, cell: ProgressCell) -> bool:
        bucket = encode_bigint(cell.number // BUCKET_ENTRIES)
        number, time_ns = encode_bigint(cell.number), encode_bigint(cell.time_ns)
        statement = Bound(self._decide, (bucket, number, time_ns, cell.entry), bucket)
        try:
            rows = await self._session.write(statement)
        except Uncertain:
            # Reading settles it: what was begun is finished by it, or can no longer be.
            stands = (await self._around(cell.number)).get(cell.number)
            if stands is None:
                raise
            return stands.cell == cell
        applied: bool = rows[0][0]
        if applied:
            return True
        stands = (await self._around(cell.number)).get(cell.number)
        return stands is not None and stands.cell == cell

    async def _file_time(self, cell: ProgressCell) -> None:
        day, time_ns = encode_int(cell.time_ns // _DAY_NS), encode_bigint(cell.time_ns)
        try:
            await self._session.write(
                Bound(self._file, (day, time_ns, encode_bigint(cell.number)), day)
            )
        except (Busy, Uncertain) as error:
            logger.info("a progress entry is not filed by its time", extra={"error": str(error)})

    async def _at_or_before(self, time_ns: int) -> _Standing | None:
        """Find the last entry at or before a time: by the hint where it is right."""
        if time_ns < 0:
            return None
        time_ns = min(time_ns, _TIME_MAX)
        day = encode_int(time_ns // _DAY_NS)
        hints = await self._session.read(self._find, (day, encode_bigint(time_ns)), key=day)
        if hints:
            number: int = hints[0][0]
            around = await self._around(number)
            found, later = around.get(number), around.get(number + 1)
            if found and found.time_ns <= time_ns and (not later or later.time_ns > time_ns):
                return found
        return await self._bisect(time_ns)

    async def _bisect(self, time_ns: int) -> _Standing | None:
        last = await self._last()
        if last is None or last.time_ns <= time_ns:
            return last
        found: _Standing | None = None
        begin, end = 1, last.number
        while begin < end:
            middle = (begin + end) // 2
            entry = (await self._around(middle)).get(middle)
            if entry is None or entry.time_ns > time_ns:
                end = middle
            else:
                found, begin = entry, middle + 1
        return found

    async def _around(self, number: int) -> dict[int, _Standing]:
        """Read an entry and the one behind it, by number; what does not stand is not in it."""
        found = await self._read_from(number)
        if (number + 1) % BUCKET_ENTRIES == 0:
            found |= await self._read_from(number + 1)
        return found

    async def _read_from(self, number: int) -> dict[int, _Standing]:
        bucket = encode_bigint(number // BUCKET_ENTRIES)
        rows = await self._session.read(self._from, (bucket, encode_bigint(number)), key=bucket)
        return {row[0]: _Standing(*row) for row in rows}

    async def _last(self) -> _Standing | None:
        """Find the last entry: of the bucket it was in before, or by longer and longer steps on."""
        bucket = self._bucket
        while (last := await self._last_in(bucket)) is None and bucket:
            bucket -= 1  # Entries that were young when a node was killed may be gone.
        step = 1
        while last and (last.number + 1) % BUCKET_ENTRIES == 0:
            if later := await self._last_in(bucket + step):
                last, bucket, step = later, bucket + step, step * 2
            elif step == 1:
                break
            else:
                step = 1
        self._bucket = bucket
        return last

    async def _last_in(self, bucket: int) -> _Standing | None:
        key = encode_bigint(bucket)
        rows = await self._session.read(self._last_of, (key,), key=key)
        return _Standing(*rows[0]) if rows else None
