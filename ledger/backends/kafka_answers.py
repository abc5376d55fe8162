"""What a broker's answer to a batch means for it, and how that is said."""

from __future__ import annotations

from enum import Enum
from typing import Final

from aiokafka.errors import for_code

from ledger.errors import Busy, Diverged, Uncertain

AWAY_RETRY_AFTER_S: Final = 1.0
"""What an append to a partition is told to wait that takes nothing at the moment."""


class Verdict(Enum):
    """What is to be done with a batch."""

    KEPT = "kept"
    TRY_AGAIN = "not kept; try again"
    TRY_AGAIN_PERHAPS_KEPT = "perhaps kept; try again, the broker knows repeats"
    NOT_KEPT = "not kept, and never will be"
    PERHAPS_KEPT = "perhaps kept; another try tells nothing"


_TRY_AGAIN: Final = frozenset({2, 19})
"""A batch that was damaged on its way, and too few replicas in sync: seen before it was written."""

_TRY_AGAIN_PERHAPS_KEPT: Final = frozenset({3, 5, 6, 7, 8, 9, 13, 20, 56, 72, 74, 75, 78, 100, 103})
"""Leaders that moved, replicas that lag, disks that failed: some of it may have happened after the
leader had written the batch.
"""

_NOT_KEPT: Final = frozenset(
    {10, 17, 18, 21, 29, 31, 32, 35, 42, 43, 44, 45, 47, 49, 59, 76, 87, 90}
)
"""Too large, no right, a clock that is off, sequence numbers that are not the next ones, and what
else a broker refuses before it writes.
"""


def judge(code: int, offset: int) -> Verdict:
    """Say what an answer means. A repeat whose offset the broker no longer knows has none."""
    if code == 0 and offset >= 0:
        return Verdict.KEPT
    if code in _TRY_AGAIN:
        return Verdict.TRY_AGAIN
    if code in _TRY_AGAIN_PERHAPS_KEPT:
        return Verdict.TRY_AGAIN_PERHAPS_KEPT
    return Verdict.NOT_KEPT if code in _NOT_KEPT else Verdict.PERHAPS_KEPT


def in_words(code: int) -> str:
    """Name an answer."""
    return f"Kafka answered {for_code(code).__name__}, {code}"


def away(partition: int, why: str) -> Busy:
    """Say that nothing was appended, and will not be for a while."""
    return Busy(
        f"Partition {partition} of the log takes nothing at the moment ({why}).",
        reason="LOG_PARTITION_AWAY",
        retry_after_s=AWAY_RETRY_AFTER_S,
        metadata={"partition": str(partition)},
    )


def unsure(partition: int, why: str) -> Uncertain:
    """Say that nobody knows whether something was appended."""
    return Uncertain(
        f"Kafka did not say whether it kept records of partition {partition} ({why}).",
        reason="LOG_UNCERTAIN",
        metadata={"partition": str(partition)},
    )


def shorter(partition: int, offset: int, end: int) -> Diverged:
    """Say that a partition gave a place to a new record that an older one had."""
    return Diverged(
        f"The log lost records: partition {partition} gave index {offset} to a new record, but "
        f"records up to {end - 1} were acknowledged before. The topic was deleted and made again, "
        f"or a broker without them became the leader. Nothing more is acknowledged.",
        reason="LOG_SHORTER_THAN_ACKNOWLEDGED",
        metadata={"partition": str(partition), "index": str(offset)},
    )
