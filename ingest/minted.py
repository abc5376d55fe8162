"""How far the sources of a gateway have minted, as they say themselves: it is passed on.

So the ledger knows of scans that still lie at the facility. What sources were told is not passed
on: that was SPOOLED, and is no word of the ledger.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from ingest.limits import FIELD_COUNT_MAX
from ledger.v1.ingest_service_pb2 import SourceProgress

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ingest.recent import Source

KNOWN_MAX: Final = 20_000
"""Most sources that are remembered, some 5 MB: twice what one stream to the ledger may speak for.
The one that was quiet for longest is forgotten, and passed on again when it speaks.
"""

TOLD_MAX: Final = 5_000
"""Most sources that the gateway speaks for though they send nothing: half of what one stream may
speak for, so that those that send have their places.
"""


class Minted:
    """What sources say of themselves, where nobody writes receipts."""

    def __init__(self) -> None:
        self._through: OrderedDict[Source, int] = OrderedDict()
        self._turn = 0

    def hear(self, source: Source, through: int) -> None:
        """Remember what a source says."""
        known = self._through.pop(source, 0)
        self._through[source] = max(known, through)
        if len(self._through) > KNOWN_MAX:
            self._through.popitem(last=False)

    def through(self, source: Source) -> int:
        """Tell how far a source has minted; 0 is not known."""
        return self._through.get(source, 0)

    def progress(self, speaking: Iterable[Source]) -> Sequence[SourceProgress]:
        """Say how far those are that speak now: as many as one message takes, in turn.

        Only those: a source that has gone to another gateway would be taken from it.
        """
        known = [source for source in speaking if source in self._through][:TOLD_MAX]
        begin = self._turn if self._turn < len(known) else 0
        turn = known[begin : begin + FIELD_COUNT_MAX["Heartbeat.sources"]]
        self._turn = begin + len(turn)
        return [
            SourceProgress(source_id=one[0], spool_id=one[1], minted_through=self._through[one])
            for one in turn
        ]
