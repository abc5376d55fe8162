"""Which command uses which settings: what --help offers as flags, and `settings` sorts by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple


class Group(NamedTuple):
    """Settings that the same commands use."""

    title: str
    commands: Sequence[str]
    names: Sequence[str]


GROUPS: Final = (
    Group(
        "asking and sending",
        (
            "send",
            "trail",
            "explain",
            "watch",
            "progress",
            "alias",
            "quarantine",
            "jobs",
            "unmapped",
            "number",
            "facility",
        ),
        ("server",),
    ),
    Group("taking gRPC", ("up", "ingest", "query", "gateway"), ("listen",)),
    Group("sharing a port", ("ingest", "query"), ("share_port",)),
    Group("judging scans", ("up", "ingest"), ("strict_sources",)),
    Group("slowing senders", ("up", "ingest"), ("lag_records_max",)),
    Group("operating", ("up", "writer"), ("operator_listen", "quarantine_most")),
    Group("issuing numbers", ("up", "query"), ("number_ranges",)),
    Group("explaining codes", ("up", "writer", "query", "mapping"), ("mappings",)),
    Group("knowing facilities", ("up", "query", "send"), ("facilities",)),
    Group("telling people", ("up", "query", "texts", "explain"), ("texts",)),
    Group(
        "every process that serves",
        ("up", "ingest", "writer", "query", "gateway"),
        ("metrics", "insecure", "drain_s", "log_level", "log_format"),
    ),
    Group("data folder", ("up", "gateway"), ("data",)),
    Group(
        "gateway",
        ("gateway",),
        ("ledger", "spool_bytes_max", "spool_age_max_s", "watch_folder", "watch_source"),
    ),
    Group("partitions of the log", ("up", "ingest", "writer", "query", "init"), ("partitions",)),
    Group("generation of the log", ("ingest", "writer", "query", "init"), ("log_generation",)),
    Group("generations before it", ("query",), ("earlier_generations",)),
    Group(
        "Kafka",
        ("ingest", "writer", "init"),
        (
            *("kafka", "kafka_topic_prefix", "kafka_replication", "kafka_refusals_days"),
            "single_broker",
            *("kafka_tls_ca", "kafka_tls_cert", "kafka_tls_key"),
            *("kafka_sasl", "kafka_user", "kafka_password_file"),
        ),
    ),
    Group(
        "Cassandra",
        ("writer", "query", "init"),
        (
            *("cassandra", "cassandra_keyspace", "cassandra_data_centre"),
            *("cassandra_consistency", "cassandra_replication"),
            *("cassandra_tls_ca", "cassandra_tls_cert", "cassandra_tls_key"),
            *("cassandra_user", "cassandra_password_file"),
            *("cassandra_commitlog_sync_s", "store_generation"),
        ),
    ),
)
"""Every setting stands in one of them, in the order of the table."""


def groups_of(command: str) -> Sequence[Group]:
    """Give the groups of settings that a command uses."""
    return [group for group in GROUPS if command in group.commands]
