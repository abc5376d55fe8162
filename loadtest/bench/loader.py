"""The bare loader: cassandra-driver writes the writer's own rows, and does nothing else.

A process of its own, with the same consistency, replicas and nodes, into a table like the writer's.
It tries several sizes of batches and numbers in flight, and takes the best.
"""

from __future__ import annotations

import gc
import itertools
import threading
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cassandra.query import BatchStatement, BatchType, BoundStatement

from loadtest.bench.asking import answer
from loadtest.bench.bare_cassandra import Insistent, Store, connected
from loadtest.bench.loader_rows import Row, cut, read_rows
from loadtest.bench.processes import Seen

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

ROWS_PER_BATCH: Final = (50, 100, 200)
"""Sizes that are tried; one that is larger than the server takes is cut by bytes."""

IN_FLIGHT: Final = (8, 16, 32)
"""Numbers of batches on their way that are tried."""

USUAL: Final = (100, 16)
"""What is taken where nothing is tried."""

WARM_S: Final = 3.0
"""Seconds of load before anything is compared."""

TRY_S: Final = 1.5
"""Seconds of one try."""


class Written(NamedTuple):
    """What came of writing."""

    rows: int
    per_s: float


class Loader:
    """Writes rows into a table of its own, which is new in each process."""

    def __init__(self, session: Any, store: Store) -> None:  # noqa: ANN401 - the driver has no types.
        self._session = session
        self._store = store
        self._replicas = session.cluster.metadata.get_replicas
        table = session.cluster.metadata.keyspaces[store.keyspace].tables[store.table]
        self._like = table.as_cql_query()
        self._prepared: Any = None

    def new_table(self, name: str) -> None:
        """Make an empty table like the writer's, and write into it from now on."""
        full = f"{self._store.keyspace}.{name}"
        self._session.execute(f"DROP TABLE IF EXISTS {full}")
        self._session.execute(self._like.replace(self._store.rows, full, 1))
        self._prepared = self._session.prepare(
            f"INSERT INTO {full} (tracking_key, order_key, record) "  # noqa: S608 - our own names.
            "VALUES (?, ?, ?) USING TIMESTAMP ?"
        )

    def drop_table(self, name: str) -> None:
        """Remove it with its rows."""
        self._session.execute(f"DROP TABLE IF EXISTS {self._store.keyspace}.{name}")

    def batches(self, rows: Sequence[Row], rows_max: int) -> list[list[Row]]:
        """Cut rows into batches of rows with the same replicas."""
        return cut(rows, rows_max, self._group_of)

    def write(self, batches: Sequence[Sequence[Row]], in_flight: int, seconds: float) -> Written:
        """Write batches, `in_flight` at a time, until all are there or time is up."""
        room, errors, rows = threading.Semaphore(in_flight), [], 0

        def failed(error: Exception) -> None:
            errors.append(error)
            room.release()

        started_s = time.monotonic()
        for batch in batches:
            room.acquire()
            if errors or time.monotonic() - started_s > seconds:
                room.release()
                break
            future = self._session.execute_async(self._statement(batch))
            future.add_callbacks(lambda _: room.release(), failed)
            rows += len(batch)
        for _ in range(in_flight):
            room.acquire()
        if errors:
            raise errors[0]
        return Written(rows, rows / (time.monotonic() - started_s))

    def _statement(self, rows: Sequence[Row]) -> BatchStatement:
        statement = BatchStatement(BatchType.UNLOGGED)
        statement.is_idempotent = True
        prepared, add = self._prepared, statement.add
        for row in rows:
            bound = BoundStatement(prepared)
            bound.values = row  # Encoded already: a third of what `bind` takes.
            add(bound)
        return statement

    def _group_of(self, key: bytes) -> Hashable:
        return frozenset(host.address for host in self._replicas(self._store.keyspace, key))


def tune(loader: Loader, rows: Sequence[Row]) -> list[tuple[int, int, float]]:
    """Try all settings for a short time each; the best comes first."""
    loader.new_table("bench_tuning")
    cuts = {size: loader.batches(rows, size) for size in ROWS_PER_BATCH}
    loader.write(cuts[USUAL[0]], USUAL[1], WARM_S)
    tried = [
        (size, in_flight, loader.write(cuts[size], in_flight, TRY_S).per_s)
        for size, in_flight in itertools.product(ROWS_PER_BATCH, IN_FLIGHT)
    ]
    loader.drop_table("bench_tuning")
    return sorted(tried, key=lambda one: -one[2])


def load(question: dict[str, Any]) -> dict[str, Any]:
    """Read rows, try settings where none are given, and write rows with the best of them."""
    store = Store(**question["store"])
    nodes = [Seen(pid) for pid in question["pids"]]
    insistent = Insistent()
    with connected(store, insistent) as session:
        rows = read_rows(session, store, question["rows_max"])
        gc.collect()
        gc.freeze()  # Half a million rows need not be looked through again and again.
        loader = Loader(session, store)
        tried = tune(loader, rows) if question["tuned"] else []
        size, in_flight = question["settings"] or (tried[0][:2] if tried else USUAL)
        loader.new_table("bench_loader")
        if not tried:
            loader.write(loader.batches(rows, size), in_flight, WARM_S)
            loader.new_table("bench_loader")
        batches = loader.batches(rows, size)
        insistent.retries = 0
        before_s, own_s = sum(node.cpu_s() for node in nodes), time.process_time()
        written = loader.write(batches, in_flight, question["seconds"])
        after_s, own_after_s = sum(node.cpu_s() for node in nodes), time.process_time()
        loader.drop_table("bench_loader")
    return {
        "rows_per_s": written.per_s,
        "settings": [size, in_flight],
        "rows_per_batch": len(rows) / len(batches),
        "tried": tried,
        "retries": insistent.retries,
        "cpu_us": {
            "loader": (own_after_s - own_s) / written.rows * 1e6,
            "cassandra": (after_s - before_s) / written.rows * 1e6,
        },
    }


if __name__ == "__main__":
    answer(load)
