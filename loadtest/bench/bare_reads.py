"""Bare trail reads: cassandra-driver reads the trails that `query` reads, and decodes them."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from ledger.numbers import filing_key
from ledger.v1.log_record_pb2 import LogRecord
from ledger.v1.scan_event_pb2 import ScanEvent
from loadtest.bench.asking import answer
from loadtest.bench.bare_cassandra import Store, connected
from loadtest.bench.processes import Seen
from loadtest.bench.stats import percentiles
from loadtest.bench.traffic import number_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

ROWS_MAX: Final = 1_000
"""Most rows of one trail; those of the bench have twenty."""

WARM_READS: Final = 500
"""Reads before anything is measured."""


class Reader:
    """Reads trails with a session of the driver."""

    def __init__(self, session: Any, store: Store) -> None:  # noqa: ANN401 - the driver has no types.
        self._session = session
        self._session.default_fetch_size = None
        self._prepared = session.prepare(
            f"SELECT order_key, record FROM {store.rows} "  # noqa: S608 - our own names.
            f"WHERE tracking_key = ? LIMIT {ROWS_MAX}"
        )

    def one_by_one(self, keys: Iterable[bytes]) -> list[float]:
        """Read trails one after the other; seconds of each."""
        taken = []
        for key in keys:
            started_s = time.perf_counter()
            decoded(self._session.execute(self._prepared, (key,)))
            taken.append(time.perf_counter() - started_s)
        return taken

    def at_once(self, keys: Sequence[bytes], at_once: int) -> float:
        """Read trails, so many at once; trails a second."""
        waiting, over = iter(keys), threading.Event()
        errors: list[Exception] = []
        lock, running = threading.Lock(), at_once

        def next_key() -> bytes | None:
            nonlocal running
            with lock:
                key = next(waiting, None)
                if key is None or errors:
                    running -= 1
                    if not running:
                        over.set()
                    return None
                return key

        def done(rows: Any) -> None:  # noqa: ANN401
            decoded(rows)
            go_on()

        def failed(error: Exception) -> None:
            errors.append(error)
            next_key()

        def go_on() -> None:
            if (key := next_key()) is not None:
                future = self._session.execute_async(self._prepared, (key,))
                future.add_callbacks(done, failed)

        started_s = time.monotonic()
        for _ in range(at_once):
            go_on()
        over.wait()
        if errors:
            raise errors[0]
        return len(keys) / (time.monotonic() - started_s)


def decoded(rows: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, ScanEvent]]:
    """Read records and events out of rows, as whoever shows a trail has to."""
    found = []
    for order_key, raw in rows:
        record = LogRecord.FromString(raw)
        found.append((order_key, ScanEvent.FromString(record.event)))
    return iter(found)


def read(question: dict[str, Any]) -> dict[str, Any]:
    """Read trails of these items, one at a time and many at a time."""
    store, choose = Store(**question["store"]), random.Random(2)
    keys = [filing_key(number_of(item)) for item in question["items"]]
    nodes = [Seen(pid) for pid in question["pids"]]
    calls = question["calls"]
    with connected(store) as session:
        reader = Reader(session, store)
        reader.at_once(choose.choices(keys, k=WARM_READS), question["at_once"])
        single = reader.one_by_one(choose.choices(keys, k=calls))
        own_s, nodes_s = time.process_time(), sum(node.cpu_s() for node in nodes)
        per_s = reader.at_once(choose.choices(keys, k=calls), question["at_once"])
        own_s = time.process_time() - own_s
        nodes_s = sum(node.cpu_s() for node in nodes) - nodes_s
    return {
        "per_s": per_s,
        "ms": percentiles(single),
        "cpu_us": own_s / calls * 1e6,
        "cassandra_us": nodes_s / calls * 1e6,
    }


if __name__ == "__main__":
    answer(read)
