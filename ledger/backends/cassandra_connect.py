"""How the driver is set up, and a session with a cluster is begun and ended.

One connection for each node, TCP without delays, and no retry that we do not know of.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from cassandra import ConsistencyLevel
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.policies import (
    ConstantReconnectionPolicy,
    ConstantSpeculativeExecutionPolicy,
    DCAwareRoundRobinPolicy,
    FallthroughRetryPolicy,
    TokenAwarePolicy,
)
from cassandra.query import tuple_factory

from ledger.backends.cassandra_errors import connect_error
from ledger.backends.cassandra_session import TRIES, Session, serial_level
from ledger.backends.cassandra_wire import Connection, Encoder
from ledger.errors import Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from cassandra.metadata import Metadata

    from ledger.backends.cassandra_cluster import CassandraCluster

PROTOCOL: Final = 5
"""Version of Cassandra's protocol: its frames have checksums. Cassandra 4 and later speak it."""

REQUEST_TIMEOUT_S: Final = 6.0
"""Longest wait for one answer: longer than each of the server's own limits (5 s for a read of
several rows), which say more when they end a request.
"""

ANOTHER_NODE_AFTER_S: Final = 0.5
"""When a request that may be repeated is sent to a second node, and then to a third: far above what
a healthy node takes, far below what it takes to find out that a node hangs.
"""

HEARTBEAT_S: Final = 5.0
"""How often an idle connection is tried, and how long an answer may take: a node that hangs is
left out after twice as long.
"""

RECONNECT_EVERY_S: Final = 0.5
"""How often a node that is away is tried."""

CONNECT_TIMEOUT_S: Final = 5.0
"""Longest wait for a connection, and for each question of the driver's own."""


@asynccontextmanager
async def open_session(
    cluster: CassandraCluster,
    *,
    generation: int,
    monotonic: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Session]:
    """Connect, and let go at the end. `generation` is whose tables statements name.

    Raises Busy where no node can be reached, Refused where that will not change by itself.
    """
    # Below errors it warns of each batch with rows of many trails, which is how it is meant, and
    # twice a second of a node that is away, which calls and health tell.
    logging.getLogger("cassandra").setLevel(logging.ERROR)
    try:
        driver = await asyncio.to_thread(_driver, cluster)
    except Exception as error:
        raise connect_error(error, cluster.contact_points, cluster.data_centre) from error
    try:
        try:
            connected = await asyncio.to_thread(driver.connect)
        except Exception as error:
            raise connect_error(
                error, cluster.contact_points, cluster.data_centre, _centres(driver.metadata)
            ) from error
        connected.client_protocol_handler = Encoder
        connected.use_client_timestamp = False  # What needs a timestamp says so in its statement.
        session = Session(cluster, driver, connected, generation=generation, monotonic=monotonic)
        _check_centre(session)
    except BaseException:
        await asyncio.to_thread(driver.shutdown)
        raise
    try:
        yield session
    finally:
        await session.close()


def _driver(cluster: CassandraCluster) -> Cluster:
    # Not with shuffle_replicas: the driver shuffles a list that all plans share, and a plan that is
    # gone through later then names one node three times, and the others never.
    policy = TokenAwarePolicy(DCAwareRoundRobinPolicy(cluster.data_centre))
    profile = ExecutionProfile(
        load_balancing_policy=policy,
        retry_policy=FallthroughRetryPolicy(),  # What may be repeated, and where, is ours to say.
        consistency_level=ConsistencyLevel.name_to_value[cluster.consistency],
        serial_consistency_level=serial_level(cluster),
        request_timeout=REQUEST_TIMEOUT_S,
        row_factory=tuple_factory,
        speculative_execution_policy=ConstantSpeculativeExecutionPolicy(
            ANOTHER_NODE_AFTER_S, TRIES - 1
        ),
    )
    return Cluster(
        cluster.contact_points,
        port=cluster.port,
        protocol_version=PROTOCOL,
        connection_class=Connection,
        compression=False,
        ssl_context=cluster.tls(),
        auth_provider=(
            PlainTextAuthProvider(cluster.user, cluster.password) if cluster.user else None
        ),
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        # The driver's default grows to minutes.
        reconnection_policy=ConstantReconnectionPolicy(RECONNECT_EVERY_S, max_attempts=None),
        # Without it a batch of some 20 KB waits 40 ms for an acknowledgement that is held back.
        sockopts=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        connect_timeout=CONNECT_TIMEOUT_S,
        control_connection_timeout=CONNECT_TIMEOUT_S,
        idle_heartbeat_interval=HEARTBEAT_S,
        idle_heartbeat_timeout=HEARTBEAT_S,
    )


def _centres(metadata: Metadata) -> list[str]:
    return sorted({str(host.datacenter) for host in metadata.all_hosts() if host.datacenter})


def _check_centre(session: Session) -> None:
    centres = _centres(session.metadata)
    if not session.cluster.data_centre and len(centres) > 1:
        raise Refused(
            f"The cluster has the data centres {', '.join(centres)}; name the one to use.",
            reason="DATA_CENTRE_NOT_NAMED",
            field="cassandra_data_centre",
        )
