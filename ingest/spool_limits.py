"""How much a spool holds and takes: every limit with its reason, and what is said beyond them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ledger.errors import Busy

BYTES_MAX: Final = 1 << 30
"""Bytes that a spool takes on the disk: three million scans of the usual size, a day of a large
facility.
"""

AGE_MAX_S: Final = 86_400.0
"""Age in seconds from which unsettled scans are reported: beyond a day trails show them as recorded
late.
"""

SEGMENT_BYTES_MAX: Final = 8 << 20
"""Longest segment. Room is freed by whole segments."""

SEGMENT_BYTES_MIN: Final = 16 << 10
"""Shortest segment: making one costs two syncs."""

SEGMENTS_ENOUGH: Final = 64
"""Into how many segments a spool that is full is cut at least: so much of it may be held up by one
scan that is not settled.
"""

APPEND_BYTES_MAX: Final = 8 << 20
"""Most bytes of one append: it is written as one, and read again as one."""

SCAN_BYTES_MAX: Final = 16 << 10
"""Most bytes of one scan: a log record's."""

REFUSED_BYTES_MAX: Final = 64 << 20
"""Most bytes of the list of refused scans: some 80,000 of the usual size, more than a person reads.
Beyond it the older half goes, which is no loss: the ledger keeps whole what it refuses.
"""

REFUSED_SHARE: Final = 16
"""Of which part of a small spool the list may take at most one: what is bad leaves room for what is
good.
"""

FULL_RETRY_S: Final = 5.0
"""Seconds after which a sender whom a full spool turned away may try again."""


class SpoolFull(Busy):
    """The spool, or its disk, has no room. Nothing was taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolLimits:
    """How much a spool holds."""

    bytes_max: int = BYTES_MAX
    """Bytes on the disk; beyond it nothing more is taken."""

    age_max_s: float = AGE_MAX_S
    """Age of the oldest unsettled scan in seconds beyond which `is_overdue` is true. Nothing is
    turned away for it: a late scan is better than none.
    """

    @property
    def segment_bytes(self) -> int:
        """The length at which a segment ends."""
        return max(min(self.bytes_max // SEGMENTS_ENOUGH, SEGMENT_BYTES_MAX), SEGMENT_BYTES_MIN)

    @property
    def refused_bytes(self) -> int:
        """Most bytes of the list of refused scans."""
        return min(self.bytes_max // REFUSED_SHARE, REFUSED_BYTES_MAX)
