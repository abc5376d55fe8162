"""Beginnings of trails that are asked for at the same time: one request for the same replicas.

A request costs the driver and the node as much as the rows of several trails. So a trail is asked
for at once while few requests are under way; what comes then waits for one of them, and goes
together. Whoever asks first makes the request for all: no task runs beside them.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from ledger.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from ledger.trail_store import StoredRow

UNDER_WAY_ENOUGH: Final = 2
"""Requests to the same replicas beside which others wait, while each is for one trail: so two
callers never wait for each other. Once there were several to ask for, one request is enough: beside
it more of them gather.
"""

KEYS_MAX: Final = 25
"""Most trails in one request: with more, its own cost is no longer what counts."""


class Begun(NamedTuple):
    """The first rows of a trail, and how many were asked for."""

    rows: Sequence[StoredRow]
    limit: int


class _Turn(Enum):
    """What one who waits is told instead of rows."""

    LEAD = "make the next request, for all who wait"
    ALONE = "the request for all failed, perhaps by the fault of another trail: ask alone"


_Told: TypeAlias = "Begun | _Turn"


class _Asked(NamedTuple):
    key: bytes
    limit: int
    told: asyncio.Future[_Told]


@dataclass(slots=True)
class _Lane:
    """The requests to one set of replicas."""

    under_way: int = 0
    counts: tuple[int, int] = (1, 1)
    """For how many trails the last two requests were."""
    waiting: deque[_Asked] = field(default_factory=deque)

    @property
    def is_busy(self) -> bool:
        """Whether who comes now has to wait. Never where nothing is under way."""
        return self.under_way >= (UNDER_WAY_ENOUGH if max(self.counts) == 1 else 1)


class Gathering:
    """Asks for beginnings, alone or together."""

    def __init__(
        self,
        *,
        one: Callable[[bytes, int], Awaitable[Begun]],
        many: Callable[[Sequence[bytes], int], Awaitable[Mapping[bytes, Begun]]],
        replicas_of: Callable[[bytes], int],
    ) -> None:
        """`one` and `many` ask the store; `replicas_of` gives a number for the replicas of a key.

        `many` may give fewer rows than the limit, with the limit that it took.
        """
        self._one = one
        self._many = many
        self._replicas_of = replicas_of
        self._lanes: defaultdict[int, _Lane] = defaultdict(_Lane)

    async def begin(self, key: bytes, limit: int) -> Begun:
        """Return the first rows of a trail, read after this call. Raises what the store raises."""
        lane = self._lanes[self._replicas_of(key)]
        asked = _Asked(key, limit, asyncio.get_running_loop().create_future())
        if not lane.is_busy:
            lane.under_way += 1
            return await self._lead(lane, asked)
        lane.waiting.append(asked)
        try:
            told = await asked.told
        except asyncio.CancelledError:
            if not asked.told.cancelled() and asked.told.result() is _Turn.LEAD:
                lane.under_way -= 1
                _hand_on(lane)
            raise
        if told is _Turn.LEAD:
            return await self._lead(lane, asked)
        if told is _Turn.ALONE:
            return await self._one(key, limit)
        return told

    async def _lead(self, lane: _Lane, asked: _Asked) -> Begun:
        """Ask for this trail and for those that wait. One place of the lane is ours until then."""
        others: list[_Asked] = []
        while lane.waiting and len(others) + 1 < KEYS_MAX:
            if not (other := lane.waiting.popleft()).told.done():
                others.append(other)
        lane.counts = (lane.counts[1], 1 + len(others))
        try:
            if not others:
                return await self._one(asked.key, asked.limit)
            limit = max(asked.limit, *[other.limit for other in others])
            found = await self._many([asked.key, *[other.key for other in others]], limit)
        except LedgerError:
            if not others:
                raise
            _tell(others, lambda _: _Turn.ALONE)
        except BaseException:
            # Whoever called us gave up, and the others did not: one of them makes the request.
            lane.waiting.extendleft(reversed(others))
            raise
        else:
            _tell(others, lambda other: found[other.key])
            return found[asked.key]
        finally:
            lane.under_way -= 1
            _hand_on(lane)
        return await self._one(asked.key, asked.limit)


def _tell(others: Sequence[_Asked], what: Callable[[_Asked], Any]) -> None:
    for other in others:
        if not other.told.done():
            other.told.set_result(what(other))


def _hand_on(lane: _Lane) -> None:
    """Let the first who still waits ask, where nobody has to wait any more."""
    while lane.waiting and not lane.is_busy:
        if not (first := lane.waiting.popleft()).told.done():
            lane.under_way += 1
            first.told.set_result(_Turn.LEAD)
            return
