"""How far the ledger is, as queries need it: what may be shown now, or could be at some time.

A trail's pins come from the marks of its own partitions. A plain read may use marks that are
MARKS_AGE_MAX_S old; who has to read its own writes says `at_least`. Pins of a time come from the
progress history, which never changes.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from ledger.errors import DeadlinePassed, NotPossibleNow
from ledger.event import TIME_NS_END
from ledger.marks import TRAIL_READER
from ledger.numbers import partition_of
from ledger.position import SCANS_LOG
from ledger.trail_store import MarkKind
from ledger.v1.progress_pb2 import Mark, ProgressEntry
from query.shared_read import SharedRead
from query.trail import Pin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ledger.position import Position
    from ledger.trail_store import ProgressCell, TrailStore

MARKS_AGE_MAX_S = 0.05
"""Oldest marks that a plain read may use: a small part of the time from scan to trail, and under
load the marks cost the store 20 reads a second instead of one for each request.
"""

AT_LEAST_POLL_S = 0.02
"""How often marks are read while a request waits for a position: a writer's step takes longer."""

Where = tuple[str, int, int]
"""Log, generation, partition."""


class PartitionView(NamedTuple):
    """How far one partition is, in next indexes."""

    readable: int
    settled: int
    readable_record_time_ns: int


class Shown(NamedTuple):
    """What may be shown of the log `scans`: one state of the ledger, of which pins are a part."""

    next_indexes: Mapping[tuple[int, int], int]
    """By generation and partition; what is not in it shows nothing."""
    generations: Mapping[int, int]
    """Number of partitions of each generation."""

    def pins(self, keys: Sequence[bytes]) -> list[Pin]:
        """Pin the partitions in which these keys lie."""
        return [
            Pin(*place, self.next_indexes[place])
            for place in places_of(keys, self.generations)
            if place in self.next_indexes
        ]

    def all_pins(self) -> list[Pin]:
        """Pin all partitions."""
        return [Pin(*place, end) for place, end in self.next_indexes.items()]


def shown_by(pins: Sequence[Pin], generations: Mapping[int, int]) -> Shown:
    """Give what pins say may be shown: nothing of other partitions."""
    return Shown({(one.generation, one.partition): one.next_index for one in pins}, generations)


class _Marks(NamedTuple):
    """What one read of the marks says. Nobody changes it, so many share it."""

    partitions: Mapping[Where, PartitionView]
    shown: Shown


def places_of(keys: Sequence[bytes], generations: Mapping[int, int]) -> list[tuple[int, int]]:
    """Name the partitions in which these keys lie: one in each generation for each key."""
    return sorted(
        {
            (generation, partition_of(key, partitions))
            for generation, partitions in generations.items()
            for key in keys
        }
    )


