"""Rows into Cassandra: unlogged batches of rows with the same replicas, a bounded number at once.

Whether a row is new does not matter: its timestamp is its record time, so the same row again is the
same bytes. A batch that the server refuses is halved until the row at fault is alone.
"""

from __future__ import annotations

import asyncio
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.backends.cassandra_errors import Failure, Outcome, write_error
from ledger.backends.cassandra_ring import Ring
from ledger.backends.cassandra_wire import EncodedBatch, encode_rows
from ledger.errors import LedgerError, Refused, TooLarge, Uncertain
from ledger.trail_store import PUT_ROWS_MAX

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

    from cassandra.query import PreparedStatement

    from ledger.backends.cassandra_nodes import Nodes
    from ledger.backends.cassandra_ring import Groups
    from ledger.backends.cassandra_session import Session
    from ledger.trail_store import Row

BATCH_ROWS_MAX: Final = 128
"""Most rows in a batch: what a request costs beside its rows is spread thin by then, and its
coordinator is not busy with it for long.
"""

BATCH_FILL: Final = 0.8
"""How much of the largest batch that the server takes is used: it counts a little otherwise."""

ROW_BYTES_BESIDE: Final = 96
"""What the server counts for a row beside its record: its order, timestamps, and lengths."""

BATCHES_AT_ONCE: Final = 16
"""Batches on their way at once, over all puts: enough to keep a server of a few cores busy."""

SORT_ROWS: Final = 2_000
"""Rows that are sorted by replicas before others have a turn: some 2 ms."""

_INSERT: Final = (
    "INSERT INTO $keyspace.rows_s$rows (tracking_key, order_key, record) VALUES (?, ?, ?) "
    "USING TIMESTAMP ?"
)
_KEY_OF: Final = itemgetter(0)


class Target(NamedTuple):
    """A generation to which rows are put."""

    generation: int
    insert: PreparedStatement

    @classmethod
    async def of(cls, session: Session, generation: int) -> Target:
        """Prepare."""
        return cls(generation, await session.prepare(_INSERT, rows=generation))


class Rows:
    """Puts rows."""

    def __init__(
        self, session: Session, nodes: Nodes, *, is_target: Callable[[int], Awaitable[bool]]
    ) -> None:
        """`is_target` asks whether rows are still put to a generation: its table may be gone."""
        self._session = session
        self._nodes = nodes
        self._is_target = is_target
        self._ring = Ring(session.metadata, session.cluster.keyspace)
        self._places = asyncio.Semaphore(BATCHES_AT_ONCE)

    async def put(self, rows: Sequence[Row], targets: Sequence[Target]) -> None:
        """Put rows to each. On an error all that had begun is over, and the worst one is raised."""
        if len(rows) > PUT_ROWS_MAX:
            raise TooLarge(
                f"A put has at most {PUT_ROWS_MAX} rows; this has {len(rows)}.",
                reason="PUT_TOO_LARGE",
            )
        errors: list[LedgerError] = []
        async with asyncio.TaskGroup() as batches:
            async for batch in self._batches(rows):
                for target in targets:
                    await self._places.acquire()
                    batches.create_task(self._keep(batch, target, errors))
                if errors:
                    break
        if errors:
            raise max(errors, key=_badness)

    async def _batches(self, rows: Sequence[Row]) -> AsyncIterator[Sequence[Row]]:
        groups: Groups[Row] = {}
        for start in range(0, len(rows), SORT_ROWS):
            self._ring.add(rows[start : start + SORT_ROWS], _KEY_OF, groups)
            await asyncio.sleep(0)
        for group in groups.values():
            for batch in self._cut(group):
                yield batch

    def _cut(self, rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
        """Cut rows into batches that the server takes."""
        most = int(self._nodes.batch_bytes * BATCH_FILL)
        start, size = 0, 0
        for end, row in enumerate(rows):
            size += len(row[2]) + ROW_BYTES_BESIDE
            if size > most or end - start == BATCH_ROWS_MAX:
                if end > start:
                    yield rows[start:end]
                start, size = end, len(row[2]) + ROW_BYTES_BESIDE
        if start < len(rows):
            yield rows[start:]

    async def _keep(self, batch: Sequence[Row], target: Target, errors: list[LedgerError]) -> None:
        try:
            await self._send(batch, target)
        except LedgerError as error:
            errors.append(error)
        finally:
            self._places.release()

    async def _send(self, rows: Sequence[Row], target: Target) -> None:
        statement = EncodedBatch(
            len(rows),
            encode_rows(target.insert.query_id, rows),
            keyspace=self._session.cluster.keyspace,
            routing_key=rows[0].tracking_key,
        )
        try:
            await self._session.try_(statement)
        except Failure as failure:
            if failure.outcome is not Outcome.NEVER:
                raise self._session.counted(write_error(failure)) from failure.error
            # After a sleep we may put to a generation that was dropped meanwhile: no row's fault.
            if not await self._is_target(target.generation):
                return
            if len(rows) == 1:
                raise self._session.counted(_refused(rows[0], failure)) from failure.error
            middle = len(rows) // 2
            await self._send(rows[:middle], target)
            await self._send(rows[middle:], target)


def _badness(error: LedgerError) -> int:
    return 2 if isinstance(error, Refused) else 1 if isinstance(error, Uncertain) else 0


def _refused(row: Row, failure: Failure) -> Refused:
    key, order = row.tracking_key.decode(errors="backslashreplace"), row.order.hex()
    return Refused(
        f"The trail store does not take the row {order} of the tracking key `{key}`, with a record "
        f"of {len(row.record)} bytes: {failure.words}.",
        reason="ROW_REFUSED",
        metadata={"tracking_key": key, "order": order},
    )
