"""How log records lie in RocksDB: in blocks, one per partition and commit.

A block is one value under (log, generation, partition, index of its first record): the number of
records, their lengths, their bytes. Thousands of records cost a handful of keys, so an append costs
a tenth of what a key per record would.
"""

from __future__ import annotations

import struct
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.backends.rocksdb_reading import check_end
from ledger.errors import Diverged

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rocksdict import Rdict

BLOCK_BYTES_MAX: Final = 256 << 10
"""Where a block is cut: it is what has to be read to find one record."""

_KEY: Final = struct.Struct(">BHQ")
_INDEX_END: Final = (1 << 64) - 1


class Block(NamedTuple):
    """Records of one partition that follow one another."""

    first: int
    values: Sequence[bytes]

    @property
    def next(self) -> int:
        """Index behind the last record."""
        return self.first + len(self.values)


class Blocks:
    """The blocks of one log in an open database."""

    def __init__(self, family: Rdict, log: str, generation: int) -> None:
        """`family` is the log's column family."""
        self._family = family
        self._prefix = log.encode("ascii") + b"\0"
        self._generation = generation
        self._log = log

    def key(self, partition: int, index: int) -> bytes:
        """Give the key of the block that begins at an index."""
        return self._prefix + _KEY.pack(self._generation, partition, index)

    def last(self, partition: int) -> Block | None:
        """Return the last block of a partition."""
        return self.holding(partition, _INDEX_END)

    def holding(self, partition: int, index: int) -> Block | None:
        """Return the last block that begins at or before an index."""
        return next(self.read(partition, index), None)

    def read(self, partition: int, index: int) -> Iterator[Block]:
        """Yield the block that begins at or before an index, and those behind it, in order.

        Raises Diverged where a block cannot be read, or one of them is missing.
        """
        start = self.key(partition, 0)
        partition_prefix = start[: -_KEY.size + 3]
        found = self._family.iter()
        found.seek_for_prev(self.key(partition, index))
        expected = None
        while found.valid():
            key: bytes = found.key()
            if not key.startswith(partition_prefix):
                return
            block = Block(int.from_bytes(key[-8:], "big"), self._split(partition, found.value()))
            if expected is not None and block.first != expected:
                raise self._broken(partition, f"records from index {expected} on are missing")
            yield block
            expected = block.next
            found.next()
        check_end(found, f"Partition {partition} of the log `{self._log}`")

    def _split(self, partition: int, block: bytes) -> Sequence[bytes]:
        (count,) = struct.unpack_from("<I", block)
        lengths = struct.unpack_from(f"<{count}I", block, 4)
        start = 4 + 4 * count
        ends = list(accumulate(lengths, initial=start))
        if ends[-1] != len(block):
            raise self._broken(partition, "a block has another length than it says")
        return [block[a:b] for a, b in pairwise(ends)]

    def _broken(self, partition: int, what: str) -> Diverged:
        return Diverged(
            f"Partition {partition} of the log `{self._log}` is damaged: {what}. Restore the "
            f"folder from a backup.",
            reason="LOG_DAMAGED",
            metadata={"partition": str(partition)},
        )


def join_block(values: Sequence[bytes]) -> bytes:
    """Encode a block."""
    count = len(values)
    return struct.pack(f"<{count + 1}I", count, *map(len, values)) + b"".join(values)


def cut_into_blocks(first: int, values: Sequence[bytes]) -> Iterator[Block]:
    """Cut records into blocks of about BLOCK_BYTES_MAX."""
    if sum(map(len, values)) <= BLOCK_BYTES_MAX:
        yield Block(first, values)
        return
    start = 0
    size = 0
    for at, value in enumerate(values):
        size += len(value)
        if size >= BLOCK_BYTES_MAX:
            yield Block(first + start, values[start : at + 1])
            start, size = at + 1, 0
    if start < len(values):
        yield Block(first + start, values[start:])
