"""How the embedded engine sets RocksDB: what is kept how, and how much memory it may take.

Two cores and 300 MB for the whole process decide these numbers; each says why it has its value.
Column families: `log` (blocks of log records), `trail_s` and a number (rows of one generation),
`meta` (marks, progress, which generation serves).
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rocksdict import (
    BlockBasedIndexType,
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    DBRecoveryMode,
    Env,
    Options,
    WriteBufferManager,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

LOG: Final = "log"
"""Column family of the log's blocks."""

TRAIL_PREFIX: Final = "trail_s"
"""How the column families of rows begin; behind it is the store's generation."""

META: Final = "meta"
"""Column family of marks and progress."""

WRITE_BUFFER_BYTES: Final = 64 << 20
"""Memory for what is not in files yet, all column families together: half of it gains 10 % CPU in
fewer and larger files, and 96 MiB no more.
"""

BLOCK_CACHE_BYTES: Final = 32 << 20
"""Memory for blocks that were read, indexes of files included. The kernel's page cache is behind
it.
"""

WAL_BYTES_MAX: Final = 96 << 20
"""Write-ahead log that is kept before column families are flushed: it is read twice after a crash,
at some 30 MB/s.
"""

BLOCK_BYTES: Final = 16 << 10
"""Block of a file: a trail of 20 events is 5 KiB, so one block of each level serves it."""

TABLE_FILE_BYTES: Final = 64 << 20
"""Size of a file: ten million rows are some 30 files."""

LEVEL_BASE_BYTES: Final = 256 << 20
"""Size of the first level: about four write buffers."""

BLOB_BYTES_MIN: Final = 2 << 10
"""Log blocks of at least this size lie in files of their own and are never written again by
compaction: 3 µs of CPU less per scan.
"""

BLOB_FILE_BYTES: Final = 256 << 20
"""Size of such a file."""

OPEN_FILES_MAX: Final = 512
"""Most files that are open at once: half of the usual limit of a process."""

BACKGROUND_JOBS: Final = 2
"""Flush and compaction at once: one per core of the machine that is meant."""

SYNC_BYTES: Final = 1 << 20
"""Files are written out at this step, so that a sync never waits for a hundred megabytes."""

_KEPT_LOG_FILES: Final = 4
_LOG_FILE_BYTES: Final = 1 << 20

_TRACKED_WALS: Final = """\
[Version]
  rocksdb_version=9.8.4
  options_file_version=1.1
[DBOptions]
  track_and_verify_wals_in_manifest=true
[CFOptions "default"]
[TableOptions/BlockBasedTable "default"]
"""
"""A write-ahead log that is gone or cut in the middle of others is refused at opening. This option
can only be set in a file.
"""


def database_options() -> Options:
    """Make the options of the database itself, which the default column family shares."""
    with tempfile.TemporaryDirectory(prefix="parcel-ledger-") as folder:
        Path(folder, "OPTIONS-000001").write_text(_TRACKED_WALS, encoding="ascii")
        options, _ = Options.load_latest(folder)
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    options.set_paranoid_checks(True)
    # Recovery gives exactly a prefix of what was written. Whether the prefix holds all that was
    # acknowledged is checked before anything is changed: see `rocksdb_recovery`.
    options.set_wal_recovery_mode(DBRecoveryMode.point_in_time())
    # All column families are flushed together, so that they never recover to different points.
    options.set_atomic_flush(True)
    # An old log that is written over cannot be told from a damaged one.
    options.set_recycle_log_file_num(0)
    options.set_max_total_wal_size(WAL_BYTES_MAX)
    options.set_write_buffer_manager(WriteBufferManager(WRITE_BUFFER_BYTES, False))
    # One thread writes; what several of them need would cost it a tenth.
    options.set_allow_concurrent_memtable_write(False)
    options.set_max_background_jobs(BACKGROUND_JOBS)
    # Flush and compaction take what scans leave: else a scan waits for its turn while they run.
    environment = Env()
    environment.lower_high_priority_thread_pool_cpu_priority()
    environment.lower_thread_pool_cpu_priority()
    options.set_env(environment)
    options.set_max_open_files(OPEN_FILES_MAX)
    options.set_bytes_per_sync(SYNC_BYTES)
    options.set_keep_log_file_num(_KEPT_LOG_FILES)
    options.set_max_log_file_size(_LOG_FILE_BYTES)
    return options


def trail_family(generation: int) -> str:
    """Give the column family of a generation's rows."""
    return f"{TRAIL_PREFIX}{generation}"


def block_cache() -> Cache:
    """Make the one cache that all column families share."""
    return Cache(BLOCK_CACHE_BYTES)


def column_families(generations: Iterable[int], cache: Cache) -> dict[str, Options]:
    """Make the options of the column families, with those of these generations of the store."""
    names = (LOG, *map(trail_family, generations), META)
    families = {name: family_options(cache) for name in names}
    log = families[LOG]
    log.set_enable_blob_files(True)
    log.set_min_blob_size(BLOB_BYTES_MIN)
    log.set_blob_file_size(BLOB_FILE_BYTES)
    log.set_blob_compression_type(DBCompressionType.lz4())
    return families


def family_options(cache: Cache) -> Options:
    """Make the options of one column family, whose blocks are all in its files."""
    table = BlockBasedOptions()
    table.set_block_cache(cache)
    table.set_block_size(BLOCK_BYTES)
    table.set_format_version(5)
    # Indexes grow with the rows; in the cache they have a bound, in pieces they fit into it.
    table.set_cache_index_and_filter_blocks(True)
    table.set_index_type(BlockBasedIndexType.two_level_index_search())
    table.set_pin_l0_filter_and_index_blocks_in_cache(True)
    options = Options(raw_mode=True)
    options.set_block_based_table_factory(table)
    options.set_write_buffer_size(WRITE_BUFFER_BYTES)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_target_file_size_base(TABLE_FILE_BYTES)
    options.set_max_bytes_for_level_base(LEVEL_BASE_BYTES)
    options.set_level_compaction_dynamic_level_bytes(True)
    return options
