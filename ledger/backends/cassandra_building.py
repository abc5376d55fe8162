"""A generation of the store in Cassandra while it is being built: a table of rows of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.backends.cassandra_marks import Marks
    from ledger.backends.cassandra_nodes import Nodes
    from ledger.backends.cassandra_rows import Rows
    from ledger.backends.cassandra_serving import Table
    from ledger.trail_store import AllRows, MarkCell, Row


class CassandraBuilding:
    """A `Building`."""

    def __init__(self, table: Table, *, rows: Rows, marks: Marks, nodes: Nodes) -> None:
        """`rows` and `marks` are the store's."""
        self._table = table
        self._rows = rows
        self._marks = marks
        self._nodes = nodes
        # A number is used once, so nobody else's marks are under this name; they stay for ever.
        self._reader = f"rebuild_s{table.target.generation}"

    @property
    def generation(self) -> int:
        """Its number."""
        return self._table.target.generation

    @property
    def rows(self) -> AllRows:
        """All of its rows."""
        return self._table.scanning

    @property
    def settle_after_s(self) -> float:
        """As the store's: rows and marks may be forgotten, each on their own."""
        return self._nodes.settle_after_s

    async def put(self, rows: Sequence[Row]) -> None:
        """Write to its table alone."""
        await self._rows.put(rows, [self._table.target])

    async def marks(self) -> Sequence[MarkCell]:
        """Read one partition."""
        return await self._marks.of_reader(self._reader)

    async def put_marks(self, marks: Sequence[MarkCell]) -> None:
        """Write them all; the larger ones stand."""
        await self._marks.put(self._reader, marks)
