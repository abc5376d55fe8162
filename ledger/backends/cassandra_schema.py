"""Keyspace and tables: made by a command, looked at by every role that starts.

`cassandra.cql` is the one place that says what there is. Making needs rights on the keyspace, and
on all keyspaces only where it is missing; looking needs to read.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from functools import cache
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.backends.cassandra_connect import open_session
from ledger.backends.cassandra_errors import Failure, write_error
from ledger.backends.cassandra_serving import SELECT, WHAT, ServingRow
from ledger.errors import Busy, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ledger.backends.cassandra_cluster import CassandraCluster
    from ledger.backends.cassandra_session import Session

STRATEGY: Final = "NetworkTopologyStrategy"

_KEYSPACE: Final = "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?"
_COLUMNS: Final = (
    "SELECT table_name, column_name, type, kind, position FROM system_schema.columns "
    "WHERE keyspace_name = ?"
)

_TABLE: Final = re.compile(
    r"CREATE TABLE IF NOT EXISTS \w+\.(\w+) \((.*?)PRIMARY KEY \(\((\w+)\)([\w, ]*)\)", re.DOTALL
)
_MADE: Final = re.compile(r"CREATE (?:KEYSPACE|TABLE) IF NOT EXISTS (?:\w+\.)?(\w+)")


class _Column(NamedTuple):
    """A column as the server describes it."""

    type: str
    kind: str
    position: int


_Tables = dict[str, dict[str, _Column]]


def schema_statements(
    cluster: CassandraCluster, generation: int, *, rows: int | None = None
) -> list[str]:
    """Give the CQL of a store, for somebody to apply; `rows` is the generation whose rows it has,
    where that is another one. The data centre is named in it, so the settings must name it.
    """
    if not cluster.data_centre:
        raise Refused(
            "Name the data centre: the keyspace's replication is set for it.",
            reason="DATA_CENTRE_NOT_NAMED",
            field="cassandra_data_centre",
        )
    text = re.sub(r"(?m)^--.*\n", "", files(__package__).joinpath("cassandra.cql").read_text())
    filled = Template(text).substitute(
        keyspace=cluster.keyspace,
        generation=generation,
        rows=rows or generation,
        data_centre=cluster.data_centre.replace("'", "''"),
        replication=cluster.replication,
    )
    return [part.strip() for part in filled.split(";\n") if part.strip()]


def rows_statement(session: Session, rows: int) -> str:
    """Give the CQL of the table with the rows of a generation, in one line."""
    named = replace(session.cluster, data_centre=session.data_centre)
    for statement in schema_statements(named, session.generation, rows=rows):
        match = _MADE.match(statement)
        if match and match[1] == rows_table(rows):
            return " ".join(statement.split())
    raise AssertionError(rows)


def rows_table(generation: int) -> str:
    """Name the table of a generation's rows."""
    return f"rows_s{generation}"


async def rows_generations(session: Session) -> list[int]:
    """List the generations whose rows have a table. Raises Busy or Refused."""
    _, tables = await _found(session)
    numbers = [re.fullmatch(r"rows_s(\d+)", name) for name in tables]
    return sorted(int(number[1]) for number in numbers if number)


async def create_schema(cluster: CassandraCluster, *, generation: int) -> list[str]:
    """Make what is missing, one after the other, and return what was made, in words.

    What is there is left as it is, so doing this again makes nothing; `check_schema` says whether
    it is right. Two that do it at the same moment may make a table twice over: let one do it.
    """
    made = []
    async with open_session(cluster, generation=generation) as session:
        named = replace(cluster, data_centre=session.data_centre)
        replication, tables = await _found(session)
        row = None
        if "serving" in tables and not _serving_faults(tables):
            row = await serving_row(session)
        # Of a store that was rebuilt the first rows may be gone for good.
        rows, *more = row.targets if row and row.first == generation else [generation]
        statements = schema_statements(named, generation, rows=rows)
        for statement in [*statements, *(rows_statement(session, number) for number in more)]:
            match = _MADE.match(statement)
            if match and (match[1] in tables or (match[1] == cluster.keyspace and replication)):
                continue
            try:
                await session.define(statement)
            except Failure as failure:
                raise write_error(failure) from failure.error
            if match:
                made.append(match[1])
    return made


async def check_schema(cluster: CassandraCluster, *, generation: int) -> list[str]:
    """Compare what is there with what should be, and return the faults, in words; none: it fits."""
    async with open_session(cluster, generation=generation) as session:
        return await schema_faults(session)


