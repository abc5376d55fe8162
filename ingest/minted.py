"""How far the sources of a gateway have minted, as they say themselves: it is passed on.

So the ledger knows of scans that still lie at the facility. What sources were told is not passed
on: that was SPOOLED, and is no word of the ledger.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

from ingest.limits import FIELD_COUNT_MAX
from ledger.v1.ingest_service_pb2 import SourceProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ingest.recent import Source

KNOWN_MAX: Final = 20_000
"""Most sources that are remembered, some 5 MB: twice what one stream to the ledger may speak for.
The one that was quiet for longest is forgotten, and passed on again when it speaks.
"""

TOLD_MAX: Final = 5_000
"""Most sources that the gateway speaks for though they send nothing: half of what one stream may
speak for, so that those that send have their places.
"""

PASSED_ON_S: Final = 180.0
"""For so many seconds a source is spoken for that has left: six heartbeats, in which TOLD_MAX have
their turn, and a stream to the ledger that broke is replaced.

No longer, since it may have gone to another gateway, and would be taken from it for a minute. So
only who is there between two heartbeats, and speaks through another gateway before the next, pays.
"""


class _Word(NamedTuple):
    """What a source said of itself."""

    through: int
    heard_s: float
    """When it said so last."""


_UNKNOWN: Final = _Word(0, 0.0)


class Minted:
    """What sources say of themselves, where nobody writes receipts."""

    def __init__(self, *, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._words: OrderedDict[Source, _Word] = OrderedDict()
        self._turn = 0

    def hear(self, source: Source, through: int) -> None:
        """Remember what a source says."""
        known = self._words.pop(source, _UNKNOWN)
        self._words[source] = _Word(max(known.through, through), self._monotonic())
        if len(self._words) > KNOWN_MAX:
            self._words.popitem(last=False)

    def through(self, source: Source) -> int:
        """Tell how far a source has minted; 0 is not known."""
        return self._words.get(source, _UNKNOWN).through

    def progress(self, speaking: Iterable[Source]) -> Sequence[SourceProgress]:
        """Say how far those are that spoke within PASSED_ON_S, or whose stream is open: as many as
        one message takes, in turn.

        After a crash nothing is known: then a source that has left is silent until it comes back.
        """
        known = list(dict.fromkeys([*self._recent(), *speaking]))
        known = [source for source in known if source in self._words][:TOLD_MAX]
        begin = self._turn if self._turn < len(known) else 0
        turn = known[begin : begin + FIELD_COUNT_MAX["Heartbeat.sources"]]
        self._turn = begin + len(turn)
        return [
            SourceProgress(source_id=one[0], spool_id=one[1], minted_through=self.through(one))
            for one in turn
        ]

    def _recent(self) -> Iterator[Source]:
        """Give those that spoke lately, the last one first."""
        since_s = self._monotonic() - PASSED_ON_S
        for source in reversed(self._words):
            if self._words[source].heard_s < since_s:
                return
            yield source
