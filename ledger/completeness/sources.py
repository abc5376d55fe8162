"""What is known of each source's sequences: the fold over receipts, refusals and records. Pure.

Everything here only ever adds, and adding again changes nothing: so logs may be read again, in any
order against one another, and a receipt that is missing makes less known, and nothing wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from google.protobuf.message import DecodeError

from ledger.completeness.history import Heard, Places
from ledger.ranges import Ranges
from ledger.v1.receipt_pb2 import RECEIPT_KIND_SETTLED, RECEIPT_KIND_WORD
from ledger.v1.scan_event_pb2 import ScanEvent

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

RANGES_ALL_MAX: Final = 2_000_000
"""Ranges of all sources' sets, 160 MB, from which on each set that grows keeps RANGES_FEW."""

RANGES_FEW: Final = 16
"""As many gaps as a usual source has in months."""

UNRECORDED_MAX: Final = 1_000
"""Most ranges of one source that are told as without record: one is enough to look into the ledger.
"""

SETTLED_MAX: Final = 100
"""Most words of an operator about one source and spool: then it is time for another spool."""

SETTLED_ALL_MAX: Final = 10_000
"""Most words about all sources, some 5 MB. What is said beyond is refused, and not taken here."""


FACILITY_BYTES_MAX: Final = 64
"""As the rules of scan events have it: of a refused one nobody has judged what it says besides."""


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


class Settlement(NamedTuple):
    """An operator's word: nobody waits for these sequences any more."""

    first: int
    last: int
    by: str
    why: str
    time_ns: int


class Source:
    """One source and spool.

    Attributes:
        durable: recorded in the log `scans`, by receipts or records.
        recorded: of these, those whose records were looked at.
        unrecorded: those that were durable and in no record when both were compared last.
        refused: refused for good.
        settled: what operators said, in the order of the log.
        acked_through: up to here the source has been told an outcome, by its own word.
        forgot_through: up to here more was known than there is room for.
        last_heard_ns: when anything came of it last.
    """

    __slots__ = (
        *("acked_through", "durable", "forgot_through", "heard", "last_heard_ns"),
        *("places", "recorded", "refused", "settled", "unrecorded"),
    )

    def __init__(self) -> None:
        self.durable = Ranges()
        self.recorded = Ranges()
        self.unrecorded = Ranges()
        self.refused = Ranges()
        self.settled: tuple[Settlement, ...] = ()
        self.acked_through = 0
        self.heard = Heard()
        self.places = Places()
        self.forgot_through = 0
        self.last_heard_ns = 0

    def open_ranges(self) -> Iterator[tuple[int, int]]:
        """Give what was minted, and of which nothing tells an outcome, in ascending order."""
        for first, last in self.durable.missing_in(self.acked_through + 1, self.heard.through):
            yield from self.refused.missing_in(first, last)

    def compare(self) -> None:
        """Find what is durable and in no record, where all records were looked at."""
        self.unrecorded = Ranges()
        for first, last in self.durable:
            for gap in self.recorded.missing_in(max(first, self.forgot_through + 1), last):
                self.unrecorded.add(*gap)
                if len(self.unrecorded) >= UNRECORDED_MAX:
                    return


class Sources:
    """All of them."""

    def __init__(self) -> None:
        self._sources: dict[SourceKey, Source] = {}
        self._ranges = 0  # In the sets of all of them.
        self.settled = 0
        """Words of operators that were taken."""

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
        """Take what a source was told, or said, or what an operator said of it. 4 µs."""
        if receipt.kind == RECEIPT_KIND_SETTLED:
            self._settle(receipt)
            return
        source = self._look(SourceKey(receipt.source_id, receipt.spool_id), receipt.time_ns)
        if source is None:
            return
        through = receipt.minted_through
        for known, parts in ((source.durable, receipt.durable), (source.refused, receipt.refused)):
            for part in parts:
                self._add(source, known, part.first, part.last)
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
            self._add(source, source.refused, refused.sequence, refused.sequence)
            source.heard.say(refused.sequence, refused.record_time_ns)
            if facility := _facility_of(refused):
                source.places.note(refused.sequence, facility)

    def take_record(self, record: Recorded, *, is_looked_at: bool = False) -> None:
        """Take a record: it tells the outcome where its receipt is missing, and, where all records
        are looked at, that it is there.
        """
        source = self._look(record.key, record.time_ns)
        if source is None:
            return
        sequence = record.sequence
        if not source.durable.touches(sequence, sequence):
            self._add(source, source.durable, sequence, sequence)
            source.heard.say(sequence, record.time_ns)
        if is_looked_at:
            self._add(source, source.recorded, sequence, sequence)
        if record.facility:
            source.places.note(sequence, record.facility)

    def _settle(self, receipt: Receipt) -> None:
        """Take an operator's word, which is no sign of life. One that was written twice is one."""
        source = self._look(SourceKey(receipt.source_id, receipt.spool_id), 0)
        if source is None:
            return
        for part in receipt.settled:
            word = Settlement(part.first, part.last, receipt.by, receipt.why, receipt.time_ns)
            if word not in source.settled and self.has_room_to_settle(source):
                source.settled += (word,)
                self.settled += 1

    def has_room_to_settle(self, source: Source) -> bool:
        """Tell whether another word about a source can be taken."""
        return len(source.settled) < SETTLED_MAX and self.settled < SETTLED_ALL_MAX

    def _add(self, source: Source, known: Ranges, first: int, last: int) -> None:
        before = len(known)
        known.add(first, last)
        most = RANGES_MAX if self._ranges <= RANGES_ALL_MAX else RANGES_FEW
        if len(known) > most:
            known.keep_highest(most)
            source.forgot_through = max(source.forgot_through, known.first - 1)
        self._ranges += len(known) - before

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


def _facility_of(refused: RefusedScan) -> str:
    """Read where a refused scan says that it was made; empty where it is refused for that."""
    if refused.field.startswith("event.facility"):
        return ""
    try:
        facility = ScanEvent.FromString(refused.event).facility
    except DecodeError:
        return ""
    fits = len(facility.encode()) <= FACILITY_BYTES_MAX and facility.isprintable()
    return facility if fits else ""