class ProgressView:
    """What one process knows of the ledger's progress. Shared by all services of the process."""

    def __init__(
        self,
        store: TrailStore,
        *,
        generations: Mapping[int, int],
        monotonic: Callable[[], float],
    ) -> None:
        """`generations` gives the number of partitions of each generation of the log `scans`;
        `monotonic` gives seconds.
        """
        self._store = store
        self.generations = generations
        self._monotonic = monotonic
        self._marks = SharedRead(self._read_marks, monotonic=monotonic)
        self._last_entry = SharedRead(self._read_last_entry, monotonic=monotonic)
        self._history_ns = 0
        """Time of an entry of the history; the last one is at or after it."""

    async def partitions(self, age_s: float) -> Mapping[Where, PartitionView]:
        """Tell how far each partition that has a mark was at most `age_s` seconds ago, sorted."""
        return (await self._marks.at_most(age_s)).partitions

    async def shown_now(self) -> Shown:
        """Tell what is readable, as of at most MARKS_AGE_MAX_S ago."""
        return (await self._marks.at_most(MARKS_AGE_MAX_S)).shown

    async def shown_at(self, time_ns: int) -> Shown:
        """Tell what the ledger could have shown at a time. The answer never changes: times of the
        history only grow, so nothing comes to stand before a time that has a later entry.

        Raises NotPossibleNow for a time after the last entry.
        """
        if time_ns > self._history_ns:
            last_ns = await self.history_time_ns(0.0)
            if last_ns is None or time_ns > last_ns:
                raise _after_history(last_ns)
            self._history_ns = last_ns
        cell = await self._store.progress_at(time_ns)
        settled = ProgressEntry.FromString(cell.entry).settled if cell else ()
        return Shown(
            {(at.generation, at.partition): at.next_index for at in settled if at.log == SCANS_LOG},
            self.generations,
        )

    async def history_time_ns(self, age_s: float) -> int | None:
        """Return the time of the last entry of the history, as of at most `age_s` seconds ago."""
        last = await self._last_entry.at_most(age_s)
        return last[0].time_ns if last else None

    async def wait_for(self, wanted: Sequence[Position], timeout_s: float) -> None:
        """Return when all these records are readable. Raises DeadlinePassed, which says how far
        their partitions are.
        """
        deadline_s = self._monotonic() + timeout_s
        # Marks only grow: what is readable in old ones is readable now.
        age_s = MARKS_AGE_MAX_S
        while True:
            left_s = deadline_s - self._monotonic()
            partitions = await self.partitions(age_s if left_s > 0 else 0.0)
            readable = {at: _readable(partitions, at) for at in wanted}
            if all(at.index < next_index for at, next_index in readable.items()):
                return
            if left_s <= 0:
                raise _too_late(readable, timeout_s)
            age_s = AT_LEAST_POLL_S
            await asyncio.sleep(min(AT_LEAST_POLL_S, left_s))

    async def _read_last_entry(self) -> tuple[ProgressCell, ...]:
        # By a time, so that only entries count that are there for good.
        last = await self._store.progress_at(TIME_NS_END)
        return (last,) if last else ()

    async def _read_marks(self) -> _Marks:
        views: dict[Where, PartitionView] = {}
        for cell in await self._store.marks(TRAIL_READER):
            where = (cell.log, cell.generation, cell.partition)
            readable, settled, time_ns = views.get(where, PartitionView(0, 0, 0))
            if cell.kind is MarkKind.SETTLED:
                settled = cell.next_index
            # What is settled is readable: its rows outlive a readable mark that a power cut took.
            if cell.next_index > readable:
                readable = cell.next_index
                time_ns = Mark.FromString(cell.mark).last_record_time_ns
            views[where] = PartitionView(readable, settled, time_ns)
        next_indexes = {
            (generation, partition): view.readable
            for (log, generation, partition), view in views.items()
            if log == SCANS_LOG
        }
        return _Marks(dict(sorted(views.items())), Shown(next_indexes, self.generations))


def _readable(partitions: Mapping[Where, PartitionView], at: Position) -> int:
    view = partitions.get((SCANS_LOG, at.generation, at.partition))
    return view.readable if view else 0


def _too_late(readable: Mapping[Position, int], timeout_s: float) -> DeadlinePassed:
    missing = [at for at, next_index in readable.items() if at.index >= next_index]
    first = missing[0]
    return DeadlinePassed(
        f"{len(missing)} of {len(readable)} records were not readable within {timeout_s:g} s; for "
        f"example, partition {first.partition} of generation {first.generation} is readable below "
        f"index {readable[first]}, and index {first.index} is asked for. Ask again.",
        reason="NOT_READABLE_IN_TIME",
        metadata={
            f"readable_g{at.generation}_p{at.partition}": str(next_index)
            for at, next_index in readable.items()
        },
    )


def _after_history(last_ns: int | None) -> NotPossibleNow:
    if last_ns is None:
        return NotPossibleNow(
            "There is no progress history yet, so no past state is known. Ask again in some "
            "seconds.",
            reason="AS_OF_AFTER_HISTORY",
            field="as_of_time",
        )
    seconds, nanos = divmod(last_ns, 1_000_000_000)
    written = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanos:09d}Z"
    return NotPossibleNow(
        f"`as_of_time` is after {written}, the last moment of which the ledger knows what it could "
        f"have shown. Ask for that time or an earlier one, or again in some seconds.",
        reason="AS_OF_AFTER_HISTORY",
        field="as_of_time",
        metadata={"history_time": written},
    )
