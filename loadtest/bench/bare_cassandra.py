"""Cassandra as its own driver sees it: what the references write and read with, at its best."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cassandra import ConsistencyLevel
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.policies import DCAwareRoundRobinPolicy, RetryPolicy, TokenAwarePolicy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ANSWER_S: Final = 30.0
"""Seconds for one request: a reference does not give up where a ledger would."""

PROTOCOL: Final = 5

TRIES_MAX: Final = 20
"""How often a request is repeated that replicas did not answer in time: all of them may be."""


class Insistent(RetryPolicy):  # type: ignore[misc] # The driver has no types.
    """Repeats what timed out, as any loader would; the time counts.

    Attributes:
        retries: how often that was so.
    """

    def __init__(self) -> None:
        self.retries = 0

    def on_write_timeout(self, *_: Any, retry_num: int, **__: Any) -> tuple[int, None]:  # noqa: ANN401
        """Too few replicas answered a write."""
        return self._again(retry_num)

    def on_read_timeout(self, *_: Any, retry_num: int, **__: Any) -> tuple[int, None]:  # noqa: ANN401
        """Too few replicas answered a read."""
        return self._again(retry_num)

    def on_unavailable(self, *_: Any, retry_num: int, **__: Any) -> tuple[int, None]:  # noqa: ANN401
        """Too few replicas are up."""
        return self._again(retry_num)

    def on_request_error(self, *_: Any, retry_num: int, **__: Any) -> tuple[int, None]:  # noqa: ANN401
        """A node was overloaded, or its connection broke."""
        return self._again(retry_num)

    def _again(self, retry_num: int) -> tuple[int, None]:
        self.retries += 1
        return (self.RETRY if retry_num < TRIES_MAX else self.RETHROW), None


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
def connected(store: Store, insistent: Insistent | None = None) -> Iterator[Any]:
    """Give a session of the driver: token-aware, LOCAL_QUORUM, without waiting for full packets."""
    profile = ExecutionProfile(
        load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy(store.data_centre)),
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        request_timeout=ANSWER_S,
        retry_policy=insistent or Insistent(),
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
