"""One session with a Cassandra cluster: the driver's callbacks become awaitables, its errors ours.

The driver runs a thread of its own. What it finds out there is handed to the event loop with one
call for each request, and may come after the caller, or the loop, has gone.
"""

from __future__ import annotations

import asyncio
from string import Template
from typing import TYPE_CHECKING, Any, Final

from cassandra import ConsistencyLevel
from cassandra.query import BoundStatement

from ledger import metrics
from ledger.backends.cassandra_errors import (
    Failure,
    Outcome,
    closed,
    failure_of,
    read_error,
    write_error,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cassandra.cluster import Cluster
    from cassandra.cluster import Session as DriverSession
    from cassandra.metadata import Metadata
    from cassandra.pool import Host
    from cassandra.query import PreparedStatement, Statement

    from ledger.backends.cassandra_cluster import CassandraCluster
    from ledger.errors import LedgerError

TRIES: Final = 3
"""Nodes that are asked in turn where the first can no longer answer: as many as have a row."""

ROOM_EVERY_S: Final = 0.005
"""How often it is looked whether a connection that was full has room again."""

ROOM_AFTER_S: Final = 1.0
"""Longest wait for room in a connection: a node that reads nothing for so long is not well."""

REQUESTS_MAX: Final = 256
"""Most requests on their way at once, of the 32,768 that a connection has numbers for."""

DEFINE_TIMEOUT_S: Final = 30.0
"""Longest wait for a change of the schema, which all nodes have to learn."""

Rows = list[tuple[Any, ...]]


def serial_level(cluster: CassandraCluster) -> int:
    """Give the consistency of decisions that belongs to that of everything else."""
    level: int = ConsistencyLevel.name_to_value[cluster.consistency.replace("QUORUM", "SERIAL")]
    return level


class Bound(BoundStatement):  # type: ignore[misc] # The driver has no types.
    """A prepared statement with values that are encoded already."""

    routing_key: bytes | None = None
    """The driver's own is a property, which knows no IN."""

    def __init__(
        self, prepared: PreparedStatement, values: Sequence[bytes], key: bytes | None
    ) -> None:
        """`key` is a partition key: who has it is asked first."""
        super().__init__(prepared)
        self.values = values
        self.routing_key = key


class Session:
    """What `open_session` gives. Used from one event loop."""

    def __init__(
        self,
        cluster: CassandraCluster,
        driver: Cluster,
        session: DriverSession,
        *,
        generation: int,
        monotonic: Callable[[], float],
    ) -> None:
        """`driver` and `session` are connected; `monotonic` gives seconds."""
        self.cluster = cluster
        self._monotonic = monotonic
        self.generation = generation
        self._driver = driver
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._places = asyncio.Semaphore(REQUESTS_MAX)
        self._under_way: set[asyncio.Future[Rows]] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    @property
    def metadata(self) -> Metadata:
        """What the driver knows of the cluster: nodes, ring, keyspaces."""
        return self._driver.metadata

    @property
    def data_centre(self) -> str:
        """The data centre that is used."""
        return self.cluster.data_centre or str(self.metadata.all_hosts()[0].datacenter)

    def nodes(self) -> list[Host]:
        """Give the nodes of the data centre, up or not."""
        centre = self.data_centre
        return [host for host in self.metadata.all_hosts() if host.datacenter == centre]

    async def prepare(
        self, cql: str, *, rows: int = 0, serial: bool = False, repeatable: bool = True
    ) -> PreparedStatement:
        """Prepare a statement, in which `$keyspace` and `$generation` stand for what they are, and
        `$rows` for the generation whose rows it is about.

        `serial`: it reads what compare-and-set decides. `repeatable`: once or twice is the same.
        """
        try:
            prepared = await asyncio.to_thread(self._session.prepare, self._filled(cql, rows))
        except Exception as error:
            raise self.counted(read_error(failure_of(error))) from error
        if serial:
            prepared.consistency_level = serial_level(self.cluster)
        prepared.is_idempotent = repeatable
        prepared.fetch_size = None  # Through callbacks only the first page would come.
        return prepared

    async def read(
        self,
        prepared: PreparedStatement,
        values: Sequence[bytes],
        *,
        key: bytes | None,
        host: Host | None = None,
    ) -> Rows:
        """Read rows. Raises Busy or Refused."""
        try:
            return await self.try_(Bound(prepared, values, key), host=host)
        except Failure as failure:
            raise self.counted(read_error(failure)) from failure.error

    async def write(self, statement: Statement) -> Rows:
        """Write. Raises Busy, Uncertain or Refused."""
        try:
            return await self.try_(statement)
        except Failure as failure:
            raise self.counted(write_error(failure)) from failure.error

    async def define(self, cql: str) -> None:
        """Change the schema, and wait until all nodes that are up have it. Raises Failure."""
        try:
            await asyncio.to_thread(self._session.execute, cql, timeout=DEFINE_TIMEOUT_S)
        except Exception as error:
            raise failure_of(error) from error

    async def try_(self, statement: Statement, *, host: Host | None = None) -> Rows:
        """Send a statement, to another node too where that may help. Raises Failure or Closed."""
        tries = TRIES if statement.is_idempotent and host is None else 1
        full_until_s = self._monotonic() + ROOM_AFTER_S
        perhaps: Failure | None = None
        while True:
            try:
                return await self._once(statement, host)
            except Failure as failure:
                if failure.full and self._monotonic() < full_until_s:
                    await asyncio.sleep(ROOM_EVERY_S)
                    continue
                if failure.outcome is Outcome.PERHAPS:
                    perhaps = failure
                tries -= 1
                if failure.elsewhere and tries:
                    continue
                # What an earlier try may have done is still true after one that did nothing.
                raise perhaps or failure from failure.error

    async def close(self) -> None:
        """Take no more requests, wait for those under way, and let go of the cluster."""
        self._closed = True
        try:
            await self._idle.wait()
        finally:
            await asyncio.to_thread(self._driver.shutdown)

    def check(self) -> None:
        """Raise Closed where this is closed."""
        if self._closed:
            raise closed()

    def _filled(self, cql: str, rows: int) -> str:
        keyspace = self.cluster.keyspace
        names = {"keyspace": keyspace, "generation": self.generation, "rows": rows}
        return Template(cql).substitute(names)

    async def _once(self, statement: Statement, host: Host | None) -> Rows:
        self.check()
        await self._places.acquire()
        future: asyncio.Future[Rows] = self._loop.create_future()
        self._under_way.add(future)
        self._idle.clear()
        try:
            self.check()
            request = self._session.execute_async(statement, host=host)
        except BaseException:
            self._leave(future)
            raise
        # It goes on to its end, also where the caller does not wait any more.
        request.add_callbacks(self._hand_over, self._hand_over, (future,), None, (future,), None)
        try:
            return await future
        except asyncio.CancelledError:
            raise
        except Exception as error:
            raise failure_of(error) from error

    def _hand_over(self, result: Rows | Exception | None, future: asyncio.Future[Rows]) -> None:
        """Called in the driver's thread, or at once where there is a result already."""
        try:
            self._loop.call_soon_threadsafe(self._finish, future, result)
        except RuntimeError:
            return  # The loop is closed: nobody waits any more.

    def _finish(self, future: asyncio.Future[Rows], result: Rows | Exception | None) -> None:
        if future not in self._under_way:
            return  # A second node answered too.
        self._leave(future)
        if future.done():
            return
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result or [])

    def _leave(self, future: asyncio.Future[Rows]) -> None:
        self._under_way.discard(future)
        self._places.release()
        if not self._under_way:
            self._idle.set()

    @staticmethod
    def counted(error: LedgerError) -> LedgerError:
        """Count an error that is about to be raised."""
        metrics.STORE_ERRORS.labels(type(error).__name__).inc()
        return error
