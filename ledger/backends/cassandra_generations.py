"""The generations of the store in Cassandra: a table of rows for each, one row that names them.

Nobody holds a lock. The row is changed by compare-and-set, and after each change it is waited until
no process goes by what it said before. Rows are put to a generation for as long as anybody could
read from it, so it does not matter who learns of a change first.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from ledger.backends.cassandra_building import CassandraBuilding
from ledger.backends.cassandra_errors import Failure, Outcome, write_error
from ledger.backends.cassandra_schema import (
    rows_generations,
    rows_statement,
    rows_table,
    serving_row,
)
from ledger.backends.cassandra_serving import WHAT
from ledger.backends.cassandra_session import Bound
from ledger.backends.cassandra_wire import encode_int
from ledger.errors import Busy, Diverged, NotPossibleNow, Uncertain
from ledger.generations import Standing

if TYPE_CHECKING:
    from collections.abc import Callable

    from cassandra.query import PreparedStatement

    from ledger.backends.cassandra_marks import Marks
    from ledger.backends.cassandra_nodes import Nodes
    from ledger.backends.cassandra_rows import Rows
    from ledger.backends.cassandra_serving import Serving, ServingRow
    from ledger.backends.cassandra_session import Session

logger = logging.getLogger(__name__)

_CHANGE: Final = (
    "UPDATE $keyspace.serving SET generation = ?, building = ?, before = ?, newest = ? "
    "WHERE what = ? IF generation = ? AND building = ? AND before = ? AND newest = ?"
)


class CassandraGenerations:
    """A `Generations`."""

    def __init__(
        self,
        session: Session,
        change: PreparedStatement,
        serving: Serving,
        *,
        rows: Rows,
        marks: Marks,
        nodes: Nodes,
        stands_s: float,
        monotonic: Callable[[], float],
    ) -> None:
        """Use `of`."""
        self._session = session
        self._change_row = change
        self._serving = serving
        self._rows = rows
        self._marks = marks
        self._nodes = nodes
        self._stands_s = stands_s
        self._monotonic = monotonic
        self._known: tuple[ServingRow, float] | None = None
        """The row, and since when it has stood at least, by our clock."""

    @classmethod
    async def of(
        cls,
        session: Session,
        serving: Serving,
        *,
        rows: Rows,
        marks: Marks,
        nodes: Nodes,
        stands_s: float,
        monotonic: Callable[[], float],
    ) -> CassandraGenerations:
        """Prepare. `serving` is what this process goes by; a row that has stood for `stands_s` is
        what all go by.
        """
        return cls(
            session,
            await session.prepare(_CHANGE, repeatable=False),
            serving,
            rows=rows,
            marks=marks,
            nodes=nodes,
            stands_s=stands_s,
            monotonic=monotonic,
        )

    async def standing(self) -> Standing:
        """Tell which there are: a table that nobody names is kept, unless it is of none yet."""
        row = await self._row()
        there = await rows_generations(self._session)
        kept = [n for n in there if n <= row.newest and n not in {row.serving, row.building}]
        return Standing(row.serving, row.building, kept)

    async def begin(self) -> CassandraBuilding:
        """Begin a generation, or go on with one."""
        row = await self._row()
        while not row.building:
            number = row.newest + 1
            await self._make(number)
            # If we crash here nobody knows of the table, and the next one who begins takes it.
            begun = row._replace(building=number, newest=number)
            row = begun if await self._change(row, begun) else await self._row()
        # If we crash here rows are put to it, and the next one who begins goes on with it.
        await self._until_all_know(row)
        table = await self._serving.table_of(row.building)
        return CassandraBuilding(table, rows=self._rows, marks=self._marks, nodes=self._nodes)

    async def serve(self, generation: int) -> None:
        """Change the row. Rows go on being put to the one before, since some still read there."""
        row = await self._row()
        if generation != row.building or not generation:
            raise _unfit(f"Generation {generation} of the store is not being built.")
        # Then nobody reads from what served even earlier, and `before` may name another. It has
        # stood since this was begun, so there is nothing to wait for.
        await self._until_all_know(row)
        serves = row._replace(serving=generation, building=0, before=row.serving)
        if not await self._change(row, serves):
            raise _changed()
        # If we crash here the new one serves, and nobody misses anything on the way.
        await self._until_all_know(serves)

    async def drop(self, generation: int) -> None:
        """Put no more to it, then remove its table."""
        row = await self._row()
        if generation == row.serving:
            raise _unfit(f"Generation {generation} of the store serves: it is not dropped.")
        if generation not in (await self.standing()).kept and generation != row.building:
            raise _unfit(f"The store has no generation {generation}.")
        if generation in row.targets:
            # Who does not know yet that another one serves may read it, and has to find all there.
            await self._until_all_know(row)
            left = row._replace(
                building=0 if generation == row.building else row.building,
                before=0 if generation == row.before else row.before,
            )
            if not await self._change(row, left):
                raise _changed()
            row = left
            # If we crash here it is kept, as it is now.
        await self._until_all_know(row)
        await self._define(f"DROP TABLE IF EXISTS {self._named(generation)}")

    async def _row(self) -> ServingRow:
        self._session.check()
        row = await serving_row(self._session)
        if row is None:
            raise Diverged(
                "No generation of the store is named as serving. `parcel-ledger init --check` "
                "says what is wrong.",
                reason="STORE_SCHEMA_FAULTS",
            )
        self._see(row)
        return row

    def _see(self, row: ServingRow) -> None:
        if self._known is None or self._known[0] != row:
            self._known = (row, self._monotonic())

    async def _until_all_know(self, row: ServingRow) -> None:
        """Wait until the row has stood for so long that every process goes by it, ours too."""
        self._see(row)
        assert self._known
        await asyncio.sleep(self._known[1] + self._stands_s - self._monotonic())
        # Ours does so by now, or does nothing; a look shows it here at once. What was changed is
        # changed where it fails.
        with suppress(Busy):
            await self._serving.look()

    async def _change(self, row: ServingRow, wanted: ServingRow) -> bool:
        """Change the row, unless somebody else has."""
        values = [encode_int(number) for number in wanted[:4]]
        values += [WHAT, *(encode_int(number) for number in row[:4])]
        try:
            answer = await self._session.write(Bound(self._change_row, values, WHAT))
            done: bool = answer[0][0]
        except Uncertain:
            # Reading settles it: what was begun is finished by it, or can no longer be.
            found = await self._row()
            if found == row:
                raise
            done = found == wanted
        if done:
            self._see(wanted)
            logger.info("the generations of the store have changed", extra=wanted._asdict())
        return done

    async def _make(self, number: int) -> None:
        await self._check_nodes()
        if number not in await rows_generations(self._session):
            await self._define(rows_statement(self._session, number))
        # If we crash here, or a node goes away, the next one who begins looks again.
        await self._check_nodes()

    async def _check_nodes(self) -> None:
        """See that every node knows every table. One that was away when a table was made answers
        again before it knows of it, and refuses what is put there.
        """
        if not await self._nodes.agree():
            raise NotPossibleNow(
                "A node of Cassandra is away, or does not know all tables yet. Begin when all of "
                "them are there (`nodetool status`, `nodetool describecluster`).",
                reason="STORE_NODE_AWAY",
            )

    async def _define(self, cql: str) -> None:
        try:
            await self._session.define(cql)
        except Failure as failure:
            if failure.outcome is Outcome.NEVER:
                raise NotPossibleNow(
                    f"Cassandra does not let us do this: {failure.words}. Let somebody do it who "
                    f"may, and type the same again: {cql};",
                    reason="STORE_RIGHT_MISSING",
                ) from failure.error
            raise self._session.counted(write_error(failure)) from failure.error

    def _named(self, generation: int) -> str:
        return f"{self._session.cluster.keyspace}.{rows_table(generation)}"


def _unfit(why: str) -> NotPossibleNow:
    return NotPossibleNow(why, reason="GENERATION_NOT_FIT", field="generation")


def _changed() -> NotPossibleNow:
    return NotPossibleNow(
        "Somebody else changed the generations meanwhile: see `parcel-ledger rebuild list`.",
        reason="REBUILD_UNDER_WAY",
    )
