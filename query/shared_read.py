"""One read for all who ask at the same time, and for a moment after it.

Every request needs to know how far the ledger is. With this, a thousand requests at once cost the
store one read.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

from ledger.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


class SharedRead(Generic[T]):
    """A read whose result may be as old as the one who asks allows, and is never older.

    The age counts from the start of the read: what was true before it is in the result.
    """

    def __init__(self, read: Callable[[], Awaitable[T]], *, monotonic: Callable[[], float]) -> None:
        """`monotonic` gives seconds."""
        self._read = read
        self._monotonic = monotonic
        self._one = asyncio.Lock()
        self._started_s = float("-inf")
        self._result: T | LedgerError | None = None

    async def at_most(self, age_s: float) -> T:
        """Return the result of a read that started at most `age_s` seconds before this call.

        Who comes while a read is under way waits for it, and then, where it started too early,
        shares the next one. An error is shared like a result: a store that is down is not asked
        once more for each who waits.
        """
        oldest = self._monotonic() - age_s
        if self._started_s < oldest:
            async with self._one:
                # Another one may have read while this one waited for its turn.
                if self._started_s < oldest:
                    await self._renew()
        if isinstance(self._result, LedgerError):
            raise self._result.with_traceback(None)
        assert self._result is not None
        return self._result

    async def _renew(self) -> None:
        started_s = self._monotonic()
        try:
            self._result = await self._read()
        except LedgerError as error:
            self._result = error
        # Only now: a read that was cancelled has no result to share.
        self._started_s = started_s
