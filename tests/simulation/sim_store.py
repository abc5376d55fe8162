"""A trail store that is made up: several nodes, each of which forgets what is young when it dies.

Rows, marks and the history are kept at once, and are there for good `settle_after_s` later. What a
dying node forgets is chosen by the seed: everything behind a moment, or each on its own.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar
from zlib import crc32

from ledger.errors import Closed, Refused
from ledger.trail_store import PUT_ROWS_MAX, READ_MANY_KEYS_MAX, MarkCell, Slice, StoredRow
from tests.simulation.faults import Requests, uncertain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from random import Random

    from ledger.trail_store import MarkKind, ProgressCell, Row
    from tests.simulation.faults import Faults, Timers

T = TypeVar("T")

RESTART_LEAST_S: Final = 0.6
"""Shortest time from a node's death to its next life."""


class Kept(NamedTuple):
    """A record, and when it was kept first."""

    record: bytes
    since_s: float


class Trail:
    """The rows of one key."""

    def __init__(self) -> None:
        self.orders: list[bytes] = []
        self.rows: dict[bytes, Kept] = {}


Place = tuple[str, "MarkKind", str, int, int]


class StoreCluster:
    """The store's engine: what all processes share, and what outlives them."""

    forgets = True
    """Whether young entries are kept back: a contract suite asks at once, and no node dies."""

    def __init__(
        self,
        timers: Timers,
        random: Random,
        faults: Faults,
        *,
        nodes: int = 1,
        settle_after_s: float = 2.0,
        latency_s: float = 0.004,
    ) -> None:
        self.timers = timers
        self.random = random
        self.requests = Requests(timers, random, faults, latency_s=latency_s)
        self.settle_after_s = settle_after_s
        self.lives = {f"node-{number}": f"{number}.1" for number in range(nodes)}
        self.down: dict[str, None] = {}
        self.trails: dict[bytes, Trail] = {}
        self.marks: dict[Place, list[tuple[MarkCell, float]]] = {}
        self.history: list[tuple[ProgressCell, float]] = []
        self.missing: dict[tuple[bytes, bytes], None] = {}
        """Rows that were forgotten, and not put again since: key and order."""
        self.deaths = 0
        """Of nodes, so far."""
        self.on_rows: Callable[[Sequence[Row]], object] = bool
        self.on_marks: Callable[[str, Sequence[MarkCell]], object] = lambda *_: None
        self.on_entry: Callable[[ProgressCell], object] = bool
        """Told after something was kept."""

    def node_of(self, key: bytes) -> str:
        return f"node-{crc32(key) % len(self.lives)}"

    def put(self, rows: Sequence[Row]) -> None:
        now = self.timers.time()
        for key, order, record, _ in rows:
            trail = self.trails.get(key)
            if trail is None:
                trail = self.trails[key] = Trail()
            self.keep(trail, key, order, record, now)
        self.on_rows(rows)

    def keep(self, trail: Trail, key: bytes, order: bytes, record: bytes, now: float) -> None:
        """Keep a row; one that is there stays as it is."""
        if order not in trail.rows:
            insort(trail.orders, order)
            trail.rows[order] = Kept(record, now)
            if self.missing:
                self.missing.pop((key, order), None)

    def put_marks(self, reader: str, marks: Sequence[MarkCell]) -> None:
        now = self.timers.time()
        for cell in marks:
            place = (reader, cell.kind, cell.log, cell.generation, cell.partition)
            cells = self.marks.setdefault(place, [])
            if not cells or cells[-1][0].next_index < cell.next_index:
                cells.append((cell, now))
        self.on_marks(reader, marks)

    def marks_of(self, reader: str) -> list[MarkCell]:
        return [cells[-1][0] for place, cells in self.marks.items() if place[0] == reader and cells]

    def decide(self, cell: ProgressCell) -> bool:
        history = self.history
        if 0 < cell.number <= len(history):
            return history[cell.number - 1][0] == cell
        if cell.number != len(history) + 1 or (history and history[-1][0].time_ns >= cell.time_ns):
            return False
        history.append((cell, self.timers.time()))
        self.on_entry(cell)
        return True

    def entry_at(self, time_ns: int | None) -> ProgressCell | None:
        if time_ns is None:
            return self.history[-1][0] if self.history else None
        for_good = self.timers.time() - self.settle_after_s
        at = bisect_left(self.history, time_ns + 1, key=lambda each: each[0].time_ns)
        while at and self.history[at - 1][1] > for_good and self.forgets:
            at -= 1
        return self.history[at - 1][0] if at else None

    # --- a node dies ------------------------------------------------------------------------------

    def kill(self, node: str) -> int:
        """Let a node die, and forget; say how many rows it forgot. `revive` brings it back."""
        self.down[node] = None
        self.deaths += 1
        now = self.timers.time()
        forgets = self._forgetting(now)
        lost = 0
        for key, trail in self.trails.items():
            if self.node_of(key) == node:
                gone = [order for order, kept in trail.rows.items() if forgets(kept.since_s)]
                for order in gone:
                    del trail.rows[order]
                    trail.orders.remove(order)
                    self.missing[key, order] = None
                lost += len(gone)
        for place, cells in self.marks.items():
            if self.node_of(place[0].encode()) == node:
                cells[:] = [each for each in cells if not forgets(each[1])]
        if self.node_of(b"history") == node:
            first = next((at for at, each in enumerate(self.history) if forgets(each[1])), None)
            del self.history[len(self.history) if first is None else first :]
        return lost

    def revive(self, node: str) -> None:
        """Let a node come back, in another life."""
        number, _, life = self.lives[node].partition(".")
        self.lives[node] = f"{number}.{int(life) + 1}"
        self.down.pop(node, None)

    def reachable(self) -> dict[str, str]:
        return {node: life for node, life in self.lives.items() if node not in self.down}

    def _forgetting(self, now: float) -> Callable[[float], bool]:
        young = now - self.settle_after_s
        if self.random.random() < 0.5:
            since = young + self.settle_after_s * self.random.random()
            return lambda kept_s: kept_s > since
        share = self.random.random()
        return lambda kept_s: kept_s > young and self.random.random() < share


