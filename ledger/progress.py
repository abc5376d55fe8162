"""The progress history: what was settled when, so that a past answer never changes.

Entry n holds a time later than that of entry n-1, and the settled next index of every partition.
Any number of processes may try to append; the store decides each number once.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from ledger import metrics
from ledger.errors import Busy, Uncertain
from ledger.marks import TRAIL_READER
from ledger.trail_store import MarkKind, ProgressCell
from ledger.v1.progress_pb2 import ProgressEntry, SettledIndex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ledger.trail_store import MarkCell, TrailStore

logger = logging.getLogger(__name__)

TICK_S = 1.0
"""How often an entry is tried while anything moves: the grain of `as of`."""

QUIET_S = 60.0
"""How often an entry is made while nothing moves, so that `as of` a minute ago is always
answered.
"""


async def keep_history(store: TrailStore, *, now_ns: Callable[[], int]) -> None:
    """Append entries until cancelled. `now_ns` gives nanoseconds since 1970-01-01T00:00:00Z."""
    while True:
        try:
            await append_entry(store, now_ns=now_ns)
        except (Busy, Uncertain) as error:
            # Nothing is lost: the next tick tries the same number, or the one after it.
            logger.warning("no progress entry", extra={"error": str(error)})
        await asyncio.sleep(TICK_S)


async def append_entry(store: TrailStore, *, now_ns: Callable[[], int]) -> bool:
    """Append one entry where something moved or a minute has passed; say whether this call made
    it.
    """
    last = await store.progress_at()
    before = ProgressEntry.FromString(last.entry).settled if last else ()
    settled = _settled(before, await store.marks(TRAIL_READER))
    time_ns = now_ns()
    if last is not None:
        quiet = time_ns - last.time_ns < QUIET_S * 1e9
        unmoved = list(before) == settled
        metrics.PROGRESS_AGE_SECONDS.set((time_ns - last.time_ns) / 1e9)
        if time_ns <= last.time_ns:
            # This clock went back, or another process's is ahead: no entry until it has caught up.
            logger.warning(
                "the clock is behind the progress history", extra={"last_ns": last.time_ns}
            )
            return False
        if quiet and unmoved:
            return False
    number = last.number + 1 if last else 1
    entry = ProgressEntry(number=number, time_ns=time_ns, settled=settled)
    decided = await store.decide_progress(
        ProgressCell(number, time_ns, entry.SerializeToString(deterministic=True))
    )
    if decided:
        metrics.PROGRESS_ENTRIES.inc()
    return decided


def _settled(before: Iterable[SettledIndex], marks: Iterable[MarkCell]) -> list[SettledIndex]:
    """Give the settled indexes, none below what the entry before said: a store that forgot a young
    mark shows an older one, but the rows have been there for good all the same.
    """
    reached = {(each.log, each.generation, each.partition): each.next_index for each in before}
    for cell in marks:
        if cell.kind is MarkKind.SETTLED:
            place = (cell.log, cell.generation, cell.partition)
            reached[place] = max(cell.next_index, reached.get(place, 0))
    return [
        SettledIndex(log=log, generation=generation, partition=partition, next_index=index)
        for (log, generation, partition), index in sorted(reached.items())
    ]
