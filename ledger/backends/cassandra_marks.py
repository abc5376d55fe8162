"""Marks in Cassandra: one cell for each place, whose write timestamp is its index.

The largest timestamp stands, whoever writes last. No mark is ever deleted: a delete would carry the
time of day as its timestamp, far above all indexes, and hide every later mark.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger.backends.cassandra_wire import (
    EncodedBatch,
    encode_bigint,
    encode_int,
    encode_statements,
)
from ledger.trail_store import MarkCell, MarkKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cassandra.query import PreparedStatement

    from ledger.backends.cassandra_session import Session

BATCH_MARKS_MAX: Final = 500
"""Most marks in one request: some 100 KiB, all of one partition."""

_UPDATE: Final = (
    "UPDATE $keyspace.marks_s$generation USING TIMESTAMP ? SET mark = ? "
    "WHERE reader = ? AND log = ? AND generation = ? AND partition = ? AND kind = ?"
)
_SELECT: Final = (
    "SELECT kind, log, generation, partition, writetime(mark), mark "
    "FROM $keyspace.marks_s$generation WHERE reader = ?"
)
_KINDS: Final = {kind.value: kind for kind in MarkKind}


class Marks:
    """The marks of all readers."""

    def __init__(
        self, session: Session, update: PreparedStatement, select: PreparedStatement
    ) -> None:
        """Use `of`."""
        self._session = session
        self._update = update
        self._select = select

    @classmethod
    async def of(cls, session: Session) -> Marks:
        """Prepare."""
        return cls(session, await session.prepare(_UPDATE), await session.prepare(_SELECT))

    async def put(self, reader: str, marks: Sequence[MarkCell]) -> None:
        """Write them all: which of them are ahead is found out by the server."""
        key = reader.encode()
        for start in range(0, len(marks), BATCH_MARKS_MAX):
            values = [
                (
                    encode_bigint(cell.next_index),
                    cell.mark,
                    key,
                    cell.log.encode(),
                    encode_int(cell.generation),
                    encode_int(cell.partition),
                    cell.kind.value.encode(),
                )
                for cell in marks[start : start + BATCH_MARKS_MAX]
            ]
            await self._session.write(
                EncodedBatch(
                    len(values),
                    encode_statements(self._update.query_id, values),
                    keyspace=self._session.cluster.keyspace,
                    routing_key=key,
                )
            )

    async def of_reader(self, reader: str) -> Sequence[MarkCell]:
        """Read one partition."""
        key = reader.encode()
        rows = await self._session.read(self._select, (key,), key=key)
        return [MarkCell(_KINDS[kind], *place) for kind, *place in rows]