class SimStore:
    """A `TrailStore`: one process's way to the cluster."""

    def __init__(self, cluster: StoreCluster) -> None:
        self._cluster = cluster
        self._closed = False

    def close(self) -> None:
        self._closed = True

    @property
    def generation(self) -> int:
        return 1

    @property
    def settle_after_s(self) -> float:
        return self._cluster.settle_after_s

    async def lives(self) -> Mapping[str, str]:
        return await self._ask("store.lives", self._cluster.reachable, ())

    async def put(self, rows: Sequence[Row]) -> None:
        if len(rows) > PUT_ROWS_MAX:
            raise Refused("These are too many rows.", reason="TOO_MANY_ROWS")
        rows, cluster = list(rows), self._cluster
        keys = {row.tracking_key: None for row in rows}

        def part() -> None:
            half = rows[len(rows) // 2 :]
            cluster.put([row for row in half if cluster.node_of(row[0]) not in cluster.down])

        await self._ask("store.put", lambda: cluster.put(rows), keys, part=part)

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
        return await self._ask(
            "store.read",
            lambda: self._slice(tracking_key, start, stop, descending, max_rows, max_bytes),
            (tracking_key,),
        )

    async def read_many(
        self, tracking_keys: Sequence[bytes], *, max_rows: int, max_bytes: int
    ) -> Sequence[Slice]:
        if len(tracking_keys) > READ_MANY_KEYS_MAX:
            raise Refused("These are too many keys.", reason="TOO_MANY_KEYS")
        return await self._ask(
            "store.read",
            lambda: [
                self._slice(key, b"", None, False, max_rows, max_bytes) for key in tracking_keys
            ],
            tracking_keys,
        )

    async def put_marks(self, reader: str, marks: Sequence[MarkCell]) -> None:
        marks = list(marks)
        await self._ask(
            "store.mark", lambda: self._cluster.put_marks(reader, marks), (reader.encode(),)
        )

    async def marks(self, reader: str) -> Sequence[MarkCell]:
        effect = self._cluster.marks_of
        return await self._ask("store.read", lambda: effect(reader), (reader.encode(),))

    async def decide_progress(self, cell: ProgressCell) -> bool:
        return await self._ask("store.decide", lambda: self._cluster.decide(cell), (b"history",))

    async def progress_at(self, time_ns: int | None = None) -> ProgressCell | None:
        return await self._ask("store.read", lambda: self._cluster.entry_at(time_ns), (b"history",))

    async def _ask(
        self,
        what: str,
        effect: Callable[[], T],
        keys: Sequence[bytes] | Mapping[bytes, None],
        *,
        part: Callable[[], object] | None = None,
    ) -> T:
        if self._closed:
            raise Closed("The store has been closed.", reason="CLOSED")
        cluster = self._cluster

        def reach() -> T:
            if cluster.down and any(cluster.node_of(key) in cluster.down for key in keys):
                raise uncertain(what)
            return effect()

        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        cluster.requests.send(what, reach, answer, part=part)  # type: ignore[arg-type]
        return await answer

    def _slice(  # noqa: PLR0917 - the arguments of `read`.
        self,
        key: bytes,
        start: bytes,
        stop: bytes | None,
        descending: bool,
        max_rows: int,
        max_bytes: int,
    ) -> Slice:
        trail = self._cluster.trails.get(key)
        if trail is None:
            return Slice([], False)
        low = bisect_left(trail.orders, start)
        high = len(trail.orders) if stop is None else bisect_left(trail.orders, stop)
        orders = trail.orders[low:high]
        if descending:
            orders.reverse()
        found: list[StoredRow] = []
        size = 0
        for order in orders:
            if len(found) >= max_rows or size >= max_bytes:
                return Slice(found, True)
            record = trail.rows[order].record
            found.append(StoredRow(order, record))
            size += len(record)
        return Slice(found, len(found) >= max_rows)
