"""The share limit: how many of the last records may go into quarantine before the writer stops.

A single bad record is the world's; many of them at once are a bug of ours, and would be a ledger
whose trails are empty and whose quarantine holds everything. A person has to look before that.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from ledger import metrics
from ledger.errors import Diverged

WINDOW_RECORDS: Final = 10_000
"""The last records that are looked at: a second of traffic at most, a day of a small depot's. A
window of records and not of time: what a bug spoils is a share, however fast it comes.
"""


class _Part(NamedTuple):
    records: int
    unfit: int


class Share:
    """What one writer has read of late, and how much of it was unfit."""

    def __init__(self, most: int) -> None:
        """`most` unfit records of the last WINDOW_RECORDS are let through; all of them where it is
        as many.
        """
        self._most = most
        self._parts: deque[_Part] = deque()
        self._records = self._unfit = 0

    def begin(self, records: int, unfit: int) -> None:
        """Forget all, but for so many records that were read before."""
        self._parts.clear()
        self._records = self._unfit = 0
        self._add(_Part(records, unfit))

    def count(self, records: int, unfit: int) -> None:
        """Count what was read. Raises Diverged where it brings too much that is unfit."""
        self._add(_Part(records, unfit))
        # Good records go on whatever came before them: the limit may be a lower one by now.
        if unfit and self._unfit > self._most and self._most < WINDOW_RECORDS:
            raise Diverged(
                f"{self._unfit} of the last {self._records:,} records cannot be kept, more than "
                f"the {self._most} of {WINDOW_RECORDS:,} that may go into quarantine: this is a "
                f"fault of programs rather than of records. The writer stops before them, and "
                f"nothing is lost. See `parcel-ledger quarantine list` for what they have in "
                f"common; where they are to be quarantined all the same, raise "
                f"`quarantine_most`.",
                reason="QUARANTINE_SHARE_EXCEEDED",
                metadata={"unfit": str(self._unfit), "most": str(self._most)},
            )

    def _add(self, part: _Part) -> None:
        self._parts.append(part)
        self._records += part.records
        self._unfit += part.unfit
        while self._records - self._parts[0].records >= WINDOW_RECORDS:
            gone = self._parts.popleft()
            self._records -= gone.records
            self._unfit -= gone.unfit
        metrics.QUARANTINE_SHARE.set(self._unfit / max(self._records, 1))