async def schema_faults(session: Session) -> list[str]:
    """Do the same with a session."""
    cluster, generation = session.cluster, session.generation
    replication, tables = await _found(session)
    if not replication:
        return [f"the keyspace `{cluster.keyspace}` is missing; `parcel-ledger init` makes it"]
    faults = list(_replication_faults(session, replication))
    row, rows, of_row, busy = None, [generation], [], None
    if "serving" in tables and not _serving_faults(tables):
        try:
            row = await serving_row(session)
            of_row = _row_faults(row, generation)
        except Busy as error:  # With more replicas than nodes, say, nothing can be read, for ever.
            busy = error
    if row and row.first == generation:
        rows = row.targets
    for table, columns in _wanted(generation, *rows).items():
        faults += _table_faults(table, columns, tables.get(table))
    if busy and not faults:
        raise busy
    return faults + of_row


async def serving_row(session: Session) -> ServingRow | None:
    """Read which generations there are, and finish what was begun to be decided."""
    rows = await session.read(await session.prepare(SELECT, serial=True), (WHAT,), key=WHAT)
    return ServingRow.of(rows[0]) if rows else None


def _serving_faults(tables: _Tables) -> list[str]:
    return list(_table_faults("serving", _wanted(1, 1)["serving"], tables.get("serving")))


def _row_faults(row: ServingRow | None, generation: int) -> list[str]:
    if row is None:
        return ["no generation of the store is named as serving"]
    if row.first != generation:
        return [
            f"the store was begun as generation {row.first}, and `store_generation` is "
            f"{generation}; it stays as it was, also when the store is rebuilt"
        ]
    return []


async def _found(session: Session) -> tuple[Mapping[str, str], _Tables]:
    """Read what the keyspace is like; empty where it is missing."""
    name = session.cluster.keyspace.encode()
    rows = await session.read(await session.prepare(_KEYSPACE), (name,), key=None)
    replication: Mapping[str, str] = rows[0][0] if rows else {}
    tables: _Tables = defaultdict(dict)
    for table, column, *told in await session.read(
        await session.prepare(_COLUMNS), (name,), key=None
    ):
        tables[table][column] = _Column(*told)
    return replication, dict(tables)


def _replication_faults(session: Session, replication: Mapping[str, str]) -> Iterator[str]:
    cluster, centre = session.cluster, session.data_centre
    strategy = replication["class"].rpartition(".")[2]
    if strategy != STRATEGY:
        yield f"the keyspace `{cluster.keyspace}` has {strategy}, not {STRATEGY}"
        return
    copies = int(replication.get(centre, "0").partition("/")[0])
    where = f"the keyspace `{cluster.keyspace}` has replication {copies} in `{centre}`"
    if copies == 1 and not cluster.single_node_ok:
        yield f"{where}: one node that is lost loses rows"
    elif copies != 1 and copies < cluster.replication:
        yield f"{where}, less than the {cluster.replication} of `cassandra_replication`"


def _table_faults(
    table: str, wanted: Mapping[str, _Column], found: Mapping[str, _Column] | None
) -> Iterator[str]:
    if found is None:
        yield f"the table `{table}` is missing; `parcel-ledger init` makes it"
        return
    for name, column in wanted.items():
        if name not in found:
            yield f"the table `{table}` has no column `{name}`"
        elif found[name] != column:
            yield f"the column `{name}` of `{table}` is {_said(found[name])}, not {_said(column)}"


def _said(column: _Column) -> str:
    if column.kind in {"partition_key", "clustering"}:
        return f"{column.type} ({column.kind} {column.position})"
    return f"{column.type} ({column.kind})"


@cache
def _wanted(generation: int, *rows: int) -> _Tables:
    """Read the tables out of the CQL, as the server would describe them; `rows` are the generations
    whose rows have to be there.
    """
    text = files(__package__).joinpath("cassandra.cql").read_text()
    filled = Template(text).safe_substitute(keyspace="k", generation=generation, rows="")
    tables: _Tables = {}
    for table, body, partition, behind in _TABLE.findall(filled):
        clustering = [name.strip() for name in behind.split(",") if name.strip()]
        columns = {}
        for name, kind in re.findall(r"(\w+) (\w+),", body):
            if name == partition:
                place = ("partition_key", 0)
            elif name in clustering:
                place = ("clustering", clustering.index(name))
            else:
                place = ("regular", -1)
            columns[name] = _Column(kind, *place)
        names = map(rows_table, rows) if table == "rows_s" else [table]
        tables |= dict.fromkeys(names, columns)
    return tables
