"""All rows out of Cassandra, along the token ring: for those who compare the store with the log.

A page ends between two tokens, since CQL cannot go on inside one by its token. Several keys may
have one token, so a token that fills a page alone is read key by key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger.backends.cassandra_wire import encode_bigint, encode_int
from ledger.trail_store import KeptRow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from cassandra.query import PreparedStatement

    from ledger.backends.cassandra_reading import Reading
    from ledger.backends.cassandra_session import Session

PAGE_ROWS: Final = 500
"""Rows that are asked for at once: at most 8 MiB where all records are large; some 3 ms of usual
ones in the event loop.
"""

PAGE_BYTES_MAX: Final = 8 << 20
"""Most bytes of records at once of a trail that is read by itself."""

BEFORE_ALL: Final = -(1 << 63)
"""Before the token of every key: Cassandra gives no key this token."""

_AHEAD: Final = (
    "SELECT token(tracking_key), tracking_key, order_key, record "
    "FROM $keyspace.rows_s$rows WHERE token(tracking_key) > ? LIMIT ?"
)
_KEYS: Final = (
    "SELECT DISTINCT tracking_key FROM $keyspace.rows_s$rows WHERE token(tracking_key) = ?"
)


class Scanning:
    """Walks over all rows."""

    def __init__(
        self, session: Session, reading: Reading, ahead: PreparedStatement, keys: PreparedStatement
    ) -> None:
        """Use `of`."""
        self._session = session
        self._reading = reading
        self._ahead = ahead
        self._keys = keys

    @classmethod
    async def of(cls, session: Session, generation: int, reading: Reading) -> Scanning:
        """Prepare for the rows of that generation, which `reading` reads too."""
        ahead = await session.prepare(_AHEAD, rows=generation)
        return cls(session, reading, ahead, await session.prepare(_KEYS, rows=generation))

    async def all_rows(self) -> AsyncIterator[Sequence[KeptRow]]:
        """Give all rows, in the order of tokens."""
        token = BEFORE_ALL
        while True:
            found = await self._session.read(
                self._ahead, (encode_bigint(token), encode_int(PAGE_ROWS)), key=None
            )
            if len(found) < PAGE_ROWS:
                if found:
                    yield [KeptRow(*row[1:]) for row in found]
                return
            cut = found[-1][0]  # Of this token there may be more.
            whole = [row for row in found if row[0] != cut]
            if whole:
                yield [KeptRow(*row[1:]) for row in whole]
                token = whole[-1][0]
                continue
            async for page in self._of_token(cut):
                yield page
            token = cut

    async def _of_token(self, token: int) -> AsyncIterator[Sequence[KeptRow]]:
        keys = await self._session.read(self._keys, (encode_bigint(token),), key=None)
        for (key,) in keys:
            begin, more = b"", True
            while more:
                rows, more = await self._reading.read(
                    key,
                    start=begin,
                    stop=None,
                    descending=False,
                    max_rows=PAGE_ROWS,
                    max_bytes=PAGE_BYTES_MAX,
                )
                if rows:
                    begin = rows[-1].order + b"\0"
                    yield [KeptRow(key, *row) for row in rows]
