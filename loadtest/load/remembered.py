"""What was acknowledged, remembered compactly: all of it in files, and a sample in memory.

A scan takes about 45 bytes in one of 64 files, chosen by its item. At the end one file after the
other is read, so memory does not grow with the run: a million scans are 5 MB at a time.
"""

from __future__ import annotations

import random as randomness
import struct
import zlib
from typing import TYPE_CHECKING, Final

from loadtest.load.check import DIGEST_BYTES, Identity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from ledger.v1.position_pb2 import Position
    from loadtest.load.traffic import Scan

FILES: Final = 64
"""How many files: each is 1/64 of a run, and has a buffer of 8 KB while it is written."""

SAMPLE_ITEMS_MAX: Final = 5_000
"""Most items in memory, about 4 KB each: what is read while the load runs."""

_ROW: Final = struct.Struct(f">BI16s{DIGEST_BYTES}s")  # The item's length, source, id and digest.

Place = tuple[int, int]
"""Generation and partition."""

Expected = dict[Identity, bytes]
"""The digest of each scan that a trail must show."""


class Remembered:
    """Every acknowledged scan of one process."""

    def __init__(self, folder: Path) -> None:
        """`folder` is there, and empty."""
        self.scans = 0
        self.ends: dict[Place, int] = {}
        """For each partition the index behind the last acknowledged scan."""

        self._files: list[BinaryIO] = [
            (folder / f"acknowledged-{number:02}").open("w+b") for number in range(FILES)
        ]
        self._sources: dict[str, int] = {}

    def add(
        self, source_id: str, scans: Iterable[tuple[Scan, bytes]], positions: Sequence[Position]
    ) -> None:
        """Remember scans, each with its digest, and the highest positions that came with them."""
        source = self._sources.setdefault(source_id, len(self._sources))
        for scan, digest in scans:
            item = scan.item.encode()
            self._files[zlib.crc32(item) % FILES].write(
                _ROW.pack(len(item), source, scan.event_id, digest) + item
            )
            self.scans += 1
        for at in positions:
            place = at.generation, at.partition
            self.ends[place] = max(self.ends.get(place, 0), at.index + 1)

    def read_back(self) -> Iterator[Mapping[str, Expected]]:
        """Give all items with what their trails must show, in parts that fit into memory."""
        sources = list(self._sources)
        for file in self._files:
            file.flush()
            file.seek(0)
            items: dict[str, Expected] = {}
            while row := file.read(_ROW.size):
                length, source, event_id, digest = _ROW.unpack(row)
                expected = items.setdefault(file.read(length).decode(), {})
                expected[Identity(sources[source], event_id)] = digest
            yield items

    def close(self) -> None:
        """Let the files go."""
        for file in self._files:
            file.close()


class Sample:
    """Items whose scans must be readable by now; new ones take the place of the oldest."""

    def __init__(self, items_max: int = SAMPLE_ITEMS_MAX) -> None:
        self._items: list[str] = []  # A ring.
        self._oldest = 0
        self._items_max = items_max
        self._expected: dict[str, Expected] = {}

    def __len__(self) -> int:
        """How many items."""
        return len(self._items)

    def add(self, source_id: str, scans: Iterable[tuple[Scan, bytes]]) -> None:
        """Expect scans from now on."""
        for scan, digest in scans:
            if scan.item not in self._expected:
                self._make_room(scan.item)
                self._expected[scan.item] = {}
            self._expected[scan.item][Identity(source_id, scan.event_id)] = digest

    def some(self, count: int) -> list[str]:
        """Draw items, none twice."""
        return randomness.sample(self._items, min(count, len(self._items)))

    def newest(self, count: int) -> list[str]:
        """Give the items that came last: they are still on their way."""
        size = len(self._items)
        return [self._items[(self._oldest - 1 - back) % size] for back in range(min(count, size))]

    def expected(self, item: str) -> Expected:
        """Give what a trail must show if it is asked for now."""
        return dict(self._expected.get(item, {}))

    def _make_room(self, item: str) -> None:
        if len(self._items) < self._items_max:
            self._items.append(item)
            return
        del self._expected[self._items[self._oldest]]
        self._items[self._oldest] = item
        self._oldest = (self._oldest + 1) % self._items_max
