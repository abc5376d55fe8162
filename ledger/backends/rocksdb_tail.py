"""The newest records of a log in memory, for readers that are at its end."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.backends.rocksdb_blocks import Block

_RECORD_COST: Final = 41
"""Bytes that Python needs for a record beside its own: the head of the object, and its place in a
list.
"""


class Tail:
    """Blocks of all partitions; the oldest go first."""

    def __init__(self, partitions: int, max_bytes: int) -> None:
        """`max_bytes` is what all blocks may take together."""
        self._blocks: list[deque[Block]] = [deque() for _ in range(partitions)]
        self._ages: deque[tuple[int, int]] = deque()
        self._bytes = 0
        self._max_bytes = max_bytes

    def add(self, partition: int, block: Block) -> None:
        """Add the next block of a partition."""
        size = sum(map(len, block.values)) + _RECORD_COST * len(block.values)
        self._blocks[partition].append(block)
        self._ages.append((partition, size))
        self._bytes += size
        while self._bytes > self._max_bytes:
            oldest, size = self._ages.popleft()
            self._blocks[oldest].popleft()
            self._bytes -= size

    def blocks_from(self, partition: int, index: int) -> Sequence[Block] | None:
        """Return the blocks from the one that holds an index on; None where it is not here."""
        blocks = self._blocks[partition]
        if not blocks or index < blocks[0].first:
            return None
        found = []
        for block in reversed(blocks):
            if block.next <= index:
                break
            found.append(block)
        found.reverse()
        return found
