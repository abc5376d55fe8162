"""What this process remembers of the last scans of each source: which have their outcome, so that a
sender that comes back need not send them again, and of what content they were.

All of it is bounded, and a hint: what is forgotten is sent again, and is known by its event id.
Where a checksum goes with it, it says as much as a result does.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from ledger.ranges import Ranges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ingest.receipt_making import Numbered
    from ledger.v1.ingest_service_pb2 import Resend, SourceProgress
    from ledger.v1.receipt_pb2 import Receipt

Source: TypeAlias = tuple[str, bytes]
"""A source id and a spool id."""

HINT_RANGES_MAX: Final = 64
"""Ranges of a source that are told on opening: a source with more gaps sends a little again."""

SPAN_SCANS_MAX: Final = 4_096
"""Scans whose contents are remembered in one piece."""

HINT_CONTENTS_MAX: Final = 4_096
"""Scans of a source whose checksums are told on opening, 16 KiB: what a scanner has on its way."""

Contents: TypeAlias = "tuple[int, array[int]]"
"""A first sequence, and a checksum of each scan from there on; 0 is not known."""


class Hint(NamedTuple):
    """What is known of a source."""

    durable: Ranges
    refused: Ranges
    contents: Sequence[Contents]
    """Of the highest of those that are durable."""


class _Seen:
    """One source and spool."""

    __slots__ = ("contents", "durable", "refused", "reported_s", "said")

    def __init__(self) -> None:
        self.durable = Ranges()
        self.refused = Ranges()
        self.contents: list[Contents] = []
        """By first sequence: a checksum of each durable scan's event; 0 is not known."""
        self.said: tuple[float, int, int] | None = None
        """When it last spoke of itself, and what: minted and acked through."""
        self.reported_s: float | None = None
        """When it was last reported as two senders."""


class Recent:
    """Sources, the one that was quiet for longest first."""

    def __init__(
        self, *, sources_max: int, contents_max: int, word_s: float, monotonic: Callable[[], float]
    ) -> None:
        """`contents_max` is of how many scans the content is remembered; `word_s` is after how many
        seconds a word that says nothing new is worth writing down again.
        """
        self._sources_max = sources_max
        self._contents_max = contents_max
        self._word_s = word_s
        self._monotonic = monotonic
        self._seen: OrderedDict[Source, _Seen] = OrderedDict()
        self._with_contents: OrderedDict[Source, _Seen] = OrderedDict()
        self._contents = 0  # Scans, of all of them.

    def hint(self, source: Source) -> Hint | None:
        """Tell what is known of a source."""
        seen = self._seen.get(source)
        if seen is None:
            return None
        lowest = seen.durable.first if seen.durable else 0
        contents = list(_highest(seen.contents, lowest)) if lowest else []
        return Hint(seen.durable, seen.refused, contents[::-1])

    def take_receipt(self, receipt: Receipt) -> None:
        """Remember what has its outcome."""
        seen = self._look((receipt.source_id, receipt.spool_id))
        for ranges, parts in ((seen.durable, receipt.durable), (seen.refused, receipt.refused)):
            for part in parts:
                ranges.add(part.first, part.last)
            ranges.keep_highest(HINT_RANGES_MAX)

    def take_word(self, source: SourceProgress) -> bool:
        """Remember what a source says of itself; tell whether it is worth writing down."""
        seen = self._look((source.source_id, source.spool_id))
        seen.durable.forget_through(source.acked_through)
        seen.refused.forget_through(source.acked_through)
        now = self._monotonic()
        says = (source.minted_through, source.acked_through)
        if seen.said is not None and seen.said[1:] == says and now - seen.said[0] < self._word_s:
            return False
        seen.said = (now, *says)
        return True

    def may_report(self, source: Source) -> bool:
        """Tell whether two senders of a source are worth a line: once in a while."""
        seen, now = self._look(source), self._monotonic()
        if seen.reported_s is not None and now - seen.reported_s < self._word_s:
            return False
        seen.reported_s = now
        return True

    def take_contents(self, batch: Numbered, again: Iterable[Resend] = ()) -> list[int]:
        """Remember the contents of what is durable of a batch, so not of what is to be sent again;
        return the sequences that came with another content before.
        """
        prints = batch.contents
        for one in again:
            missing = one.range.last + 1 - one.range.first
            prints[one.range.first : one.range.last + 1] = array("I", bytes(4 * missing))
        source = (batch.source_id, batch.spool_id)
        seen = self._look(source)
        first, last = batch.first_sequence, batch.first_sequence + batch.scans - 1
        place = bisect_left(seen.contents, first, key=_last_of)
        if place == len(seen.contents) or seen.contents[place][0] > last:
            self._with_contents[source] = seen
            self._with_contents.move_to_end(source)
            self._remember(seen, place, first, prints)
            return []
        # It was here before, all of it or a part: a retry, or another scanner with the same spool.
        return list(_differing(seen.contents, place, first, prints))

    def _remember(self, seen: _Seen, place: int, first: int, prints: array[int]) -> None:
        before = seen.contents[place - 1] if place else None
        if (
            before is not None
            and _last_of(before) + 1 == first
            and len(before[1]) + len(prints) <= SPAN_SCANS_MAX
        ):
            before[1].extend(prints)
        else:
            seen.contents.insert(place, (first, prints))
        self._contents += len(prints)
        while self._contents > self._contents_max:
            self._forget_contents()

    def _forget_contents(self) -> None:
        """Forget the oldest contents of the source that was quiet for longest."""
        source, seen = next(iter(self._with_contents.items()))
        self._contents -= len(seen.contents.pop(0)[1])
        if not seen.contents:
            del self._with_contents[source]

    def _look(self, source: Source) -> _Seen:
        seen = self._seen.get(source)
        if seen is not None:
            self._seen.move_to_end(source)
            return seen
        if len(self._seen) >= self._sources_max:
            quiet, gone = self._seen.popitem(last=False)
            self._with_contents.pop(quiet, None)
            self._contents -= sum(len(prints) for _, prints in gone.contents)
        seen = self._seen[source] = _Seen()
        return seen


def _last_of(span: Contents) -> int:
    return span[0] + len(span[1]) - 1


def _highest(contents: Sequence[Contents], lowest: int) -> Iterator[Contents]:
    """Give the highest contents, from the highest one down to a sequence."""
    room = HINT_CONTENTS_MAX
    for first, prints in reversed(contents):
        low = max(lowest - first, len(prints) - room, 0)
        if low >= len(prints):
            return
        yield first + low, prints[low:]
        room -= len(prints) - low


def _differing(
    contents: list[Contents], place: int, first: int, prints: array[int]
) -> Iterator[int]:
    """Give the sequences whose checksum is known and another one; take what was not known."""
    end = first + len(prints)
    for start, known in contents[place:]:
        if start >= end:
            return
        for sequence in range(max(start, first), min(start + len(known), end)):
            before, now = known[sequence - start], prints[sequence - first]
            if before and now and before != now:
                yield sequence
            elif now:
                known[sequence - start] = now
