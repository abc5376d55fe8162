"""Cassandra on this machine: one node, or three on 127.0.0.1 to 127.0.0.3 with the same ports."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ledger.app.engines.cluster import Cluster, filled
from ledger.app.engines.jars import jars_of, recipe
from ledger.app.engines.java import find_java
from ledger.app.engines.node import READY_WITHIN_S, Node
from ledger.app.engines.state import NodeState
from ledger.app.ports import free_ports

DATA_CENTRE: Final = "datacenter1"
"""The name that SimpleSnitch gives to where all nodes are."""

EXPORTS: Final = (
    *("java.base/jdk.internal.misc", "java.base/jdk.internal.ref", "java.base/sun.nio.ch"),
    *("java.management.rmi/com.sun.jmx.remote.internal.rmi", "java.rmi/sun.rmi.registry"),
    *("java.rmi/sun.rmi.server", "java.rmi/sun.rmi.transport", "java.sql/java.sql"),
)
"""What Cassandra uses of Java without being invited to: what its own scripts export."""

OPENS: Final = (
    *("java.base/java.io", "java.base/java.lang", "java.base/java.lang.module"),
    *("java.base/java.lang.reflect", "java.base/java.net", "java.base/java.nio"),
    *("java.base/java.util", "java.base/java.util.concurrent"),
    *("java.base/java.util.concurrent.atomic", "java.base/jdk.internal.loader"),
    *("java.base/jdk.internal.math", "java.base/jdk.internal.module"),
    *("java.base/jdk.internal.ref", "java.base/jdk.internal.reflect"),
    *("java.base/jdk.internal.util.jar", "java.base/sun.nio.ch"),
    "jdk.management/com.sun.management.internal",
)
"""And what they open."""

JOIN_WITHIN_MS: Final = 60_000
"""Milliseconds in which a node that joins hears from the first, or ends. On a busy machine answers
take seconds. The first has nobody to hear from, and would only wait."""

FOLDERS: Final = ("data", "commitlog", "saved_caches", "hints", "cdc_raw")
"""Where a node keeps what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CassandraOptions:
    """How the nodes are run."""

    heap: str = "1g"
    """Largest heap of one node, as Java writes it."""

    entries: Mapping[str, Any] = field(default_factory=dict)
    """Entries of cassandra.yaml, beside the recipe's or in their place."""

    java_arguments: Sequence[str] = ()
    """Further arguments of Java."""


class Cassandra(Cluster):
    """One or three nodes of one data centre, started one after the other."""

    name = "cassandra"
    title = "Cassandra"
    ready_line = "Startup complete"
    data_centre = DATA_CENTRE

    def __init__(
        self, folder: Path, *, nodes: int | None = None, options: CassandraOptions | None = None
    ) -> None:
        """`nodes` is how many to start; else as many as the folder has, else one."""
        self._options = options or CassandraOptions()
        self._known: dict[tuple[str, str], int] = {}
        super().__init__(folder, nodes=nodes)

    @property
    def contact_points(self) -> list[str]:
        """The hosts where clients find it."""
        return [node.host for node in self.nodes]

    @property
    def port(self) -> int:
        """The port where clients find it, at every host."""
        return self.nodes[0].port

    def settings(self) -> dict[str, str | int | bool]:
        """Give the settings of the ledger that point its roles here."""
        found: dict[str, str | int | bool] = {
            "cassandra": ",".join(f"{host}:{self.port}" for host in self.contact_points),
            "cassandra_data_centre": self.data_centre,
        }
        if len(self.nodes) == 1:
            found |= {"cassandra_replication": 1}
        return found

    def _addresses(self) -> dict[str, Any]:
        return {
            "contact_points": self.contact_points,
            "port": self.port,
            "data_centre": self.data_centre,
        }

    def _places(self, count: int) -> list[NodeState]:
        hosts = [f"127.0.0.{number}" for number in range(1, count + 1)]
        client, storage, *jmx = free_ports(2 + count, hosts)
        return [
            NodeState(at + 1, host, {"client": client, "storage": storage, "jmx": jmx[at]})
            for at, host in enumerate(hosts)
        ]

    def _identity(self) -> str:
        return "parcel-ledger"

    def _configure(self, node: Node) -> None:
        storage = node.folder / "storage"
        values = {
            "host": node.host,
            "port": node.port,
            "storage_port": node.ports["storage"],
            "seeds": json.dumps(f"{self.nodes[0].host}:{node.ports['storage']}"),
            "replication": len(self.nodes),
            **{name: json.dumps(str(storage / name)) for name in FOLDERS},
        }
        kept = filled(without(recipe("cassandra.yaml"), self._options.entries), values)
        # JSON is YAML.
        more = [f"{name}: {json.dumps(value)}\n" for name, value in self._options.entries.items()]
        conf = node.folder / "conf"
        conf.mkdir(exist_ok=True)
        (conf / "cassandra.yaml").write_text(kept + "".join(more), encoding="utf-8")
        (conf / "logback.xml").write_text(recipe("logback.xml"), encoding="utf-8")

    def _command(self, node: Node) -> Sequence[str]:
        # What others have said of an earlier life of this node says nothing about this one.
        self._known |= {(node.name, one.name): one.log_bytes() for one in self.nodes}
        conf, temporary = node.folder / "conf", node.folder / "tmp"
        jars = jars_of(self.name)
        (jamm,) = jars.glob("jamm-*.jar")
        return [
            *(str(find_java()), f"-Xmx{self._options.heap}", f"-javaagent:{jamm}"),
            # Nothing of it lies outside its folder.
            *("-XX:+PerfDisableSharedMem", f"-Djava.io.tmpdir={temporary}"),
            "-XX:+ExitOnOutOfMemoryError",
            *(f"-Djna.tmpdir={temporary}", f"-Dcassandra.storagedir={node.folder / 'storage'}"),
            f"-Dcassandra.config={(conf / 'cassandra.yaml').as_uri()}",
            f"-Dlogback.configurationFile={(conf / 'logback.xml').as_uri()}",
            f"-Dcassandra.jmx.local.port={node.ports['jmx']}",
            "-Dcassandra-foreground=yes",
            # A cluster of one machine need not wait for far nodes to be heard of.
            "-Dcassandra.skip_wait_for_gossip_to_settle=0",
            f"-Dcassandra.ring_delay_ms={1 if node is self.nodes[0] else JOIN_WITHIN_MS}",
            "-Djdk.attach.allowAttachSelf=true",
            *(f"--add-exports={one}=ALL-UNNAMED" for one in EXPORTS),
            *(f"--add-opens={one}=ALL-UNNAMED" for one in OPENS),
            *self._options.java_arguments,
            *("-cp", f"{conf}:{self.class_path}"),
            "org.apache.cassandra.service.CassandraDaemon",
        ]

    def _launch(self) -> None:
        """Start the first alone: two that join at once would choose the same tokens."""
        self.nodes[0].launch()

    def _seen(self, node: Node) -> None:
        """Wait until every other node that runs takes this one for up."""
        until_s = time.monotonic() + READY_WITHIN_S
        words = f"{node.host}:{node.ports['storage']} is now UP"
        for other in self.nodes:
            if other is not node and other.runs() and not other.is_paused():
                other.wait_for(words, until_s, after=self._known.get((node.name, other.name), 0))


def without(yaml: str, names: Mapping[str, Any]) -> str:
    """Leave out top-level entries of a YAML text, with all that belongs to them."""
    for name in names:
        yaml = re.sub(rf"(?m)^{re.escape(name)}:.*\n(?:[ -].*\n)*", "", yaml)
    return yaml
