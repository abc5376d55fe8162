"""What is checked before a folder is opened, so that a refusal changes nothing in it.

RocksDB recovers exactly a prefix of what was written and says nothing of the rest; opening for
writing then removes the rest for good. So the database is first opened for reading only, and every
acknowledged record and progress entry must be in it, byte for byte, as the high-water file says.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Final

from rocksdict import AccessType, Rdict

from ledger.backends.numbers_rocksdb import NUMBERS, check_numbers
from ledger.backends.rocksdb_blocks import Blocks
from ledger.backends.rocksdb_high_water import hash_of
from ledger.backends.rocksdb_history import History
from ledger.backends.rocksdb_options import (
    LOG,
    META,
    TRAIL_PREFIX,
    column_families,
    database_options,
)
from ledger.errors import Diverged, NotPossibleNow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rocksdict import Cache

    from ledger.backends.rocksdb_high_water import HighWater

FIRST_GENERATION: Final = 1
"""Generation of the store that a new folder has."""

_WAL_BLOCK: Final = 32 << 10
_WAL_HEADER: Final = 7  # checksum 4, length 2, type 1
_WAL_TYPE_MAX: Final = 4  # zero, full, first, middle, last
_NAMED_MAX: Final = 5
"""Most partitions that an error names: the first tell where to look."""


def open_checked(
    path: Path,
    cache: Cache,
    *,
    generation: int,
    partitions: int,
    high_waters: Mapping[str, HighWater],
) -> tuple[Rdict, Sequence[int]]:
    """Open the database at `path` for writing; give the generations of the store too that are in
    it. `generation` is the log's, and `high_waters` has one for each log.

    Raises Diverged where anything that was acknowledged is missing or altered; then nothing has
    been changed.
    """
    if (path / "CURRENT").exists():
        check_write_ahead_logs(path)
        generations = _generations(path)
        read_only = AccessType.read_only(error_if_log_file_exist=False)
        reading = _open(path, cache, generations, read_only)
        try:
            check_acknowledged(
                reading,
                generation=generation,
                partitions=partitions,
                high_waters=high_waters,
            )
        finally:
            reading.close()
    elif any(one.was_written() for one in high_waters.values()):
        raise Diverged(
            f"The database {path} is missing, and with it every acknowledged scan. Nothing has "
            f"been changed. Restore the whole folder from a backup.",
            reason="DATABASE_MISSING",
            metadata={"path": str(path)},
        )
    else:
        generations = []
    # A new database, or one whose making was cut short.
    generations = generations or [FIRST_GENERATION]
    return _open(path, cache, generations, AccessType.read_write()), generations


def check_write_ahead_logs(path: Path) -> None:
    """Raise Diverged for a header in a write-ahead log on which RocksDB 9.8 would spin for ever:
    one flipped bit turns a usual record into one of a recycled log.
    """
    for file in sorted(path.glob("*.log")):
        damage = _first_unknown_type(file)
        if damage is not None:
            raise Diverged(
                f"The write-ahead log {file} is damaged at byte {damage}. Nothing has been "
                f"changed. Restore the whole folder from a backup.",
                reason="WRITE_AHEAD_LOG_DAMAGED",
                metadata={"path": str(file), "byte": str(damage)},
            )


def check_acknowledged(
    database: Rdict, *, generation: int, partitions: int, high_waters: Mapping[str, HighWater]
) -> None:
    """Raise Diverged unless the database holds all that the high-water files name."""
    for log, high_water in high_waters.items():
        if log == NUMBERS:
            check_numbers(database.get_column_family(META), high_water)
            continue
        _check_log(database, log, generation, partitions, high_water)
        _check_progress(database, high_water)


def _check_log(
    database: Rdict, log: str, generation: int, partitions: int, high_water: HighWater
) -> None:
    blocks = Blocks(database.get_column_family(LOG), log, generation)
    missing: list[tuple[int, int, int]] = []
    for partition in range(partitions):
        acknowledged = high_water.record(partition)
        last = blocks.last(partition)
        end = last.next if last else 0
        if end < acknowledged.next:
            missing.append((partition, end, acknowledged.next))
        elif acknowledged.next:
            _check_record(blocks, log, partition, acknowledged.next - 1, acknowledged.hash)
    if missing:
        raise _shorter(log, missing)


def _check_progress(database: Rdict, high_water: HighWater) -> None:
    decided = high_water.progress()
    if decided.next:
        entry = History(database.get_column_family(META)).numbered(decided.next)
        if entry is None or hash_of(entry.entry) != decided.hash:
            raise Diverged(
                f"Entry {decided.next} of the progress history is missing or has other bytes, so "
                f"past answers would change. Nothing has been changed. Restore the whole folder "
                f"from a backup.",
                reason="PROGRESS_DIFFERS_FROM_ACKNOWLEDGED",
                metadata={"number": str(decided.next)},
            )


def _generations(path: Path) -> list[int]:
    try:
        names: list[str] = Rdict.list_cf(str(path), database_options())
    except Exception as error:  # rocksdict has no errors of its own.
        raise _unopened(path, error) from error
    numbers = (name.removeprefix(TRAIL_PREFIX) for name in names if name.startswith(TRAIL_PREFIX))
    return sorted(int(number) for number in numbers if number.isdecimal())


def _open(path: Path, cache: Cache, generations: Sequence[int], access: AccessType) -> Rdict:
    try:
        families = column_families(generations, cache)
        return Rdict(str(path), database_options(), families, access)
    except Exception as error:  # rocksdict has no errors of its own.
        raise _unopened(path, error) from error


def _unopened(path: Path, error: Exception) -> Diverged | NotPossibleNow:
    message = str(error)
    if message.startswith("Corruption"):
        return Diverged(
            f"The database {path} is damaged: {message}. Nothing has been changed. Restore "
            f"the whole folder from a backup.",
            reason="DATABASE_DAMAGED",
            metadata={"path": str(path)},
        )
    return NotPossibleNow(
        f"The database {path} cannot be opened: {message}.",
        reason="FOLDER_UNUSABLE",
        metadata={"path": str(path)},
    )


def _check_record(blocks: Blocks, log: str, partition: int, index: int, digest: bytes) -> None:
    block = blocks.holding(partition, index)
    if block is None or hash_of(block.values[index - block.first]) != digest:
        raise Diverged(
            f"Record {index} of partition {partition} of the log `{log}` has other bytes than "
            f"were acknowledged. Nothing has been changed. Restore the whole folder from a backup.",
            reason="LOG_DIFFERS_FROM_ACKNOWLEDGED",
            metadata={"partition": str(partition), "index": str(index)},
        )


def _shorter(log: str, missing: Sequence[tuple[int, int, int]]) -> Diverged:
    named = "; ".join(
        f"partition {partition}, indexes {end} to {acknowledged - 1}"
        for partition, end, acknowledged in missing[:_NAMED_MAX]
    )
    more = len(missing) - _NAMED_MAX
    rest = f"; and in {more} partitions more" if more > 0 else ""
    partition, end, acknowledged = missing[0]
    return Diverged(
        f"Acknowledged records of the log `{log}` are gone: {named}{rest}. The write-ahead log was "
        f"cut or damaged. Nothing has been changed. Restore the whole folder from a backup.",
        reason="LOG_SHORTER_THAN_ACKNOWLEDGED",
        metadata={
            "log": log,
            "partition": str(partition),
            "next_index": str(end),
            "acknowledged_next_index": str(acknowledged),
        },
    )


def _first_unknown_type(file: Path) -> int | None:
    """Walk the headers of a write-ahead log; return where one has a type that we never write."""
    size = file.stat().st_size
    if not size:
        return None
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ) as data:
        at = 0
        while at + _WAL_HEADER <= size:
            left = _WAL_BLOCK - at % _WAL_BLOCK
            if left < _WAL_HEADER:
                at += left
                continue
            length = _WAL_HEADER + int.from_bytes(data[at + 4 : at + 6], "little")
            kind = data[at + 6]
            if kind > _WAL_TYPE_MAX:
                return at
            # A zero or a length beyond the block: RocksDB goes on with the next block, or stops.
            at += left if kind == 0 or length > left else length
    return None
