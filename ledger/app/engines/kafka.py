"""Kafka on this machine: one node, or three that keep every record twice before they say so."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ledger.app.engines.cluster import Cluster, filled
from ledger.app.engines.jars import recipe
from ledger.app.engines.java import find_java
from ledger.app.engines.node import Node, told
from ledger.app.engines.state import NodeState
from ledger.app.exits import CommandFailed
from ledger.app.ports import free_ports

HOST: Final = "127.0.0.1"
"""All nodes listen here, each on ports of its own."""

FORMAT_WITHIN_S: Final = 60.0
"""Seconds for making an empty data folder. Usually it takes one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaOptions:
    """How the nodes are run. Values may have $host, $port, $controller_port, $node, $folder."""

    heap: str = "512m"
    """Largest heap of one node, as Java writes it."""

    properties: Mapping[str, str] = field(default_factory=dict)
    """Entries of server.properties, beside the recipe's or in their place."""

    format_arguments: Sequence[str] = ()
    """Further arguments of `kafka-storage format`, such as `--add-scram`."""

    java_arguments: Sequence[str] = ()
    """Further arguments of Java."""


class Kafka(Cluster):
    """One or three brokers, each its own controller."""

    name = "kafka"
    title = "Kafka"
    ready_line = "Kafka Server started"

    def __init__(
        self, folder: Path, *, nodes: int | None = None, options: KafkaOptions | None = None
    ) -> None:
        """`nodes` is how many to start; else as many as the folder has, else one."""
        self._options = options or KafkaOptions()
        super().__init__(folder, nodes=nodes)

    @property
    def bootstrap(self) -> str:
        """Where clients find it: host:port of every node."""
        return ",".join(f"{node.host}:{node.port}" for node in self.nodes)

    def settings(self) -> dict[str, str | int | bool]:
        """Give the settings of the ledger that point its roles here."""
        found: dict[str, str | int | bool] = {"kafka": self.bootstrap}
        if len(self.nodes) == 1:
            found |= {"kafka_replication": 1, "single_broker": True}
        return found

    def _addresses(self) -> dict[str, Any]:
        return {"bootstrap": self.bootstrap}

    def _places(self, count: int) -> list[NodeState]:
        ports = free_ports(2 * count, (HOST,))
        return [
            NodeState(at + 1, HOST, {"client": ports[2 * at], "controller": ports[2 * at + 1]})
            for at in range(count)
        ]

    def _identity(self) -> str:
        # As Kafka makes them: 16 bytes; one that begins with a dash would look like a flag.
        return "L" + base64.urlsafe_b64encode(os.urandom(16)).decode()[1:22]

    def _configure(self, node: Node) -> None:
        values = {
            "node": node.number,
            "host": node.host,
            "port": node.port,
            "controller_port": node.ports["controller"],
            "folder": node.folder,
            "replication": len(self.nodes),
            "in_sync": (len(self.nodes) + 1) // 2,
            "voters": ",".join(
                f"{one.number}@{one.host}:{one.ports['controller']}" for one in self.nodes
            ),
        }
        lines = [
            line
            for line in recipe("server.properties").splitlines()
            if line.partition("=")[0] not in self._options.properties
        ]
        lines += [f"{name}={value}" for name, value in self._options.properties.items()]
        settings = node.folder / "server.properties"
        settings.write_text(filled("\n".join(lines) + "\n", values), encoding="utf-8")

    def _prepare(self, nodes: Sequence[Node]) -> None:
        """Make empty data folders, which Kafka wants done before its first start."""
        new = [one for one in nodes if not (one.folder / "data" / "meta.properties").exists()]
        if new:
            with ThreadPoolExecutor(len(new)) as at_once:
                list(at_once.map(self._format, new))

    def _format(self, node: Node) -> None:
        assert self._state is not None
        tool = ("kafka.tools.StorageTool", "format", "-t", self._state.identity)
        more = ("-c", "server.properties", "--ignore-formatted", *self._options.format_arguments)
        with (node.folder / "format.log").open("w+") as log:
            try:
                subprocess.run(  # noqa: S603 - the program that was fetched for this.
                    [find_java(), *self._java_arguments(node.folder), *tool, *more],
                    check=True,
                    cwd=node.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    timeout=FORMAT_WITHIN_S,
                )
            except subprocess.SubprocessError as error:
                raise CommandFailed(
                    f"{node.name} could not make its data folder. Its log, {log.name}:\n"
                    f"{told(Path(log.name))}"
                ) from error

    def _command(self, node: Node) -> Sequence[str]:
        java = [str(find_java()), f"-Xmx{self._options.heap}", *self._java_arguments(node.folder)]
        return [*java, *self._options.java_arguments, "kafka.Kafka", "server.properties"]

    def _java_arguments(self, folder: Path) -> list[str]:
        return [
            # Nothing of it lies outside its folder.
            *("-XX:+PerfDisableSharedMem", f"-Djava.io.tmpdir={folder / 'tmp'}"),
            "-XX:+ExitOnOutOfMemoryError",
            *("-cp", self.class_path),
        ]
