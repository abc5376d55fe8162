"""The progress history in RocksDB: by time, so that an answer as of a time is one seek, and by
number, so that each number is decided once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger.backends.rocksdb_reading import check_end, reading
from ledger.trail_store import ProgressCell

if TYPE_CHECKING:
    from rocksdict import ColumnFamily, Rdict, WriteBatch

_BY_TIME: Final = b"progress-at\0"
_BY_NUMBER: Final = b"progress-no\0"
_TIME_MAX: Final = (1 << 63) - 1


class History:
    """The entries in an open database."""

    def __init__(self, family: Rdict) -> None:
        """`family` is the column family of marks and progress."""
        self._family = family

    def at(self, time_ns: int | None) -> ProgressCell | None:
        """Return the last entry at or before a time, or the last of all."""
        found = self._family.iter()
        time_ns = _TIME_MAX if time_ns is None else min(time_ns, _TIME_MAX)
        if time_ns < 0:
            return None
        found.seek_for_prev(_BY_TIME + time_ns.to_bytes(8, "big"))
        if not found.valid():
            check_end(found, "The progress history")
            return None
        key: bytes = found.key()
        if not key.startswith(_BY_TIME):
            return None
        value: bytes = found.value()
        return ProgressCell(
            int.from_bytes(value[:8], "big"), int.from_bytes(key[-8:], "big"), value[8:]
        )

    def numbered(self, number: int) -> ProgressCell | None:
        """Return the entry of a number."""
        with reading("The progress history"):
            time: bytes | None = self._family.get(_BY_NUMBER + number.to_bytes(8, "big"))
        if time is None:
            return None
        entry = self.at(int.from_bytes(time, "big"))
        return entry if entry is not None and entry.number == number else None

    @staticmethod
    def add(batch: WriteBatch, family: ColumnFamily, cell: ProgressCell) -> None:
        """Put an entry into a batch."""
        number = cell.number.to_bytes(8, "big")
        time = cell.time_ns.to_bytes(8, "big")
        batch.put(_BY_TIME + time, number + cell.entry, family)
        batch.put(_BY_NUMBER + number, time, family)
