"""The trails of containers, read once for all items of a request that lay in them.

Containers are read level by level, those of one level together: a thousand items out of one truck
cost its trail once.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

from ledger.contents import contents_key
from ledger.event import order_from_time
from ledger.trail_store import READ_MANY_KEYS_MAX
from query.apart import NOT_READ, read_apart, tried
from query.containers.inheriting import DEPTH_MAX, Carried, Known, Need, carried
from query.journey.standing import standing
from query.journey.told import told_of
from query.trail import limits_of, trail_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Mapping, Sequence

    from ledger.trail_store import Slice
    from ledger.vocabulary import Mappings
    from query.apart import NotRead, Patience
    from query.journey.told import Told
    from query.progress_view import Shown
    from query.reading import KeyedRows, TrailReader

T = TypeVar("T")

CONTAINERS_MAX: Final = 1_000
"""Most containers that are read for one request; beyond, items are marked as truncated."""

WINDOW_EVENTS_MAX: Final = 1_000
"""Most events of a container within the time that matters, where its trail is too long to be read
whole: some 60 days of a truck that is scanned at 16 places a day.
"""

YIELD_EVERY: Final = 16
"""Trails that are made before others have a turn: some 2 ms."""

_ROUNDS_MAX: Final = 2 * DEPTH_MAX
"""Most times that trails are read: once for each level, and again where one is met a second time,
at another time, and was too long to be read whole.
"""


class ContainerTrails:
    """The trails of containers, for one request."""

    def __init__(
        self,
        reader: TrailReader,
        shown: Shown,
        mappings: Mappings,
        patience: Patience | None = None,
    ) -> None:
        """`shown` bounds what is shown of them; `mappings` explain sources' own codes. With
        `patience`, one that cannot be read fails only what lay in it.
        """
        self._reader = reader
        self._patience = patience
        self._shown = shown
        self._mappings = mappings
        self._known: dict[bytes, Known | None] = {}
        self._failed: dict[bytes, NotRead] = {}
        """Nobody waits for them a second time in the same request."""
        self._keys: dict[bytes, Sequence[bytes]] = {}
        self.has_more_keys = False
        """One has more keys than are read."""

    def keys_of(self, key: bytes) -> Sequence[bytes]:
        """Give all keys of what was read under one of them."""
        return self._keys.get(key, (key,))

    async def carried(
        self, items: Sequence[tuple[Sequence[bytes], Sequence[Told]]]
    ) -> Sequence[Carried | NotRead]:
        """Give what items inherit: each with its keys, and its events that stand, by time; why not,
        where a container could not be read. Without patience it raises that, as TrailReader does.
        """
        for _ in range(_ROUNDS_MAX):
            needs: list[Need] = []
            for keys, events in items:
                its = carried(keys, events, self._known)[1]
                if self._why_not(its) is None:
                    needs += its
            if not needs:
                break
            await self.read(needs)
        found: list[Carried | NotRead] = []
        for keys, events in items:
            inherited, missing = carried(keys, events, self._known)
            if missing:
                inherited = inherited._replace(is_truncated=True)
            found.append(self._why_not(missing) or inherited)
        return found

    def _why_not(self, needs: Iterable[Need]) -> NotRead | None:
        """Give why one of these could not be read."""
        failed = (self._failed.get(need.container) for need in needs)
        return next((error for error in failed if error is not None), None)

    async def read(self, needs: Iterable[Need]) -> Mapping[bytes, Known | None]:
        """Read what is needed, and give all that was read so far. Without patience it raises as
        TrailReader does.
        """
        spans: dict[bytes, Need] = {}
        for need in needs:
            # Together with what was read of it before, which others rely on.
            other = spans.get(need.container) or self._known.get(need.container) or need
            begin_ns, end_ns = min(need.begin_ns, other.begin_ns), max(need.end_ns, other.end_ns)
            spans[need.container] = Need(need.container, begin_ns, end_ns)
        others = (self._known.keys() | self._failed.keys()) - spans.keys()
        room = max(0, CONTAINERS_MAX - len(others))
        wanted = list(spans)
        self._known.update(dict.fromkeys(wanted[room:]))
        for begin in range(0, min(len(wanted), room), READ_MANY_KEYS_MAX):
            some = wanted[begin : min(begin + READ_MANY_KEYS_MAX, room)]
            begun, failed = await read_apart(self._reader.first_of_many, some, self._patience)
            self._failed |= failed
            for at, key in enumerate(begun, 1):
                await self._read(spans[key], begun)
                if not at % YIELD_EVERY:
                    await asyncio.sleep(0)  # What is in `begun` is made without a wait.
        return self._known

    async def _read(self, need: Need, begun: Mapping[bytes, Slice]) -> None:
        trail = await self._insist(self._trail(need, begun))
        if isinstance(trail, NOT_READ):
            self._failed[need.container] = trail
        else:
            self._known[need.container] = trail

    async def holding(self, keys: Iterable[bytes]) -> Mapping[bytes, bool | NotRead]:
        """Tell of each whether something was ever put into it, as far as it is shown; or why that
        could not be read. Without patience it raises that, as TrailReader does.
        """
        wanted = list(dict.fromkeys(keys))
        found: dict[bytes, bool | NotRead] = {}
        for begin in range(0, len(wanted), READ_MANY_KEYS_MAX):
            some = wanted[begin : begin + READ_MANY_KEYS_MAX]
            begun, failed = await read_apart(self._contents, some, self._patience)
            found |= failed
            for key, first in begun.items():  # Nearly all of them have none.
                found[key] = bool(first.rows) and await self._insist(self._holds(key))
        return found

    async def _contents(self, keys: Sequence[bytes]) -> Mapping[bytes, Slice]:
        first = await self._reader.first_of_many([contents_key(key) for key in keys])
        return {key: first[contents_key(key)] for key in keys}

    async def _holds(self, key: bytes) -> bool:
        stretch = await self._reader.stretch(
            [contents_key(key)],
            limits_of(self._shown.all_pins()),
            start=order_from_time(0),
            stop=None,
            descending=False,
            rows=1,
        )
        return any(rows for _, rows in stretch.keyed_rows)

    async def _insist(self, reading: Awaitable[T]) -> T | NotRead:
        """Wait for a read, as long as there is patience for one that fails."""
        return await (tried(reading, self._patience.timeout_s) if self._patience else reading)

    async def _trail(self, need: Need, begun: Mapping[bytes, Slice]) -> Known | None:
        item = await self._reader.item([need.container], self._shown, begun)
        self._keys[need.container] = item.keys
        self.has_more_keys |= item.has_more_keys
        if item.whole is not None:
            return Known(self._events(*item.whole))
        stretch = await self._reader.stretch(
            item.keys,
            item.limits,
            start=order_from_time(need.begin_ns),
            stop=order_from_time(need.end_ns + 1),
            descending=False,
            rows=WINDOW_EVENTS_MAX,
        )
        if stretch.last is not None:
            return None
        return Known(self._events(stretch.keyed_rows, stretch.copies), need.begin_ns, need.end_ns)

    def _events(self, keyed_rows: KeyedRows, copies: Mapping[bytes, int]) -> Sequence[Told]:
        told = told_of(trail_of(keyed_rows, copies), self._mappings)
        return standing(told).events
