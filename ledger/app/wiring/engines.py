"""Kafka and Cassandra as the settings name them: how they are reached, and how they are opened."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ledger.app.settings import Settings, cassandra_addresses, invalid
from ledger.backends.cassandra_cluster import CassandraCluster
from ledger.backends.kafka_cluster import KafkaCluster
from ledger.errors import Refused
from ledger.issuing import NumberBlocks
from ledger.marks import TRAIL_READER
from ledger.position import SCANS_LOG
from ledger.scan_log import LogIdentity, ScanLog

if TYPE_CHECKING:
    from ledger.backends.kafka_lag import KafkaLag
    from ledger.backends.store_cassandra import CassandraTrailStore

PASSWORD_BYTES_MAX: Final = 4 << 10
"""Most bytes of a file with a password: a larger one is another file."""


def kafka_cluster(settings: Settings) -> KafkaCluster:
    """Say how Kafka is reached. Raises Refused where the settings do not say it."""
    if not settings.kafka:
        raise _not_said("kafka", "Kafka")
    return KafkaCluster(
        bootstrap=settings.kafka,
        topic_prefix=settings.kafka_topic_prefix,
        single_broker=settings.single_broker,
        replication=1 if settings.single_broker else settings.kafka_replication,
        refusals_retention_days=settings.kafka_refusals_days,
        tls_ca=settings.kafka_tls_ca,
        tls_cert=settings.kafka_tls_cert,
        tls_key=settings.kafka_tls_key,
        sasl=settings.kafka_sasl,
        user=settings.kafka_user,
        password=_password("kafka_password_file", settings.kafka_password_file),
    )


def cassandra_cluster(settings: Settings) -> CassandraCluster:
    """Say how Cassandra is reached. Raises Refused where the settings do not say it."""
    nodes = cassandra_addresses(settings)
    if not nodes:
        raise _not_said("cassandra", "Cassandra")
    return CassandraCluster(
        contact_points=tuple(host for host, _ in nodes),
        port=nodes[0][1],
        keyspace=settings.cassandra_keyspace,
        data_centre=settings.cassandra_data_centre,
        consistency=settings.cassandra_consistency,
        replication=settings.cassandra_replication,
        single_node_ok=settings.cassandra_replication == 1,
        tls_ca=settings.cassandra_tls_ca,
        tls_cert=settings.cassandra_tls_cert,
        tls_key=settings.cassandra_tls_key,
        user=settings.cassandra_user,
        password=_password("cassandra_password_file", settings.cassandra_password_file),
        commitlog_sync_s=settings.cassandra_commitlog_sync_s,
    )


def log_opener(
    settings: Settings, *, name: str = SCANS_LOG
) -> Callable[[], AbstractAsyncContextManager[ScanLog]]:
    """Give what opens the log of that name, as often as it is called. Raises Refused."""
    try:
        from ledger.backends.log_kafka import open_kafka_log
    except ModuleNotFoundError as error:
        raise no_driver("Kafka", "kafka", error) from error
    cluster = kafka_cluster(settings)
    return lambda: open_kafka_log(
        cluster,
        name=name,
        generation=settings.log_generation,
        partitions=settings.partitions,
    )


def open_lag(settings: Settings, log: LogIdentity) -> AbstractAsyncContextManager[KafkaLag]:
    """Open the way to the writers' consumer group. Raises Refused."""
    try:
        from ledger.backends.kafka_lag import open_kafka_lag
    except ModuleNotFoundError as error:
        raise no_driver("Kafka", "kafka", error) from error
    return open_kafka_lag(kafka_cluster(settings), reader=TRAIL_READER, log=log)


def store_opener(
    settings: Settings,
) -> Callable[[], AbstractAsyncContextManager[CassandraTrailStore]]:
    """Give what opens the store, as often as it is called. Raises Refused."""
    try:
        from ledger.backends.store_cassandra import open_cassandra_store
    except ModuleNotFoundError as error:
        raise no_driver("Cassandra", "cassandra", error) from error
    cluster = cassandra_cluster(settings)
    return lambda: open_cassandra_store(
        cluster,
        generation=settings.store_generation,
        now_ns=time.time_ns,
        monotonic=time.monotonic,
    )


def numbers_opener(
    settings: Settings,
) -> Callable[[], AbstractAsyncContextManager[NumberBlocks]]:
    """Give what opens the state of issuing numbers, as often as it is called. Raises Refused."""
    try:
        from ledger.backends.numbers_cassandra import open_cassandra_numbers
    except ModuleNotFoundError as error:
        raise no_driver("Cassandra", "cassandra", error) from error
    cluster = cassandra_cluster(settings)
    return lambda: open_cassandra_numbers(cluster, monotonic=time.monotonic)


def no_driver(engine: str, extra: str, error: ModuleNotFoundError) -> Refused:
    """Make the error for a driver that is not installed."""
    return Refused(
        f"The driver of {engine} is not installed ({error.name} is missing). Install the ledger "
        f"with it: pip install 'parcel-ledger[{extra}]'.",
        reason="NO_DRIVER",
        metadata={"extra": extra},
    )


def _password(name: str, path: Path | None) -> str:
    """Read a password; a line break at its end is none of it. Nobody is told what it is."""
    if path is None:
        return ""
    try:
        with path.open("rb") as file:
            text = file.read(PASSWORD_BYTES_MAX + 1).decode()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise invalid(name, f"`{name}` is {path}, which cannot be read: {why}.") from None
    password = text.removesuffix("\n").removesuffix("\r")
    if not password or "\n" in password or len(text) > PASSWORD_BYTES_MAX:
        raise invalid(name, f"`{name}` is {path}; it has the password on its one line.")
    return password


def _not_said(name: str, engine: str) -> Refused:
    return invalid(
        name,
        f"Say where {engine} is: --{name} host:port, or the setting `{name}`. On this machine "
        f"`parcel-ledger engines start` starts one.",
    )
