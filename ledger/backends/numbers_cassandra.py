"""The state of issuing in Cassandra: a partition per space and per request, by compare-and-set.

Every read is serial: what another process has under way is finished by it, or can no longer be.
Nodes that die forget what they had not synced. So a move is told when every node has lived on for
as long as it takes to sync; what was given on top of it may be forgotten, but not its numbers.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from ledger.backends.cassandra_connect import open_session
from ledger.backends.cassandra_errors import RETRY_AFTER_S
from ledger.backends.cassandra_nodes import Nodes
from ledger.backends.cassandra_session import Bound
from ledger.errors import Busy, Uncertain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from cassandra.query import PreparedStatement

    from ledger.backends.cassandra_cluster import CassandraCluster
    from ledger.backends.cassandra_session import Session

_SPACE: Final = "SELECT state FROM $keyspace.number_spaces WHERE space = ?"
_BEGIN: Final = "INSERT INTO $keyspace.number_spaces (space, state) VALUES (?, ?) IF NOT EXISTS"
_MOVE: Final = "UPDATE $keyspace.number_spaces SET state = ? WHERE space = ? IF state = ?"
_GIVEN: Final = "SELECT block FROM $keyspace.number_requests WHERE request_id = ?"
_GIVE: Final = (
    "INSERT INTO $keyspace.number_requests (request_id, block) VALUES (?, ?) IF NOT EXISTS"
)


class CassandraNumberBlocks:
    """A `NumberBlocks`. Use `open_cassandra_numbers`."""

    def __init__(
        self, session: Session, nodes: Nodes, statements: Sequence[PreparedStatement]
    ) -> None:
        """`statements` are those above, prepared in their order."""
        self._session = session
        self._nodes = nodes
        self._space, self._begin, self._move, self._given, self._give = statements

    @classmethod
    async def of(cls, session: Session) -> CassandraNumberBlocks:
        """Prepare."""
        statements = [
            await session.prepare(_SPACE, serial=True),
            await session.prepare(_BEGIN, repeatable=False),
            await session.prepare(_MOVE, repeatable=False),
            await session.prepare(_GIVEN, serial=True),
            await session.prepare(_GIVE, repeatable=False),
        ]
        return cls(session, await Nodes.of(session), statements)

    async def space(self, name: str) -> bytes | None:
        """Read one cell."""
        return await self._read(self._space, name.encode())

    async def move(self, name: str, before: bytes | None, after: bytes) -> bool:
        """Compare and set, and wait until it has settled. A refusal may be of our own try that
        another node carried on: then the numbers are lost, as the port says.
        """
        key = name.encode()
        lives = await self._nodes.lives()
        if not lives:
            raise Busy(
                "No node of Cassandra can be asked.",
                reason="STORE_AWAY",
                retry_after_s=RETRY_AFTER_S,
            )
        if before is None:
            moved = await self._decide(self._begin, (key, after), key)
        else:
            moved = await self._decide(self._move, (after, key, before), key)
        if moved:
            # Others move on from here meanwhile. What is forgotten is forgotten with all behind it.
            await asyncio.sleep(self._nodes.settle_after_s)
            await self._check_lives(lives)
        return moved

    async def given(self, request_id: bytes) -> bytes | None:
        """Read one cell."""
        return await self._read(self._given, request_id)

    async def give(self, request_id: bytes, block: bytes) -> bytes:
        """Try, and read what stands wherever that is not plain."""
        uncertain = _restarted()
        try:
            if await self._decide(self._give, (request_id, block), request_id):
                return block
        except Uncertain as error:
            uncertain = error
        try:
            stands = await self.given(request_id)
        except Busy as error:
            raise uncertain from error
        if stands is None:  # Our try came to nothing, or what refused it was forgotten.
            raise uncertain
        return stands

    async def _check_lives(self, before: Mapping[str, str]) -> None:
        """Raise Uncertain where a node may have forgotten what it had not synced."""
        try:
            lives = await self._nodes.lives()
        except Busy as error:
            raise Uncertain(error.message, reason=error.reason, metadata=error.metadata) from error
        if lives != before:
            raise _restarted()

    async def _read(self, statement: PreparedStatement, key: bytes) -> bytes | None:
        self._session.check()
        rows = await self._session.read(statement, (key,), key=key)
        found: bytes | None = rows[0][0] if rows else None
        return found

    async def _decide(
        self, statement: PreparedStatement, values: tuple[bytes, ...], key: bytes
    ) -> bool:
        self._session.check()
        rows = await self._session.write(Bound(statement, values, key))
        applied: bool = rows[0][0]
        return applied


@asynccontextmanager
async def open_cassandra_numbers(
    cluster: CassandraCluster, *, monotonic: Callable[[], float]
) -> AsyncIterator[CassandraNumberBlocks]:
    """Connect and prepare. `monotonic` gives seconds. Whether the tables are as they have to be is
    looked at when the store is opened.

    Raises Busy where no node can be reached, and Refused where a table is missing.
    """
    # Its tables are of no generation, so whichever is named makes no difference.
    async with open_session(cluster, generation=1, monotonic=monotonic) as session:
        yield await CassandraNumberBlocks.of(session)


def _restarted() -> Uncertain:
    return Uncertain(
        "A node of Cassandra began a new life, or went away, before what it was told had settled.",
        reason="STORE_NODE_RESTARTED",
    )
