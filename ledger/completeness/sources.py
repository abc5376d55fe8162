"""What is known of each source's sequences: the fold over receipts, refusals and records. Pure.

Everything here only ever adds, and adding again changes nothing: so logs may be read again, in any
order against one another, and a receipt that is missing makes less known, and nothing wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.completeness.history import Heard, Places
from ledger.ranges import Ranges
from ledger.v1.receipt_pb2 import RECEIPT_KIND_WORD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger.v1.receipt_pb2 import Receipt
    from ledger.v1.refused_scan_pb2 import RefusedScan

SOURCES_MAX: Final = 100_000
"""Most pairs of source and spool: some 200 MB. Those beyond are counted, and nothing is complete
then: an audit that forgets somebody in silence is none.
"""

RANGES_MAX: Final = 20_000
"""Most ranges of one source's set, 1.5 MB: a source of which each second scan is missing for days.
With more the lowest are forgotten, and nobody says of these sequences that they never arrived.
"""


class SourceKey(NamedTuple):
    """A source and one of its spools: who counts sequences."""

    source_id: str
    spool_id: bytes


class Recorded(NamedTuple):
    """What a record of the log `scans` says of its sequence."""

    key: SourceKey
    sequence: int
    time_ns: int
    facility: str


class Source:
    """One source and spool.

    Attributes:
        durable: recorded in the log `scans`.
        refused: refused for good.
        acked_through: up to here the source has been told an outcome, by its own word.
        forgot_through: up to here more was known than there is room for.
        last_heard_ns: when anything came of it last.
    """

    __slots__ = (
        *("acked_through", "durable", "forgot_through", "heard"),
        *("last_heard_ns", "places", "refused"),
    )

    def __init__(self) -> None:
        self.durable = Ranges()
        self.refused = Ranges()
        self.acked_through = 0
        self.heard = Heard()
        self.places = Places()
        self.forgot_through = 0
        self.last_heard_ns = 0

    def open_ranges(self) -> Iterator[tuple[int, int]]:
        """Give what was minted, and of which nothing tells an outcome, in ascending order."""
        for first, last in self.durable.missing_in(self.acked_through + 1, self.heard.through):
            yield from self.refused.missing_in(first, last)

    def add(self, known: Ranges, first: int, last: int) -> None:
        """Add to `durable` or `refused`."""
        known.add(first, last)
        if len(known) > RANGES_MAX:
            _, forgotten = next(iter(known))
            known.keep_highest(RANGES_MAX)
            self.forgot_through = max(self.forgot_through, forgotten)


class Sources:
    """All of them."""

    def __init__(self) -> None:
        self._sources: dict[SourceKey, Source] = {}
        self.beyond: set[str] = set()
        """Source ids for which there is no place, at most SOURCES_MAX."""

    def __len__(self) -> int:
        return len(self._sources)

    def all(self) -> list[tuple[SourceKey, Source]]:
        """Give all as they are now, in any order."""
        return list(self._sources.items())

    def get(self, key: SourceKey) -> Source | None:
        """Find one."""
        return self._sources.get(key)

    def take_receipt(self, receipt: Receipt) -> None:
        """Take what a source was told, or said. 4 µs."""
        source = self._look(SourceKey(receipt.source_id, receipt.spool_id), receipt.time_ns)
        if source is None:
            return
        through = receipt.minted_through
        for known, parts in ((source.durable, receipt.durable), (source.refused, receipt.refused)):
            for part in parts:
                source.add(known, part.first, part.last)
                through = max(through, part.last)
        if receipt.kind == RECEIPT_KIND_WORD:
            source.acked_through = max(source.acked_through, receipt.acked_through)
            through = max(through, receipt.acked_through)
        source.heard.say(through, receipt.time_ns)
        if receipt.facility and receipt.durable:
            source.places.note(receipt.durable[-1].last, receipt.facility)

    def take_refusal(self, refused: RefusedScan) -> None:
        """Take a refused scan that was kept: it tells the outcome as its receipt does."""
        if not refused.sequence:
            return
        key = SourceKey(refused.source_id, refused.spool_id)
        source = self._look(key, refused.record_time_ns)
        if source is not None:
            source.add(source.refused, refused.sequence, refused.sequence)
            source.heard.say(refused.sequence, refused.record_time_ns)

    def take_record(self, record: Recorded) -> None:
        """Take a record: it tells the outcome where its receipt is missing."""
        source = self._look(record.key, record.time_ns)
        if source is None:
            return
        sequence = record.sequence
        if not source.durable.touches(sequence, sequence):
            source.add(source.durable, sequence, sequence)
            source.heard.say(sequence, record.time_ns)
        if record.facility:
            source.places.note(sequence, record.facility)

    def _look(self, key: SourceKey, time_ns: int) -> Source | None:
        source = self._sources.get(key)
        if source is None:
            if len(self._sources) >= SOURCES_MAX:
                if len(self.beyond) < SOURCES_MAX:
                    self.beyond.add(key.source_id)
                return None
            source = self._sources[key] = Source()
        source.last_heard_ns = max(source.last_heard_ns, time_ns)
        return source
