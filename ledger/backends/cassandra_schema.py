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
_SERVING: Final = "SELECT generation FROM $keyspace.serving WHERE what = ?"
_WHAT: Final = b"trails"

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


def schema_statements(cluster: CassandraCluster, generation: int) -> list[str]:
    """Give the CQL of a generation of the store, for somebody to apply. The data centre is named
    in it, so the settings must name it.
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
        data_centre=cluster.data_centre.replace("'", "''"),
        replication=cluster.replication,
    )
    return [part.strip() for part in filled.split(";\n") if part.strip()]


async def create_schema(cluster: CassandraCluster, *, generation: int) -> list[str]:
    """Make what is missing, one after the other, and return what was made, in words.

    What is there is left as it is, so doing this again makes nothing; `check_schema` says whether
    it is right. Two that do it at the same moment may make a table twice over: let one do it.
    """
    made = []
    async with open_session(cluster, generation=generation) as session:
        named = replace(cluster, data_centre=session.data_centre)
        replication, tables = await _found(session)
        for statement in schema_statements(named, generation):
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
    wanted = _wanted(generation)
    for table, columns in wanted.items():
        faults += _table_faults(table, columns, tables.get(table))
    if "serving" in tables:
        try:
            faults += await _serving_faults(session)
        except Busy:
            if not faults:  # With more replicas than nodes, say, nothing can be read, for ever.
                raise
    return faults


async def _serving_faults(session: Session) -> list[str]:
    serving = await session.prepare(_SERVING, serial=True)
    rows = await session.read(serving, (_WHAT,), key=_WHAT)
    if not rows:
        return ["no generation of the store is named as serving"]
    if rows[0][0] != session.generation:
        return [
            f"generation {rows[0][0]} of the store is serving, and `store_generation` is "
            f"{session.generation}"
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
def _wanted(generation: int) -> _Tables:
    """Read the tables out of the CQL, as the server would describe them."""
    text = files(__package__).joinpath("cassandra.cql").read_text()
    filled = Template(text).safe_substitute(keyspace="k", generation=generation)
    tables: _Tables = {}
    for table, body, partition, behind in _TABLE.findall(filled):
        clustering = [name.strip() for name in behind.split(",") if name.strip()]
        tables[table] = {}
        for name, kind in re.findall(r"(\w+) (\w+),", body):
            if name == partition:
                place = ("partition_key", 0)
            elif name in clustering:
                place = ("clustering", clustering.index(name))
            else:
                place = ("regular", -1)
            tables[table][name] = _Column(kind, *place)
    return tables
