"""Work that goes on when its caller leaves, and that callers with the same id share.

Who gives up waiting for numbers comes again with the same id: without this each try would begin
anew, and cost numbers each time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from ledger.errors import Busy

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")

CARRIED_MAX: Final = 256
"""Most at once: each may wait for seconds until the store has settled what it decided."""

RETRY_AFTER_S: Final = 1.0


class Carried(Generic[T]):
    """What is under way, by id. Each ends by itself."""

    def __init__(self) -> None:
        self._under_way: dict[bytes, asyncio.Task[T]] = {}

    async def carry(self, name: bytes, work: Callable[[], Coroutine[None, None, T]]) -> T:
        """Begin work, or wait for the work of that name that is under way. Raises what it raises,
        and Busy where too much is under way.
        """
        task = self._under_way.get(name)
        if task is None:
            if len(self._under_way) >= CARRIED_MAX:
                raise Busy(
                    "Too many requests are under way.",
                    reason="TOO_MANY_UNDER_WAY",
                    retry_after_s=RETRY_AFTER_S,
                )
            task = self._under_way[name] = asyncio.create_task(work(), name="carried")
            task.add_done_callback(lambda done: self._ended(name, done))
        return await asyncio.shield(task)

    def _ended(self, name: bytes, task: asyncio.Task[T]) -> None:
        del self._under_way[name]
        if not task.cancelled():
            task.exception()  # Nobody may be left who takes it.
