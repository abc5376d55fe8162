"""What is known about the engines of a folder: one JSON file, so that any process can go on.

A process is named by its id and by its life: the machine's boot and the time since then at which
it started. An id that another process has got since is another life, and is never touched.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from ledger.app.exits import CommandFailed

STATE_FILE: Final = "engines.json"
"""The file's name in the folder."""

FORMAT: Final = 1
"""The format of the file that this program reads and writes."""


@dataclass(slots=True)
class NodeState:
    """One node: where it is, and its process, if it has been started."""

    number: int
    host: str
    ports: dict[str, int]
    pid: int = 0
    life: str = ""


@dataclass(slots=True)
class ClusterState:
    """All nodes of one engine."""

    identity: str
    """Kafka's cluster id."""
    nodes: list[NodeState] = field(default_factory=list)


class StateFile:
    """The file of one folder. Any number of processes may use it at once."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / STATE_FILE

    def read(self, engine: str) -> ClusterState | None:
        """Read what is known of an engine. Raises CommandFailed for a file that is not ours."""
        found = self._load().get(engine)
        if found is None:
            return None
        nodes = [NodeState(**node) for node in found["nodes"]]
        return ClusterState(found["identity"], nodes)

    def write(self, engine: str, state: ClusterState) -> None:
        """Replace what is known of an engine, and leave the other alone."""
        with locked(self.path.parent, "state"):
            document = self._load()
            document |= {"format": FORMAT, engine: asdict(state)}
            written = self.path.with_suffix(".json.new")
            written.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
            written.replace(self.path)

    def _load(self) -> dict[str, Any]:
        try:
            document: Any = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise self._strange(str(error)) from error
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise self._strange(f"it is not of format {FORMAT}")
        return document

    def _strange(self, why: str) -> CommandFailed:
        return CommandFailed(
            f"{self.path} cannot be read: {why}. If no engine of it runs, remove the folder."
        )


@contextmanager
def locked(folder: Path, name: str) -> Iterator[None]:
    """Be the only process inside, of all that use this folder and name."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
