"""Real Kafka and Cassandra for one section: started by `parcel-ledger engines`, in a new folder."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from loadtest.bench.bare_cassandra import Store
from loadtest.bench.processes import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

COMMAND: Final = (sys.executable, "-m", "ledger.app.cli")

WITHIN_S: Final = 1_000.0
"""Seconds for starting all nodes; the first time Maven fetches their jars."""

FLUSH_WITHIN_S: Final = 120.0
"""Seconds in which a node has written its memory into tables."""

JMX: Final = "-Dcassandra.jmx.local.port="
"""Cassandra's argument with the port that its own tools use."""

TOOL_EXPORTS: Final = (
    "--add-exports=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
)
"""What Cassandra's own scripts give to its tools."""


class Engines(NamedTuple):
    """Kafka and Cassandra that run.

    Attributes:
        folder: where they and their data are.
        settings: of the ledger, so that its roles find them.
        kafka: processes of the brokers.
        cassandra: processes of the nodes.
        document: all that `engines start --json` says.
    """

    folder: Path
    settings: Mapping[str, Any]
    kafka: Sequence[Seen]
    cassandra: Sequence[Seen]
    document: Mapping[str, Any]

    @property
    def bootstrap(self) -> str:
        """Where clients find Kafka."""
        return str(self.document["kafka"]["bootstrap"])

    @property
    def store(self) -> Store:
        """Where clients find Cassandra."""
        one = self.document["cassandra"]
        return Store(one["contact_points"], one["port"], one["data_centre"])

    @property
    def java(self) -> str:
        """The Java that they run on."""
        return self.kafka[0].arguments()[0]

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds used so far by each engine."""
        return {
            "kafka": sum(one.cpu_s() for one in self.kafka),
            "cassandra": sum(one.cpu_s() for one in self.cassandra),
        }

    def flush(self) -> None:
        """Have every node write what it holds in memory into tables, as `nodetool flush` does."""
        home = self.folder / "tool"
        home.mkdir(exist_ok=True)
        for node in self.cassandra:
            (port,) = (one.removeprefix(JMX) for one in node.arguments() if one.startswith(JMX))
            command = [self.java, *TOOL_EXPORTS, f"-Duser.home={home}"]
            command += ["-cp", self.document["cassandra"]["class_path"]]
            command += ["org.apache.cassandra.tools.NodeTool", "-p", port, "flush"]
            done = subprocess.run(
                [*command, self.store.keyspace],
                check=False,
                capture_output=True,
                text=True,
                timeout=FLUSH_WITHIN_S,
            )
            if done.returncode:
                raise RuntimeError(f"nodetool flush failed: {(done.stdout + done.stderr)[-500:]}")


@contextlib.contextmanager
def engines(folder: Path, nodes: int, *, java_options: str = "") -> Iterator[Engines]:
    """Start them, new and empty; stop them at the end.

    `java_options` reach every Java that is started: how one run gets other settings.
    """
    environ = {**os.environ, **({"JAVA_TOOL_OPTIONS": java_options} if java_options else {})}
    place = ["--folder", str(folder)]
    start = [*COMMAND, "engines", "start", *place, "--nodes", str(nodes), "--json"]
    try:
        done = subprocess.run(
            start, check=False, stdout=subprocess.PIPE, text=True, timeout=WITHIN_S, env=environ
        )
        if done.returncode:
            raise RuntimeError("the engines did not start")
        document = json.loads(done.stdout)
        yield Engines(
            folder,
            document["settings"],
            _seen(document["kafka"]),
            _seen(document["cassandra"]),
            document,
        )
    finally:
        subprocess.run([*COMMAND, "engines", "stop", *place], check=False, capture_output=True)


def _seen(engine: Mapping[str, Any]) -> list[Seen]:
    return [Seen(node["pid"]) for node in engine["nodes"]]
