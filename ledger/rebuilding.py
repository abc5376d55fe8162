"""Makes the trail store again from the log, beside the one that serves, and lets the new one serve.

Every row is a function of the log, so nothing of the old store is read. Before it serves, the new
one is compared with the log, up to where the writer had settled everything that was brought to it.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.bringing import Bringing
from ledger.compare.comparing import compare_with_log
from ledger.errors import NotPossibleNow
from ledger.insist import insist
from ledger.marks import TRAIL_READER, marks_of
from ledger.trail_store import MarkKind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping

    from ledger.compare.comparing import Comparison
    from ledger.generations import Generations
    from ledger.scan_log import Bounds, ScanLog
    from ledger.trail_store import TrailStore
    from ledger.upkeep import Told

SETTLED_EVERY_S: Final = 0.2
"""How often it is asked whether the writer has settled what was brought."""


class Rebuilt(NamedTuple):
    """What came of it."""

    generation: int
    """That was built."""
    before: int
    """That served until then."""
    records: int
    """How many were brought to it by this call; those of an earlier one were there already."""
    comparison: Comparison
    """Of the new generation with the log. It serves now if they are the same, else it does not."""


class Rebuilding:
    """Rebuilds the store of one process. One thing is done to its generations at a time."""

    def __init__(
        self,
        log: ScanLog,
        store: TrailStore,
        generations: Generations,
        *,
        refused: Callable[[], Awaitable[Collection[int]]],
        monotonic: Callable[[], float],
    ) -> None:
        """`generations` are those of `store`, to which a writer carries `log`; `refused` gives the
        positions of what the store did not take, by quarantine; `monotonic` gives seconds.
        """
        self._log = log
        self._store = store
        self._generations = generations
        self._refused = refused
        self._monotonic = monotonic
        self._under_way = False

    async def rebuild(self, told: Told) -> Rebuilt:
        """Build a generation, compare it, let it serve. Where one was begun it goes on with that.

        Cancelled or failed, it leaves the old one serving; the new one gets what is put, and
        another call goes on. Raises NotPossibleNow where another is at work, Diverged where the log
        is not the one from which the new generation was begun.
        """
        with self._alone():
            before = (await insist(self._generations.standing)).serving
            building = await self._generations.begin()
            # What comes from here on is put to both; all of the log up to here has to be brought.
            bringing = Bringing(self._log, self._store, building, monotonic=self._monotonic)
            spans = await bringing.spans()
            records = sum(span.next - span.first for span in spans.values())
            # What is compared behind it counts too, once for the log and once for the rows.
            told.total(sum(3 * span.next - span.first for span in spans.values()))
            await bringing.bring(spans, frozenset(await self._refused()), told)
            told.done(records, "waits until the writer has settled what was brought")
            await self._until_settled(spans)
            comparison = await compare_with_log(
                self._log,
                self._store,
                building.rows,
                refused=self._refused,
                told=_Behind(told, records),
            )
            if comparison.is_same:
                # A store that does not answer just now is not worth another comparison.
                await insist(partial(self._generations.serve, building.generation))
            return Rebuilt(building.generation, before, records, comparison)

    async def drop(self, generation: int) -> None:
        """Remove a generation that does not serve. Raises NotPossibleNow."""
        with self._alone():
            await self._generations.drop(generation)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if self._under_way:
            raise NotPossibleNow(
                "The store is being rebuilt, or a generation dropped. `parcel-ledger jobs list` "
                "shows how far it is.",
                reason="REBUILD_UNDER_WAY",
            )
        self._under_way = True
        try:
            yield
        finally:
            self._under_way = False

    async def _until_settled(self, spans: Mapping[int, Bounds]) -> None:
        """Wait until the writer has settled all of it: then it is compared, and nothing of the new
        generation was put before it was begun.
        """
        while True:
            cells = await insist(partial(self._store.marks, TRAIL_READER))
            marks = marks_of(cells, self._log.identity)
            settled = {
                partition: mark.next_index
                for (kind, partition), mark in marks.items()
                if kind is MarkKind.SETTLED
            }
            if all(settled.get(place, 0) >= span.next for place, span in spans.items()):
                return
            await asyncio.sleep(SETTLED_EVERY_S)


class _Behind:
    """Tells of work that comes behind other work, as one."""

    def __init__(self, told: Told, before: int) -> None:
        self._told = told
        self._before = before

    def total(self, total: int) -> None:
        """Say how much there is in all."""
        self._told.total(self._before + total)

    def done(self, count: int, message: str = "") -> None:
        """Say how much is done in all."""
        self._told.done(self._before + count, message)
