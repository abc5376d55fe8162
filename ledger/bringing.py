"""Brings the log to a generation of the store that is being built, and marks how far it came.

A store may forget young rows when one of its processes ends, so a mark is kept only when its rows
have settled, as a writer's are; where the store may have forgotten, bringing goes back to it.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Final

from ledger.insist import insist
from ledger.marks import check_mark, encode_mark, marks_of
from ledger.position import pack_position
from ledger.quarantine.records import record_time_of
from ledger.quarantine.sorting import rows_said
from ledger.scan_log import Bounds
from ledger.settling import Settling, StoreForgot
from ledger.trail_store import MarkKind

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from ledger.generations import Building
    from ledger.scan_log import ScanLog
    from ledger.trail_store import MarkCell, TrailStore
    from ledger.upkeep import Told

logger = logging.getLogger(__name__)

READ_RECORDS: Final = 4_000
"""Records after which it is marked how far it came: what a crash repeats, at most, and what has not
settled.
"""

BITE_RECORDS: Final = 250
"""Records after which the loop gets a turn: some 1 ms, beside live traffic."""

SETTLED_EVERY_S: Final = 0.2
"""How often it is looked whether all has settled."""


class Bringing:
    """Brings what the log holds at one moment, from where it was left."""

    def __init__(
        self,
        log: ScanLog,
        store: TrailStore,
        building: Building,
        *,
        monotonic: Callable[[], float],
    ) -> None:
        """`building` is of that store, and gets all that is put to it; `monotonic` gives
        seconds.
        """
        self._log = log
        self._building = building
        self._settling = Settling(store, self._mark, monotonic=monotonic)
        self._marked: dict[int, int] = {}
        """By partition: up to where it is marked."""

    async def spans(self) -> Mapping[int, Bounds]:
        """Give what has to be brought, by partition: from what is marked up to what is there.

        Raises Diverged where the log is not the one that was marked.
        """
        marks = marks_of(await insist(self._building.marks), self._log.identity)
        spans = {}
        for partition in range(self._log.identity.partitions):
            first, end = await insist(partial(self._log.bounds, partition))
            if mark := marks.get((MarkKind.READABLE, partition)):
                await insist(partial(check_mark, self._log, mark))
                first = max(first, mark.next_index)
            spans[partition] = Bounds(first, end)
        return spans

    async def bring(
        self, spans: Mapping[int, Bounds], refused: Collection[int], told: Told
    ) -> None:
        """Return when all of that is in the generation for good. `refused` are positions of records
        that the store did not take.
        """
        self._marked = {partition: span.first for partition, span in spans.items()}
        done = False
        while not done:
            await self._settling.begin()
            watch = asyncio.create_task(self._settling.run())
            try:
                await self._bring_all(spans, refused, told, watch)
                done = True
            except StoreForgot:
                logger.warning("the store may have forgotten what was brought: brought again")
            finally:
                watch.cancel()
                await asyncio.wait([watch])
                if not watch.cancelled():
                    watch.exception()  # Somebody has it already, or another error comes out.

    async def _bring_all(
        self,
        spans: Mapping[int, Bounds],
        refused: Collection[int],
        told: Told,
        watch: asyncio.Task[None],
    ) -> None:
        starts = dict(self._marked)
        done = sum(starts[place] - span.first for place, span in spans.items())
        number = self._building.generation
        for partition, span in spans.items():
            at = starts[partition]
            while at < span.next:
                count = await self._bring(partition, at, span.next - at, refused)
                at += count
                done += count
                told.done(done, f"brings partition {partition} to generation {number}")
                if watch.done():
                    watch.result()
        while any(self._marked[place] < span.next for place, span in spans.items()):
            if watch.done():
                watch.result()
            await asyncio.sleep(SETTLED_EVERY_S)

    async def _bring(self, partition: int, index: int, most: int, refused: Collection[int]) -> int:
        """Put the rows of some records, and have them marked; return of how many."""
        identity = self._log.identity
        values = await insist(partial(self._log.read, partition, index, min(most, READ_RECORDS)))
        first = pack_position(identity.generation, partition, index)
        for at in range(0, len(values), BITE_RECORDS):
            bite = values[at : at + BITE_RECORDS]
            rows = rows_said(bite, first + at, identity.partitions, refused)
            await insist(partial(self._building.put, rows))
            await asyncio.sleep(0)
        # If we crash here the same rows are put again with the same bytes.
        mark = encode_mark(
            identity,
            partition,
            next_index=index + len(values),
            last_record=values[-1],
            last_record_time_ns=record_time_of(values[-1]),
        )
        if self._building.settle_after_s:
            self._settling.add([mark])
        else:
            await self._mark([mark])
        return len(values)

    async def _mark(self, marks: Sequence[MarkCell]) -> None:
        await insist(partial(self._building.put_marks, marks))
        for cell in marks:
            self._marked[cell.partition] = cell.next_index
