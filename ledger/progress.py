"""The progress history: what was settled when, so that a past answer never changes.

Entry n holds a time later than that of entry n-1, and the settled next index of every partition.
Any number of processes may try to append; the store decides each number once.
"""

from __future__ import annotations

import asyncio
import logging
import random
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

LOOK_LEAST_S = 2.0
LOOK_MOST_S = 4.0
"""How often a process looks whether others still make entries, at least and at most: twice as long
as they need for one, and not all who look at once. Where they have ended, `as of` is that much
coarser, once.
"""


async def keep_history(
    store: TrailStore,
    *,
    now_ns: Callable[[], int],
    spread: Callable[[], float] = random.random,
) -> None:
    """Append entries until cancelled, as one of any number of processes that may.

    Who made the last entry makes the next one too, so one process at a time does the work. Others
    look now and then whether there are new entries, and try where there is none.
    `now_ns` gives nanoseconds since 1970-01-01T00:00:00Z, `spread` a random number from 0 to 1.
    """
    turn = _Turn()
    while True:
        try:
            last = await store.progress_at()
            if last is not None:
                metrics.PROGRESS_AGE_SECONDS.set((now_ns() - last.time_ns) / 1e9)
            if turn.is_mine(last) and (cell := await _entry_after(last, store, now_ns)):
                turn.tried = cell
                await _decide(store, cell)
        except (Busy, Uncertain) as error:
            # Nothing is lost: the next tick tries the same number, or the one after it.
            logger.warning("no progress entry", extra={"error": str(error)})
        wait_s = TICK_S
        if turn.others_make_them:
            wait_s = LOOK_LEAST_S + spread() * (LOOK_MOST_S - LOOK_LEAST_S)
        await asyncio.sleep(wait_s)


class _Turn:
    """Whose turn it is, by what one process sees of the history.

    Attributes:
        tried: the entry that this process tried last; whether it stands may be unknown.
        others_make_them: whether the last entry that is new to us was another process's.
    """

    def __init__(self) -> None:
        self.tried: ProgressCell | None = None
        self.others_make_them = False
        self._looked = False
        self._seen: ProgressCell | None = None

    def is_mine(self, last: ProgressCell | None) -> bool:
        """Say whether to try an entry behind the last one; tell it every last one once."""
        is_new = self._looked and last != self._seen
        is_ours = last is not None and last == self.tried
        self._looked, self._seen = True, last
        if is_ours:
            self.others_make_them = False
        elif is_new:
            self.others_make_them = True
        # Without news nobody else makes entries, or nothing moves: then there is none to make.
        return is_ours or not is_new


async def append_entry(store: TrailStore, *, now_ns: Callable[[], int]) -> bool:
    """Append one entry where something moved or a minute has passed; say whether this call made
    it.
    """
    cell = await _entry_after(await store.progress_at(), store, now_ns)
    return cell is not None and await _decide(store, cell)


async def _entry_after(
    last: ProgressCell | None, store: TrailStore, now_ns: Callable[[], int]
) -> ProgressCell | None:
    """Make the entry behind the last one; None where none is due."""
    before = ProgressEntry.FromString(last.entry).settled if last else ()
    settled = _settled(before, await store.marks(TRAIL_READER))
    time_ns = now_ns()
    if last is not None:
        quiet = time_ns - last.time_ns < QUIET_S * 1e9
        unmoved = list(before) == settled
        if time_ns <= last.time_ns:
            # This clock went back, or another process's is ahead: no entry until it has caught up.
            logger.warning(
                "the clock is behind the progress history", extra={"last_ns": last.time_ns}
            )
            return None
        if quiet and unmoved:
            return None
    number = last.number + 1 if last else 1
    entry = ProgressEntry(number=number, time_ns=time_ns, settled=settled)
    return ProgressCell(number, time_ns, entry.SerializeToString(deterministic=True))


async def _decide(store: TrailStore, cell: ProgressCell) -> bool:
    decided = await store.decide_progress(cell)
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
