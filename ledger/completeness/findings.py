"""What the audit finds: ranges of sequences, where each is on its way, and since when. Pure.

Each sequence is in one range at most. What is in a trail, and nothing else, is in none.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import IntEnum
from struct import pack
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.completeness.history import DAY_NS
from ledger.ranges import Ranges

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ledger.completeness.sources import Settlement, Source, SourceKey

GRACE_NS: Final = 60 * 1_000_000_000
"""What is younger is on its way: a batch, its receipt and its row take seconds, and an engine that
is replaced half a minute.
"""


class Where(IntEnum):
    """Where sequences are. The numbers are those of `CompletenessState` on the wire."""

    UNCONFIRMED = 1
    """Minted, and nothing tells an outcome; the records were not all looked through since."""
    NEVER_ARRIVED = 2
    """The same, and no record has them. The source may still send them."""
    NOT_YET_READABLE = 3
    """Recorded, and no trail shows them yet."""
    REFUSED = 4
    """Refused for good, and kept as such."""
    QUARANTINED = 5
    """Recorded, and in no trail for the record's own fault; nobody has done anything about it."""
    DROPPED = 6
    """The same, and it is settled that they stay out."""
    SILENT = 7
    """No sequences: the source has not been heard of for long."""
    WITHOUT_RECORD = 8
    """A receipt says that they were recorded, and no record has them: a promise was broken."""
    SETTLED = 9
    """Nothing tells an outcome, or they are without a record, and nobody waits for them any more:
    an operator said so.
    """


MISSING: Final = frozenset(
    {
        Where.UNCONFIRMED,
        Where.NEVER_ARRIVED,
        Where.NOT_YET_READABLE,
        Where.QUARANTINED,
        Where.WITHOUT_RECORD,
    }
)
"""What is not complete, once it is older than GRACE_NS. A refused scan has its outcome."""


class Finding(NamedTuple):
    """A range of sequences of one source, or a source without any."""

    source: SourceKey
    first: int
    last: int
    where: Where
    facility: str
    """Of the nearest record of the source; empty where none is known."""
    day: int
    """UTC day, from 1970-01-01, of the first receipt or word that covers the sequences."""
    since_ns: int
    """When the first of them was heard of; of a silent source when it was heard of last."""
    word: Settlement | None = None
    """Of SETTLED, who said so and why."""

    @property
    def rank(self) -> bytes:
        """Where it stands among all: by source, spool and sequence."""
        spool = self.source.spool_id
        return self.source.source_id.encode() + b"\0" + spool + pack(">QB", self.first, self.where)

    @property
    def scans(self) -> int:
        """How many sequences it is."""
        return self.last - self.first + 1 if self.last else 0

    def is_missing(self, now_ns: int, grace_ns: int = GRACE_NS) -> bool:
        """Whether it makes that something is not complete."""
        return self.where in MISSING and now_ns - self.since_ns > grace_ns


@dataclass(frozen=True, slots=True)
class Beside:
    """What is known beside the sources' own fold.

    Attributes:
        unread: records behind the trails, by source: sequence and record time.
        quarantined: open items of the quarantine, in the same way.
        dropped: items of which it is settled that they stay out.
        looked_through_ns: all records of the log `scans` that were acknowledged before this were
            folded; 0 where that is not known.
    """

    unread: Mapping[SourceKey, Mapping[int, int]]
    quarantined: Mapping[SourceKey, Mapping[int, int]]
    dropped: Mapping[SourceKey, Mapping[int, int]]
    looked_through_ns: int = 0


def findings_of(key: SourceKey, source: Source, beside: Beside) -> Iterator[Finding]:
    """Give what is found of one source, in no order."""
    taken = Ranges()
    for where, known in (
        (Where.QUARANTINED, beside.quarantined),
        (Where.NOT_YET_READABLE, beside.unread),
        (Where.DROPPED, beside.dropped),
    ):
        if key in known:
            yield from _listed(key, source, where, known[key], taken)
    for first, last in source.unrecorded:
        for free in list(taken.missing_in(first, last)):
            taken.add(*free)
            yield from _or_settled(source, _by_day(key, source, Where.WITHOUT_RECORD, free))
    for first, last in source.refused:
        for part in source.durable.missing_in(first, last):
            for free in taken.missing_in(*part):
                yield from _by_day(key, source, Where.REFUSED, free)
    for first, last in source.open_ranges():
        for free in taken.missing_in(first, last):
            found = _open(key, source, free, beside.looked_through_ns)
            yield from _or_settled(source, found)


