"""What is new in a trail for one watch: the entries that it was not sent, by position.

An entry stands at the lowest position of its copies. So a further copy of a known event is never
new, and a conflict is; and what was sent is told by one index for each partition.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.errors import NotPossibleNow
from ledger.position import unpack_position
from query.trail import Pin, arranged, below, by_position, is_below, limits_of, trail_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from query.reading import TrailReader
    from query.trail import Entry


class Sent:
    """How much of a trail a watch was sent: everything below these pins."""

    def __init__(self, pins: Iterable[Pin]) -> None:
        """`pins` are those of the cursor; none for a new watch."""
        self._next_indexes = {(pin.generation, pin.partition): pin.next_index for pin in pins}

    @property
    def pins(self) -> list[Pin]:
        """In the order of generation and partition."""
        return [Pin(*place, index) for place, index in sorted(self._next_indexes.items())]

    def advance(self, shown: Iterable[Pin], last: int | None) -> None:
        """Note that all below `shown` was sent, or only through the position `last`."""
        at = None if last is None else unpack_position(last)
        for generation, partition, next_index in shown:
            place = (generation, partition)
            if at is None or place < (at.generation, at.partition):
                through = next_index
            elif place == (at.generation, at.partition):
                through = at.index + 1
            else:
                break
            # Never back: another server may be behind the one that gave the cursor.
            self._next_indexes[place] = max(through, self._next_indexes.get(place, 0))


async def news(
    reader: TrailReader, keys: Sequence[bytes], shown: Sequence[Pin], sent: Sent
) -> Sequence[Entry]:
    """Return the entries below `shown` that were not sent, by position.

    Raises NotPossibleNow for a trail that is too long to be read whole.
    """
    known = limits_of(sent.pins)
    whole = await reader.whole(keys, limits_of(shown))
    if whole is None:
        raise NotPossibleNow(
            "This trail is too long to be watched. List it by scan time.",
            reason="TRAIL_OVERSIZED",
            field="tracking_number",
        )
    # Most times that the partition moved it was another item: then no record is parsed.
    if all(len(below(rows, known)) == len(rows) for _, rows in whole.keyed_rows):
        return []
    entries = arranged(trail_of(*whole), by_position, descending=False)
    return [entry for entry in entries if not is_below(entry.position, known)]
