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
"""Requests to the same replicas beside which others wait: while the node answers one, the next is
made. With more of them fewer trails would go together.
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
    waiting: deque[_Asked] = field(default_factory=deque)


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
        if lane.under_way < UNDER_WAY_ENOUGH:
            lane.under_way += 1
            return await self._lead(lane, asked)
        lane.waiting.append(asked)
        try:
            told = await asked.told
        except asyncio.CancelledError:
            if not asked.told.cancelled() and asked.told.result() is _Turn.LEAD:
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
            _hand_on(lane)
        return await self._one(asked.key, asked.limit)


def _tell(others: Sequence[_Asked], what: Callable[[_Asked], Any]) -> None:
    for other in others:
        if not other.told.done():
            other.told.set_result(what(other))


def _hand_on(lane: _Lane) -> None:
    """Give a place to the first who still waits."""
    while lane.waiting:
        if not (first := lane.waiting.popleft()).told.done():
            first.told.set_result(_Turn.LEAD)
            return
    lane.under_way -= 1
