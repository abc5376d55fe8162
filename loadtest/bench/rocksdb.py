"""What RocksDB can do alone: the embedded engine without a ledger around it."""

from __future__ import annotations

import struct
import tempfile
import time

from rocksdict import Options, Rdict, WriteBatch, WriteOptions

from loadtest.bench.traffic import number_of

ROWS_PER_COMMIT = 2_000
"""Rows in one synced commit: what a busy ledger commits at once."""

_ORDER = struct.Struct(">q16sq")


def bare_rocksdb(seconds: float, value: bytes, folder: str) -> float:
    """Rows a second that bare RocksDB keeps, synced, a row a scan, keys as in a trail store."""
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    synced = WriteOptions()
    synced.sync = True
    with tempfile.TemporaryDirectory(dir=folder) as place:
        database = Rdict(place, options)
        rows, number = 0, 0
        keys = [number_of(item).encode() + b"\0" for item in range(20_000)]
        started_s = time.monotonic()
        while time.monotonic() - started_s < seconds:
            batch = WriteBatch(raw_mode=True)
            for _ in range(ROWS_PER_COMMIT):
                number += 1
                key = keys[number * 7919 % len(keys)]
                batch.put(key + _ORDER.pack(number, number.to_bytes(16, "big"), number), value)
            database.write(batch, synced)
            rows += ROWS_PER_COMMIT
        elapsed_s = time.monotonic() - started_s
        database.close()
    return rows / elapsed_s
