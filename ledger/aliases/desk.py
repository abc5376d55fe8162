"""Says that two numbers are one item: appends what is not said yet, under each of their keys.

What is said is said for good, and nothing that was said about the past changes: a trail as of an
earlier time is what it was.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.aliases.records import ALIASES_END, KEYS_MAX, Joined, alias_record, other_keys
from ledger.errors import Busy, NotPossibleNow, Refused, Uncertain
from ledger.numbers import partition_of
from ledger.position import Position

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ledger.scan_log import ScanLog
    from ledger.trail_store import TrailStore

HEAD_ROWS_MAX: Final = 1_000
"""Most rows before a key's events of which a further one is said: sixteen keys, and many copies. A
fifth of what answers look through, so that they find what is appended now.
"""

HEAD_BYTES_MAX: Final = 1 << 20
"""Most bytes of these rows: an eighth of what answers look through."""


class Said(NamedTuple):
    """What came of saying it."""

    keys: Sequence[bytes]
    """The keys of the item, as far as trails show them now, and those that were named."""
    positions: Sequence[Position]
    """Where the new records lie; none where all was said before."""


class AliasDesk:
    """For those who say that numbers are one item. One thing is done at a time."""

    def __init__(self, scans: ScanLog, store: TrailStore, *, now_ns: Callable[[], int]) -> None:
        """`now_ns` gives nanoseconds since 1970-01-01T00:00:00Z."""
        self._scans = scans
        self._store = store
        self._now_ns = now_ns
        self._acting = asyncio.Lock()

    async def join(
        self, one: Mapping[bytes, int], other: Mapping[bytes, int], *, by: str, why: str
    ) -> Said:
        """Say that two numbers are one item. Of each, all keys with their forms, the newest first:
        who comes by the one finds what lies under every key of the other.

        Raises Refused where they have the same key, NotPossibleNow where the item would have more
        keys than are followed, or one of them has too much before its events: nothing happened.
        After Busy nothing happened either; after Uncertain a part may have been said. The same
        again appends what is missing, and at worst copies, which readers collapse.
        """
        hub = next(iter(one))
        if hub == next(iter(other)):
            raise _same_key(hub)
        forms = {**one, **other}
        async with self._acting:
            known = await self._known([*one, *other])
            records = [
                (key, alias_record(key, named, form=forms[key], other_form=forms[named], by=by,
                                   why=why, time_ns=self._now_ns()))
                for key, named in _both_ways(hub, forms)
                if named not in known[key]
            ]  # fmt: skip
            return Said(list(known), await self._append(records))

    async def _known(self, keys: Sequence[bytes]) -> Mapping[bytes, Sequence[bytes]]:
        """Give all keys that trails join with these, and what is said under each of them."""
        joined = Joined(keys)
        known: dict[bytes, Sequence[bytes]] = {}
        for key in joined.keys:  # It grows with every alias that is found.
            head = await self._store.read(
                key, stop=ALIASES_END, max_rows=HEAD_ROWS_MAX, max_bytes=HEAD_BYTES_MAX
            )
            if head.more:
                raise _full(key)
            known[key] = list(other_keys(head.rows))
            joined.add(known[key])
        if joined.is_cut:
            raise NotPossibleNow(
                f"The item would have more than {KEYS_MAX} keys, and an answer reads no more. "
                f"Look whether the numbers that were joined before are one item.",
                reason="TOO_MANY_KEYS",
                field="other_tracking_number",
                metadata={"keys_max": str(KEYS_MAX)},
            )
        return known

    async def _append(self, records: Sequence[tuple[bytes, bytes]]) -> Sequence[Position]:
        identity = self._scans.identity
        positions: list[Position] = []
        for key, record in records:
            # If we crash between two of them, the item is found by the one number and not by the
            # other. Nobody was told that it is said; the same again completes it.
            partition = partition_of(key, identity.partitions)
            try:
                index = await self._scans.append(partition, [key], [record])
            except Busy as error:
                if not positions:
                    raise
                raise Uncertain(
                    "Only a part of it could be recorded. Say the same again.",
                    reason="ALIAS_IN_PART",
                ) from error
            positions.append(Position(identity.generation, partition, index))
        return positions


def _both_ways(hub: bytes, forms: Mapping[bytes, int]) -> Iterator[tuple[bytes, bytes]]:
    """Name every other key under the first, and the first under every other."""
    for key in forms:
        if key != hub:
            yield hub, key
            yield key, hub


def _full(key: bytes) -> NotPossibleNow:
    shown = key.decode()
    return NotPossibleNow(
        f"{shown} has so many scans of the first moment of 1970 whose id is all zeros that an "
        f"answer would not find what is said of it now. Look which device sends them.",
        reason="TOO_MUCH_BEFORE_EVENTS",
        metadata={"tracking_key": shown},
    )


def _same_key(key: bytes) -> Refused:
    shown = key.decode()
    return Refused(
        f"Both numbers are filed under {shown}, so they are one item already.",
        reason="SAME_KEY",
        field="other_tracking_number",
        metadata={"tracking_key": shown},
    )
