"""Where, on what and with which settings figures were measured."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from loadtest.bench.bare_cassandra import connected
from loadtest.bench.kafka_topics import read_topic

if TYPE_CHECKING:
    from loadtest.bench.engines import Engines

PACKAGES: Final = ("grpcio", "protobuf", "rocksdict", "aiokafka", "cassandra-driver")

CASSANDRA_SETTINGS: Final = (
    "commitlog_sync",
    "commitlog_sync_period",
    "commitlog_sync_group_window",
    "batch_size_fail_threshold",
    "num_tokens",
    "concurrent_writes",
    "concurrent_reads",
)
"""What decides how fast a node is, of what it tells."""


def machine() -> dict[str, str]:
    """Tell where and on what is measured."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607 - the tree's own git.
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text(encoding="ascii").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory_kib = int(Path("/proc/meminfo").read_text(encoding="ascii").split()[1])
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit or "unknown",
        "processor": f"{os.cpu_count()} x {model}",
        "memory": f"{memory_kib / 2**20:.0f} GiB",
        "kernel": platform.release(),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
    }


def topic_of(found: Engines) -> str:
    """Give the topic of the scans."""
    prefix = found.settings.get("kafka_topic_prefix", "parcel-ledger-")
    return f"{prefix}scans-g1"


def engine_facts(found: Engines) -> dict[str, Any]:
    """Tell what the engines are, and how they are set."""
    topic = read_topic(found.bootstrap, topic_of(found))
    version = subprocess.run([found.java, "-version"], capture_output=True, text=True, check=False)
    with connected(found.store) as session:
        rows = session.execute("SELECT name, value FROM system_views.settings")
        told = {row.name: row.value for row in rows if row.name in CASSANDRA_SETTINGS}
    return {
        "java": version.stderr.splitlines()[0] if version.stderr else "unknown",
        "kafka": {
            "version": found.document["kafka"]["version"],
            "nodes": len(found.kafka),
            "heap": _heap(found.kafka[0].arguments()),
            "partitions": topic.partitions,
            "replicas": topic.replicas,
            "topic": dict(topic.settings),
        },
        "cassandra": {
            "version": found.document["cassandra"]["version"],
            "nodes": len(found.cassandra),
            "heap": _heap(found.cassandra[0].arguments()),
            **told,
        },
    }


def _heap(arguments: list[str]) -> str:
    return next((one.removeprefix("-Xmx") for one in arguments if one.startswith("-Xmx")), "")
