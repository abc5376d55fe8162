"""Marks in RocksDB: a key per place. All lie in memory too, since every watch reads them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from ledger.backends.rocksdb_reading import check_end
from ledger.trail_store import MarkCell, MarkKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rocksdict import ColumnFamily, Rdict, WriteBatch

_PREFIX: Final = b"mark\0"
_PLACE: Final = struct.Struct(">BHB")  # generation, partition, kind
_KINDS: Final = {MarkKind.READABLE: 1, MarkKind.SETTLED: 2}
_KIND_OF: Final = {number: kind for kind, number in _KINDS.items()}


class Marks:
    """The marks of all readers."""

    def __init__(self, family: Rdict) -> None:
        """Read those that stand."""
        self._standing: dict[str, dict[bytes, MarkCell]] = {}
        for reader, cell in _read(family):
            self.show(reader, [cell])

    def of(self, reader: str) -> Sequence[MarkCell]:
        """Return those of one reader."""
        return list(self._standing.get(reader, {}).values())

    def ahead(self, reader: str, marks: Sequence[MarkCell]) -> Sequence[MarkCell]:
        """Pick those with a larger index than the one that stands; of two, the larger."""
        standing = self._standing.get(reader, {})
        ahead: dict[bytes, MarkCell] = {}
        for cell in marks:
            place = _place(cell)
            known = ahead.get(place) or standing.get(place)
            if known is None or cell.next_index > known.next_index:
                ahead[place] = cell
        return list(ahead.values())

    def show(self, reader: str, marks: Sequence[MarkCell]) -> None:
        """Let marks stand that have been written."""
        standing = self._standing.setdefault(reader, {})
        for cell in self.ahead(reader, marks):
            standing[_place(cell)] = cell

    @staticmethod
    def add(
        batch: WriteBatch, family: ColumnFamily, reader: str, marks: Sequence[MarkCell]
    ) -> None:
        """Put marks into a batch."""
        prefix = _PREFIX + reader.encode() + b"\0"
        for cell in marks:
            index = cell.next_index.to_bytes(8, "big")
            batch.put(prefix + _place(cell), index + cell.mark, family)


def _place(cell: MarkCell) -> bytes:
    place = _PLACE.pack(cell.generation, cell.partition, _KINDS[cell.kind])
    return cell.log.encode() + b"\0" + place


def _read(family: Rdict) -> Iterator[tuple[str, MarkCell]]:
    found = family.iter()
    found.seek(_PREFIX)
    while found.valid():
        key: bytes = found.key()
        if not key.startswith(_PREFIX):
            return
        reader, log, place = key.removeprefix(_PREFIX).split(b"\0", 2)
        generation, partition, kind = _PLACE.unpack(place)
        value: bytes = found.value()
        yield (
            reader.decode(),
            MarkCell(
                _KIND_OF[kind],
                log.decode(),
                generation,
                partition,
                int.from_bytes(value[:8], "big"),
                value[8:],
            ),
        )
        found.next()
    check_end(found, "The marks")
