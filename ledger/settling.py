"""Settling: which rows are in the trail store for good, and what to do where it may have forgotten.

A store may forget young rows when one of its processes ends by kill -9 or a power cut, also rows
that were read back in between. So rows become settled only when `settle_after_s` has passed and no
process of the store ended meanwhile; if one did, everything that is not settled is written again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from ledger.insist import insist

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from ledger.trail_store import MarkCell, TrailStore

logger = logging.getLogger(__name__)

SETTLE_TICK_S = 0.5
"""How often the store's processes are asked for their lives, and what has settled is marked so."""


class StoreForgot(Exception):
    """The store may have forgotten rows that are not settled: write them again."""


class _Waiting(NamedTuple):
    due: float
    """When the rows below these marks are settled, by the monotonic clock, in seconds."""
    marks: Sequence[MarkCell]


class Settling:
    """What was kept by one who writes, and is not settled. `begin` comes before the first put."""

    def __init__(
        self,
        store: TrailStore,
        settle: Callable[[Sequence[MarkCell]], Awaitable[None]],
        *,
        monotonic: Callable[[], float],
    ) -> None:
        """`settle` is called with the last mark of each partition whose rows have settled, as it
        was added; `monotonic` gives seconds.
        """
        self._store = store
        self._settle = settle
        self._monotonic = monotonic
        self._waiting: deque[_Waiting] = deque()
        self._lives: Mapping[str, str] = {}

    async def begin(self) -> None:
        """Forget what waits, and note which lives the store's processes are in."""
        self._waiting.clear()
        self._lives = await insist(self._store.lives)

    def add(self, marks: Sequence[MarkCell]) -> None:
        """Take the marks behind rows that have just been put."""
        self._waiting.append(_Waiting(self._monotonic() + self._store.settle_after_s, marks))

    async def run(self) -> None:
        """Settle until cancelled. Raises StoreForgot."""
        while True:
            await asyncio.sleep(SETTLE_TICK_S)
            await self._tick()

    async def _tick(self) -> None:
        now = self._monotonic()
        # Asked again and again, not only when something is due: a process that came and ended
        # between two answers would not be seen, and it cannot do so within half a second.
        lives = await insist(self._store.lives)
        if lives != self._lives:
            logger.warning(
                "a process of the store ended or came back: what is not settled is written again",
                extra={"before": dict(self._lives), "now": dict(lives)},
            )
            raise StoreForgot
        due: dict[int, MarkCell] = {}
        # Only what was due before the lives were asked: they say nothing of later ends.
        while self._waiting and self._waiting[0].due <= now:
            marks = self._waiting.popleft().marks
            due.update((cell.partition, cell) for cell in marks)
        if due:
            await self._settle(list(due.values()))
