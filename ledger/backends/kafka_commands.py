"""What someone else has to type where we have no right to make topics: Kafka's own commands."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from ledger.backends.kafka_topics import wanted_topics
from ledger.marks import TRAIL_READER
from ledger.position import LOGS, QUARANTINE_LOG, RECEIPTS_LOG, REFUSALS_LOG, SCANS_LOG

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ledger.backends.kafka_cluster import KafkaCluster

PRINCIPALS: Final = {
    "ingest": "User:parcel-ledger-ingest",
    "writer": "User:parcel-ledger-writer",
    "init": "User:parcel-ledger-init",
}
"""Who the roles are, where nobody says otherwise. `query` never speaks to Kafka."""

_DOES: Final[Mapping[str, Mapping[str, Sequence[str]]]] = {
    SCANS_LOG: {"ingest": ("Write",), "writer": ("Read", "Write")},
    RECEIPTS_LOG: {"ingest": ("Write",), "writer": ("Read", "Write")},
    REFUSALS_LOG: {"ingest": ("Write",), "writer": ("Read",)},
    QUARANTINE_LOG: {"writer": ("Read", "Write")},
}
"""The least that each role does with each log."""

_LOOKS: Final = ("Describe", "DescribeConfigs")
"""Whoever uses a topic looks at its settings at start."""


def topic_lines(cluster: KafkaCluster, *, generation: int, partitions: int) -> Sequence[str]:
    """Give a command for each topic that makes it where it is missing."""
    return [
        " ".join(
            [
                f"kafka-topics.sh --bootstrap-server {shlex.quote(cluster.bootstrap)}",
                f"--create --if-not-exists --topic {shlex.quote(topic.name)}",
                f"--partitions {topic.partitions} --replication-factor {topic.replication}",
                *(f"--config {name}={value}" for name, value in topic.settings.items()),
            ]
        )
        for topic in wanted_topics(cluster, generation=generation, partitions=partitions)
    ]


def acl_lines(
    cluster: KafkaCluster,
    *,
    generation: int,
    partitions: int,
    principals: Mapping[str, str] = PRINCIPALS,
) -> Sequence[str]:
    """Give the commands that let each role do what it has to, and nothing else.

    `principals` says who the roles are. Writers share partitions in a consumer group, whose name
    begins with the topic prefix; ingest asks that group how far they are.
    """
    command = f"kafka-acls.sh --bootstrap-server {shlex.quote(cluster.bootstrap)} --add"
    lines = []
    topics = wanted_topics(cluster, generation=generation, partitions=partitions)
    for log, topic in zip(LOGS, topics, strict=True):
        for role, does in {**_DOES[log], "init": ("Create",)}.items():
            if role not in principals:
                continue
            rights = " ".join(f"--operation {right}" for right in (*does, *_LOOKS))
            who = f"--allow-principal {shlex.quote(principals[role])}"
            lines.append(f"{command} {who} {rights} --topic {shlex.quote(topic.name)}")
    if "ingest" in principals:
        group = shlex.quote(cluster.group(TRAIL_READER, SCANS_LOG))
        lines.append(
            f"{command} --allow-principal {shlex.quote(principals['ingest'])} "
            f"--operation Describe --group {group}"
        )
    if "writer" in principals:
        lines.append(
            f"{command} --allow-principal {shlex.quote(principals['writer'])} --operation Read "
            f"--group {shlex.quote(cluster.topic_prefix)} --resource-pattern-type prefixed"
        )
    return lines
