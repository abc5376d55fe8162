"""Cassandra as its own driver sees it: what the references write and read with, at its best."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cassandra import ConsistencyLevel
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.policies import DCAwareRoundRobinPolicy, TokenAwarePolicy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ANSWER_S: Final = 30.0
"""Seconds for one request: a reference does not give up where a ledger would."""

PROTOCOL: Final = 5


class Store(NamedTuple):
    """Where the trail store is, and which table of it has the rows.

    Attributes:
        contact_points: hosts to begin with.
        port: of all of them.
        data_centre: that is written to.
        keyspace: of all tables.
        table: with the rows of trails.
    """

    contact_points: Sequence[str]
    port: int
    data_centre: str
    keyspace: str = "parcel_ledger"
    table: str = "rows_s1"

    @property
    def rows(self) -> str:
        """The table's full name."""
        return f"{self.keyspace}.{self.table}"


@contextlib.contextmanager
def connected(store: Store) -> Iterator[Any]:
    """Give a session of the driver: token-aware, LOCAL_QUORUM, without waiting for full packets."""
    profile = ExecutionProfile(
        load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy(store.data_centre)),
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        request_timeout=ANSWER_S,
    )
    cluster = Cluster(
        list(store.contact_points),
        port=store.port,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        protocol_version=PROTOCOL,
        # Without it large requests wait 40 ms for an acknowledgement that is delayed.
        sockopts=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
    )
    try:
        yield cluster.connect()
    finally:
        cluster.shutdown()
