"""Where a record lies: log, generation, partition, index.

A position names a record that exists. An *index* in marks and progress is always the next one.
In storage keys a position is one signed 64-bit number: 7 bits generation, 16 partition, 40 index.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

GENERATION_MAX = 127
"""Highest generation: 7 bits. A generation starts when the number of partitions changes, so this
is decades.
"""

PARTITIONS_MAX = 1 << 16
"""Most partitions of a log: 16 bits."""

INDEX_MAX = (1 << 40) - 1
"""Highest index in a partition: 40 bits, a million million records."""

SCANS_LOG: Final = "scans"
"""Name of the log of scan events: the source of truth of all trails."""

RECEIPTS_LOG: Final = "receipts"
"""Name of the log of what sources were told, and of what they said they had minted."""

REFUSALS_LOG: Final = "refusals"
"""Name of the log of scans that were refused, kept whole."""

QUARANTINE_LOG: Final = "quarantine"
"""Name of the log of records that no trail can take, for the record's own fault."""

LOGS: Final = (SCANS_LOG, RECEIPTS_LOG, REFUSALS_LOG, QUARANTINE_LOG)
"""All of them. Each generation has them with the same number of partitions."""

_INDEX_BITS = 40
_PARTITION_BITS = 16


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """One record of a log, of `scans` unless it is said. Sorts by generation, partition, index."""

    generation: int
    partition: int
    index: int


def pack_position(generation: int, partition: int, index: int) -> int:
    """Give the position as one number, greater than 0. Raises ValueError outside of the ranges."""
    if not 1 <= generation <= GENERATION_MAX:
        raise ValueError(f"generation {generation} is not in 1..{GENERATION_MAX}")
    if not 0 <= partition < PARTITIONS_MAX:
        raise ValueError(f"partition {partition} is not in 0..{PARTITIONS_MAX - 1}")
    if not 0 <= index <= INDEX_MAX:
        raise ValueError(f"index {index} is not in 0..{INDEX_MAX}")
    return (generation << _PARTITION_BITS | partition) << _INDEX_BITS | index


def unpack_position(number: int) -> Position:
    """Undo `pack_position`. Raises ValueError for a number that is no position, such as 0."""
    generation = number >> (_INDEX_BITS + _PARTITION_BITS)
    if not 1 <= generation <= GENERATION_MAX:
        raise ValueError(f"{number} is no position")
    partition = (number >> _INDEX_BITS) & (PARTITIONS_MAX - 1)
    return Position(generation, partition, number & INDEX_MAX)
