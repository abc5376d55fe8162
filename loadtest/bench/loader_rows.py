"""The bare loader's rows: read from the table that the writer filled, and cut into batches."""

from __future__ import annotations

import contextlib
import struct
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from cassandra import ReadFailure
from cassandra.query import SimpleStatement

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from loadtest.bench.bare_cassandra import Store

Row = tuple[bytes, bytes, bytes, bytes]
"""A row as it is bound: tracking key, order key, record, write timestamp."""

BATCH_BYTES_MAX: Final = 40 << 10
"""Most bytes of one batch: the server refuses a batch of several partitions above 50 KiB."""

ROW_BYTES: Final = 40
"""What a row takes in a batch beside its values, a little more than less."""

PAGE_ROWS: Final = 5_000
"""Rows that are read at a time."""

READ_TRIES: Final = 3
"""How often all of it is read: the driver repeats what timed out, and not what a node failed at."""

_BIGINT = struct.Struct(">q")


def read_rows(session: Any, store: Store, rows_max: int) -> list[Row]:  # noqa: ANN401
    """Read rows, and sort them as they were recorded: as the writer had them.

    In the table's own order all rows of a trail would come together, which no writer ever sees.
    """
    query = SimpleStatement(
        f"SELECT tracking_key, order_key, record, writetime(record) FROM {store.rows} "  # noqa: S608
        f"LIMIT {rows_max}",
        fetch_size=PAGE_ROWS,
    )
    found = sorted(_insisted(session, query), key=lambda row: row[3])
    return [(key, order, record, _BIGINT.pack(time)) for key, order, record, time in found]


def _insisted(session: Any, query: SimpleStatement) -> list[Any]:  # noqa: ANN401
    """Read all pages; begin anew where a node failed at one. Seen once, with compaction busy."""
    for _ in range(READ_TRIES - 1):
        with contextlib.suppress(ReadFailure):
            return list(session.execute(query))
    return list(session.execute(query))


def cut(
    rows: Sequence[Row], rows_max: int, group_of: Callable[[bytes], Hashable]
) -> list[list[Row]]:
    """Cut rows into batches of one group each, in the order in which they become full."""
    batches: list[list[Row]] = []
    begun: dict[Hashable, list[Row]] = defaultdict(list)
    sizes: dict[Hashable, int] = defaultdict(int)
    for row in rows:
        group, size = group_of(row[0]), sum(map(len, row)) + ROW_BYTES
        if begun[group] and sizes[group] + size > BATCH_BYTES_MAX:
            batches.append(begun.pop(group))
            sizes[group] = 0
        begun[group].append(row)
        sizes[group] += size
        if len(begun[group]) >= rows_max:
            batches.append(begun.pop(group))
            sizes[group] = 0
    batches += [batch for batch in begun.values() if batch]
    return batches