def silent(
    sources: Iterable[tuple[SourceKey, Source]], *, now_ns: int, after_ns: int
) -> Iterator[Finding]:
    """Give the sources of which nothing was heard for so long, each once: by its latest spool."""
    latest: dict[str, tuple[SourceKey, Source]] = {}
    for key, source in sources:
        known = latest.get(key.source_id)
        if known is None or source.last_heard_ns > known[1].last_heard_ns:
            latest[key.source_id] = key, source
    for key, source in latest.values():
        since_ns = source.last_heard_ns
        if now_ns - since_ns > after_ns:
            facility = source.places.nearest(source.heard.through)
            yield Finding(key, 0, 0, Where.SILENT, facility, since_ns // DAY_NS, since_ns)


def counts_of(findings: Iterable[Finding], *, now_ns: int) -> Mapping[Where, int]:
    """Count the sequences that are missing, and all those that are refused, dropped or silent."""
    counts: Counter[Where] = Counter()
    for one in findings:
        if one.where not in MISSING or one.is_missing(now_ns):
            counts[one.where] += one.scans or 1
    return counts


def _listed(
    key: SourceKey, source: Source, where: Where, known: Mapping[int, int], taken: Ranges
) -> Iterator[Finding]:
    """Give sequences with a time each as ranges; the oldest of a range says its age."""
    ranges = Ranges((one, one) for one in sorted(known) if not taken.touches(one, one))
    for first, last in ranges:
        taken.add(first, last)
        for begin, end in _days(source, first, last):
            oldest_ns = min(known[one] for one in range(begin, end + 1))
            day = (source.heard.first_ns(begin) or oldest_ns) // DAY_NS
            facility = source.places.nearest(begin)
            yield Finding(key, begin, end, where, facility, day, oldest_ns)


def _days(source: Source, first: int, last: int) -> Iterator[tuple[int, int]]:
    end = first - 1
    for begin, end, _ in source.heard.by_day(first, last):
        yield begin, end
    if end < last:
        yield end + 1, last


def _open(
    key: SourceKey, source: Source, part: tuple[int, int], looked_through_ns: int
) -> Iterator[Finding]:
    for one in _by_day(key, source, Where.UNCONFIRMED, part):
        # What was recorded before the look was found by it: so these had not come by then.
        looked = one.since_ns < looked_through_ns and one.first > source.forgot_through
        yield one._replace(where=Where.NEVER_ARRIVED) if looked else one


def _or_settled(source: Source, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Say of what operators settled that it is; the first word about a sequence counts."""
    for one in findings:
        for first, last, word in parts_of((one.first, one.last), source.settled):
            part = one._replace(first=first, last=last)
            yield part if word is None else part._replace(where=Where.SETTLED, word=word)


def parts_of(
    part: tuple[int, int], words: Sequence[Settlement]
) -> Iterator[tuple[int, int, Settlement | None]]:
    """Cut a range where another word begins, in ascending order; None where nobody said any."""
    first, last = part
    for place, word in enumerate(words):
        begin, end = max(first, word.first), min(last, word.last)
        if begin <= end:
            if first < begin:
                yield from parts_of((first, begin - 1), words[place + 1 :])
            yield begin, end, word
            if end < last:
                yield from parts_of((end + 1, last), words[place + 1 :])
            return
    yield first, last, None


def _by_day(
    key: SourceKey, source: Source, where: Where, part: tuple[int, int]
) -> Iterator[Finding]:
    for first, last, heard_ns in source.heard.by_day(*part):
        facility = source.places.nearest(first)
        yield Finding(key, first, last, where, facility, heard_ns // DAY_NS, heard_ns)
