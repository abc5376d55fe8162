"""What Kafka and Cassandra have in common here: nodes in a folder, started, looked at, stopped."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from string import Template
from typing import Any, ClassVar, Final

from ledger.app.engines.jars import class_path, fetch, version_of
from ledger.app.engines.java import find_java
from ledger.app.engines.node import Node
from ledger.app.engines.state import ClusterState, NodeState, StateFile, locked
from ledger.app.exits import CommandFailed

NODES: Final = (1, 3)
"""How many nodes a cluster may have: the least, and the least that survives the loss of one."""

Say = Callable[[str, int], None]
"""Is told what happens, and how many nodes are ready."""


def say_nothing(_words: str, _ready: int) -> None:
    """Tell nobody."""


class Cluster(ABC):
    """One, or three, nodes of an engine in a folder.

    Attributes:
        folder: where everything of it is; other engines may share it.
        nodes: its nodes; none where it was never started.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    ready_line: ClassVar[str]

    def __init__(self, folder: Path, *, nodes: int | None = None) -> None:
        """`nodes` is how many to start; else as many as the folder has, else one."""
        folder = folder.expanduser().absolute()
        if any(sign in str(folder) for sign in ",:\n"):
            raise CommandFailed(f"The folder {folder} has a sign that engines' settings part by.")
        if nodes is not None and nodes not in NODES:
            raise CommandFailed(f"{self.title} is started with 1 or 3 nodes, not with {nodes}.")
        self.folder = folder
        self.nodes: tuple[Node, ...] = ()
        self._wanted = nodes
        self._file = StateFile(folder)
        self._state: ClusterState | None = None
        self._take(self._file.read(self.name))

    @property
    def version(self) -> str:
        """The engine's version."""
        return version_of(self.name)

    @property
    def class_path(self) -> str:
        """The class path of the engine, which has its tools too."""
        return class_path(self.name)

    def runs(self) -> bool:
        """Say whether there are nodes, and all of them run."""
        return bool(self.nodes) and all(node.runs() for node in self.nodes)

    def start(self, say: Say = say_nothing) -> None:
        """Start what does not run, and wait until all serve. Where all do, nothing happens.

        Raises CommandFailed where that fails; what this call started is ended then.
        """
        start_all({self: say})

    def stop(self) -> None:
        """End all nodes, and keep their data."""
        with locked(self.folder, self.name):
            self._take(self._file.read(self.name))
            # All are told before one is waited for: a last one would look for the others.
            for node in self.nodes:
                node.ask_to_stop()
            for node in self.nodes:
                node.stop()

    def kill(self) -> None:
        """Kill all nodes with -9."""
        for node in self.nodes:
            node.kill()

    def document(self) -> dict[str, Any]:
        """Describe it for a program."""
        return {
            "version": self.version,
            **self._addresses(),
            "class_path": self.class_path,
            "nodes": [
                {
                    "name": node.name,
                    "pid": node.pid,
                    "answers": node.runs() and node.answers(),
                    "address": f"{node.host}:{node.port}",
                    "folder": str(node.folder),
                    "log": str(node.log),
                }
                for node in self.nodes
            ],
        }

    @abstractmethod
    def settings(self) -> dict[str, str | int | bool]:
        """Give the settings of the ledger that point its roles here."""

    # --- what an engine says of itself ---

    @abstractmethod
    def _places(self, count: int) -> list[NodeState]:
        """Choose hosts and ports."""

    @abstractmethod
    def _identity(self) -> str:
        """Make what nodes know each other by."""

    @abstractmethod
    def _configure(self, node: Node) -> None:
        """Write a node's settings."""

    def _prepare(self, nodes: Sequence[Node]) -> None:
        """Make what nodes need before their first start."""
        del nodes  # Most need nothing.

    @abstractmethod
    def _command(self, node: Node) -> Sequence[str]:
        """Give what runs a node."""

    @abstractmethod
    def _addresses(self) -> dict[str, Any]:
        """Describe where clients reach it."""

    def _seen(self, node: Node) -> None:
        """Wait until the other nodes know that this one is ready."""
        del node  # Where clients cannot tell, nothing is waited for.

    # --- starting ---

    def _begin(self, say: Say) -> None:
        """See that nodes can be started, and write their settings."""
        find_java()
        fetch(self.name, on_fetch=lambda: say("fetches its jars, once", 0))
        self._take(self._file.read(self.name))
        if self.nodes and self._wanted not in {None, len(self.nodes)}:
            raise CommandFailed(
                f"{self.folder} has {self.title} with {len(self.nodes)} node(s), not with "
                f"{self._wanted}. Take another folder, or stop the engines and remove this one."
            )
        if not self.nodes:
            self.folder.mkdir(parents=True, exist_ok=True)
            state = ClusterState(self._identity(), self._places(self._wanted or NODES[0]))
            self._file.write(self.name, state)
            self._take(state)
        idle = [node for node in self.nodes if not node.runs()]
        if idle:
            say("is prepared", len(self.nodes) - len(idle))
        for node in idle:
            (node.folder / "tmp").mkdir(parents=True, exist_ok=True)
            self._configure(node)
        self._prepare(idle)

    def _launch(self) -> None:
        """Start what may start before any node is ready."""
        for node in self.nodes:
            node.launch()

    def _finish(self, say: Say) -> None:
        """Wait until all nodes serve."""
        for ready, node in enumerate(self.nodes):
            say(f"{node.name} starts" if len(self.nodes) > 1 else "starts", ready)
            node.start()

    def _take(self, state: ClusterState | None) -> None:
        """Go by this state from now on. Nodes that somebody holds stay the same objects."""
        self._state = state
        found = state.nodes if state else []
        if len(found) == len(self.nodes):
            for node, one in zip(self.nodes, found, strict=True):
                node.adopt(one)
            return
        self.nodes = tuple(
            Node(
                self.name,
                self.folder,
                one,
                ready_line=self.ready_line,
                command=self._command,
                save=self._save,
                seen=self._seen,
            )
            for one in found
        )

    def _save(self) -> None:
        assert self._state is not None
        self._file.write(self.name, self._state)


def start_all(clusters: Mapping[Cluster, Say]) -> None:
    """Start several engines at once, since each waits for itself most of the time.

    Raises CommandFailed where one does not start; what this call started is ended then.
    """
    with ExitStack() as held:
        for cluster in clusters:
            held.enter_context(locked(cluster.folder, cluster.name))
        for cluster, say in clusters.items():
            cluster._begin(say)
        idle = [node for cluster in clusters for node in cluster.nodes if not node.runs()]
        began_s = time.monotonic()
        try:
            for cluster in clusters:
                cluster._launch()
            for cluster, say in clusters.items():
                cluster._finish(say)
                started = any(node in idle for node in cluster.nodes)
                after = f"ready after {time.monotonic() - began_s:.1f} s"
                say(after if started else "runs already", len(cluster.nodes))
        except BaseException:
            for node in idle:
                node.kill()
            raise


def filled(template: str, values: Mapping[str, object]) -> str:
    """Fill a recipe."""
    return Template(template).substitute(values)
