"""What is new in a trail for one watch: the entries that it was not sent, by position.

A further copy of a known event is never new, and a conflict is. What was sent is told by one index
for each key and partition: of a key that the item gets later, nothing was sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ledger.errors import NotPossibleNow
from ledger.position import unpack_position
from query.trail import Pin, arranged, below, by_position, is_below, limits_of, trail_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from query.progress_view import Shown
    from query.reading import Item, TrailReader
    from query.trail import Entry

SentPins = dict[bytes, list[Pin]]
"""Of each key, below which positions everything was sent. The first key is the request's own."""


class Sent:
    """How much of a trail a watch was sent: of each key everything below its pins."""

    def __init__(self, pins: Mapping[bytes, Iterable[Pin]]) -> None:
        """`pins` are those of the cursor; none for a new watch."""
        self._next_indexes = {
            key: {(pin.generation, pin.partition): pin.next_index for pin in each}
            for key, each in pins.items()
        }

    @property
    def pins(self) -> SentPins:
        """Of each key, in the order of generation and partition."""
        return {
            key: [Pin(*place, index) for place, index in sorted(indexes.items())]
            for key, indexes in self._next_indexes.items()
        }

    def limits(self, key: bytes) -> Mapping[int, int]:
        """Give the bounds of what was sent of a key."""
        indexes = self._next_indexes.get(key, {})
        return limits_of(Pin(*place, index) for place, index in indexes.items())

    def advance(self, shown: Mapping[bytes, Iterable[Pin]], last: int | None) -> None:
        """Note that all below `shown` was sent of each key, or only through the position `last`."""
        at = None if last is None else unpack_position(last)
        for key, pins in shown.items():
            indexes = self._next_indexes.setdefault(key, {})
            for generation, partition, next_index in pins:
                place = (generation, partition)
                if at is None or place < (at.generation, at.partition):
                    through = next_index
                elif place == (at.generation, at.partition):
                    through = at.index + 1
                else:
                    continue
                # Never back: another server may be behind the one that gave the cursor.
                indexes[place] = max(through, indexes.get(place, 0))


class News(NamedTuple):
    """What a watch is sent next."""

    item: Item
    entries: Sequence[Entry]


async def news(reader: TrailReader, keys: Sequence[bytes], shown: Shown, sent: Sent) -> News:
    """Return the entries of an item that are shown and were not sent, by position.

    Raises NotPossibleNow for a trail that is too long to be read whole.
    """
    item = await reader.item(keys, shown)
    if item.whole is None:
        raise NotPossibleNow(
            "This trail is too long to be watched. List it by scan time.",
            reason="TRAIL_OVERSIZED",
            field="tracking_number",
        )
    known = {key: sent.limits(key) for key in item.keys}
    # Most times that the partition moved it was another item: then no record is parsed.
    if all(len(below(rows, known[key])) == len(rows) for key, rows in item.whole.keyed_rows):
        return News(item, [])
    entries = arranged(trail_of(*item.whole), by_position, descending=False)
    return News(item, [entry for entry in entries if not _was_sent(entry, known)])


def _was_sent(entry: Entry, known: Mapping[bytes, Mapping[int, int]]) -> bool:
    """Whether an entry was sent, or an equal copy of it."""
    places = ((entry.record.tracking_key, entry.position), *entry.elsewhere)
    return any(is_below(position, known[key]) for key, position in places)
