"""The trail store in Cassandra: a trail is a partition, and its rows lie in it in order.

Several processes write, read and decide at once, and none of them holds a lock: rows and marks are
the same whoever writes them, and a number of the history is decided by the store.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from ledger.backends.cassandra_connect import open_session
from ledger.backends.cassandra_generations import CassandraGenerations
from ledger.backends.cassandra_history import History
from ledger.backends.cassandra_marks import Marks
from ledger.backends.cassandra_nodes import Nodes
from ledger.backends.cassandra_rows import Rows
from ledger.backends.cassandra_schema import schema_faults
from ledger.backends.cassandra_serving import LOOKS, Looks, Serving
from ledger.errors import Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from ledger.backends.cassandra_cluster import CassandraCluster
    from ledger.backends.cassandra_reading import Reading
    from ledger.backends.cassandra_session import Session
    from ledger.trail_store import KeptRow, MarkCell, ProgressCell, Row, Slice

T = TypeVar("T")


class CassandraTrailStore:
    """A `TrailStore`. Use `open_cassandra_store`.

    Attributes:
        generations: those of the store.
    """

    def __init__(
        self,
        session: Session,
        *,
        nodes: Nodes,
        serving: Serving,
        rows: Rows,
        marks: Marks,
        history: History,
        generations: CassandraGenerations,
    ) -> None:
        """All of these use this session."""
        self._session = session
        self._nodes = nodes
        self._serving = serving
        self._rows = rows
        self._marks = marks
        self._history = history
        self.generations = generations

    @property
    def generation(self) -> int:
        """Which generation serves, as it was seen last."""
        return self._serving.generation

    @property
    def settle_after_s(self) -> float:
        """When every replica has synced its commit log. It is as `lives` last found it: nodes that
        join, or come back with other settings, are asked by that.
        """
        return self._nodes.settle_after_s

    async def lives(self) -> Mapping[str, str]:
        """Ask each node itself."""
        self._session.check()
        return await self._nodes.lives()

    async def put(self, rows: Sequence[Row]) -> None:
        """Write in batches, several at once."""
        self._session.check()
        await self._rows.put(rows, await self._serving.targets())

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
        """Read one partition."""
        self._session.check()
        return await self._from_serving(
            lambda reading: reading.read(
                tracking_key,
                start=start,
                stop=stop,
                descending=descending,
                max_rows=max_rows,
                max_bytes=max_bytes,
            )
        )

    async def read_many(
        self, tracking_keys: Sequence[bytes], *, max_rows: int, max_bytes: int
    ) -> Sequence[Slice]:
        """Read partitions with the same replicas together."""
        self._session.check()
        return await self._from_serving(
            lambda reading: reading.read_many(tracking_keys, max_rows=max_rows, max_bytes=max_bytes)
        )

    async def all_rows(self) -> AsyncIterator[Sequence[KeptRow]]:
        """Walk along the token ring."""
        self._session.check()
        async for page in (await self._serving.table()).scanning.all_rows():
            yield page

    async def put_marks(self, reader: str, marks: Sequence[MarkCell]) -> None:
        """Write them all; the larger ones stand."""
        self._session.check()
        await self._marks.put(reader, marks)

    async def marks(self, reader: str) -> Sequence[MarkCell]:
        """Read one partition."""
        self._session.check()
        return await self._marks.of_reader(reader)

    async def decide_progress(self, cell: ProgressCell) -> bool:
        """Compare and set."""
        self._session.check()
        return await self._history.decide(cell)

    async def progress_at(self, time_ns: int | None = None) -> ProgressCell | None:
        """Look where the time is filed, and make sure of it."""
        self._session.check()
        return await self._history.at(time_ns)

    async def _from_serving(self, read: Callable[[Reading], Awaitable[T]]) -> T:
        table = await self._serving.table()
        try:
            return await read(table.reading)
        except Refused:
            # After a sleep we may read from a generation that was dropped meanwhile.
            await self._serving.look()
            later = await self._serving.table()
            if later is table:
                raise
            return await read(later.reading)


@asynccontextmanager
async def open_cassandra_store(
    cluster: CassandraCluster,
    *,
    generation: int,
    now_ns: Callable[[], int],
    monotonic: Callable[[], float],
    looks: Looks = LOOKS,
) -> AsyncIterator[CassandraTrailStore]:
    """Connect, look at the schema, prepare. `generation` is the one whose marks and history all
    use; `now_ns` gives nanoseconds since 1970-01-01T00:00:00Z, `monotonic` seconds. `looks` are the
    same for all that use the store at once.

    Raises Busy where no node can be reached, or one is slow: opening again may help. Raises Refused
    where it would not: it names each fault of the schema.
    """
    async with open_session(cluster, generation=generation, monotonic=monotonic) as session:
        if faults := await schema_faults(session):
            raise Refused(
                f"The trail store in Cassandra is not as it has to be: {'; '.join(faults)}.",
                reason="STORE_SCHEMA_FAULTS",
                metadata={str(number): fault for number, fault in enumerate(faults, 1)},
            )
        nodes = await Nodes.of(session)
        marks = await Marks.of(session)
        serving = await Serving.of(session, looks=looks, monotonic=monotonic)
        rows = Rows(session, nodes, is_target=serving.is_target)
        yield CassandraTrailStore(
            session,
            nodes=nodes,
            serving=serving,
            rows=rows,
            marks=marks,
            history=await History.of(session, nodes, now_ns=now_ns),
            generations=await CassandraGenerations.of(
                session,
                serving,
                rows=rows,
                marks=marks,
                nodes=nodes,
                stands_s=looks.stands_s,
                monotonic=monotonic,
            ),
        )
