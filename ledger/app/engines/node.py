"""One node of an engine: a process that is started, waited for, paused, ended or killed."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from ledger.app.engines import process
from ledger.app.engines.state import NodeState
from ledger.app.exits import CommandFailed

READY_WITHIN_S: Final = 180.0
"""Seconds within which a node is ready, or has a fault. With a machine to itself it takes 10."""

STOP_WITHIN_S: Final = 30.0
"""Seconds that a node gets to end by itself before it is killed."""

SIGNAL_WITHIN_S: Final = 10.0
"""Seconds that the system gets to kill a node, with all its memory, or to hold it."""

ANSWER_S: Final = 1.0
"""Seconds in which a port of this machine answers, or does not."""

SHOWN_LINES: Final = 6
"""Lines of a node's log that are shown when it does not start: from the first error on, and at the
end."""

LINE_CHARACTERS: Final = 300
"""Characters of each: a line that describes all settings has thousands."""

HINTS: Final = {
    "Address already in use": "Another program has one of its ports: `ss -ltnp` shows which.",
    "No space left on device": "The disk is full: make room.",
    "insufficient memory": "There is not enough memory: give it a smaller heap.",
    "java.lang.OutOfMemoryError": "Its heap is too small: give it a larger one.",
    "UnsupportedClassVersionError": "It runs on another Java than 17: set JAVA_HOME.",
}
"""What to do, by what a log has."""


class Node:
    """One node. Every method works from any process, on nodes that any process started.

    Attributes:
        name: such as `kafka-2`.
        folder: where its settings, its data and its log are.
        log: what it said in this life; the one before is beside it.
        host: where clients reach it.
    """

    def __init__(
        self,
        engine: str,
        folder: Path,
        state: NodeState,
        *,
        ready_line: str,
        command: Callable[[Node], Sequence[str]],
        save: Callable[[], None],
        seen: Callable[[Node], None] = lambda _: None,
    ) -> None:
        """`command` is what runs it, `save` keeps the state, and `seen` waits for the others."""
        self.number = state.number
        self.name = f"{engine}-{state.number}"
        self.folder = folder / self.name
        self.log = self.folder / "node.log"
        self.host = state.host
        self._state = state
        self._ready_line = ready_line
        self._command = command
        self._save = save
        self._seen = seen

    @property
    def pid(self) -> int:
        """The id of its process; 0 where it does not run."""
        return self._state.pid if self.runs() else 0

    @property
    def port(self) -> int:
        """Where clients reach it."""
        return self._state.ports["client"]

    @property
    def ports(self) -> Mapping[str, int]:
        """All its ports, by what they are for."""
        return self._state.ports

    def adopt(self, state: NodeState) -> None:
        """Go by what another process may have written about it."""
        self._state = state

    def runs(self) -> bool:
        """Say whether its process is there."""
        return process.lives(self._state.pid, self._state.life)

    def is_paused(self) -> bool:
        """Say whether its process is there, and does nothing."""
        return self.runs() and process.is_stopped(self._state.pid)

    def answers(self) -> bool:
        """Say whether its port takes connections."""
        try:
            socket.create_connection((self.host, self.port), timeout=ANSWER_S).close()
        except OSError:
            return False
        return True

    def launch(self) -> None:
        """Start its process, unless it runs."""
        if self.runs():
            return
        command = self._command(self)
        state = self._state
        state.pid, state.life = process.spawn(command, folder=self.folder, log=self.log)
        self._save()

    def wait_ready(self) -> None:
        """Wait until it serves. Raises CommandFailed with its last words where it does not."""
        until_s = time.monotonic() + READY_WITHIN_S
        self.wait_for(self._ready_line, until_s)
        while not self.answers():
            self._give_up(until_s)
            time.sleep(process.POLL_S)
        self._seen(self)

    def start(self) -> None:
        """Start it, on the data that it has, and wait until it serves."""
        self.launch()
        self.wait_ready()

    def ask_to_stop(self) -> None:
        """Tell it to end, as an operator would, and do not wait."""
        if process.send(self._state.pid, self._state.life, signal.SIGTERM):
            self.resume()

    def stop(self) -> None:
        """End it as an operator would, and wait; where that takes too long, kill it."""
        self.ask_to_stop()
        if not process.gone(self._state.pid, self._state.life, within_s=STOP_WITHIN_S):
            self.kill()

    def kill(self) -> None:
        """Kill it with -9, and wait until it is gone."""
        state = self._state
        if process.send(state.pid, state.life, signal.SIGKILL) and not process.gone(
            state.pid, state.life, within_s=SIGNAL_WITHIN_S
        ):
            raise CommandFailed(f"{self.name} (process {state.pid}) was killed and is still there.")

    def pause(self) -> None:
        """Hold it: it is there, and does nothing."""
        if process.send(self._state.pid, self._state.life, signal.SIGSTOP):
            self._wait_paused(True)

    def resume(self) -> None:
        """Let it go on."""
        if process.send(self._state.pid, self._state.life, signal.SIGCONT):
            self._wait_paused(False)

    def log_bytes(self) -> int:
        """Tell how long its log of this life is."""
        return self.log.stat().st_size if self.log.exists() else 0

    def wait_for(self, words: str, until_s: float, *, after: int = 0) -> None:
        """Wait until its log has these words behind its first bytes; of time.monotonic."""
        while not self._said(words, after):
            self._give_up(until_s)
            time.sleep(process.POLL_S)

    def _wait_paused(self, paused: bool) -> None:
        """The system takes a moment for either."""
        until_s = time.monotonic() + SIGNAL_WITHIN_S
        while self.runs() and self.is_paused() != paused and time.monotonic() < until_s:
            time.sleep(process.POLL_S)

    def _said(self, words: str, after: int) -> bool:
        try:
            return words.encode() in self.log.read_bytes()[after:]
        except FileNotFoundError:
            return False

    def _give_up(self, until_s: float) -> None:
        if not self.runs():
            raise self._failure("has ended before it was ready")
        if time.monotonic() > until_s:
            raise self._failure(f"was not ready within {READY_WITHIN_S:.0f} s")

    def _failure(self, what: str) -> CommandFailed:
        said = _text(self.log)
        hint = next((hint for words, hint in HINTS.items() if words in said), "See there why.")
        return CommandFailed(
            f"{self.name} {what}. Its log, {self.log}:\n{told(self.log)}\n"
            f"{hint} Then start again, or remove {self.folder.parent} to begin without its data."
        )


def told(log: Path) -> str:
    """Give what a log tells a person: how its first error begins, and its last lines."""
    lines = [line[:LINE_CHARACTERS] for line in _text(log).splitlines()]
    end = max(0, len(lines) - SHOWN_LINES)
    errors = (at for at, line in enumerate(lines[:end]) if "ERROR" in line or "Exception" in line)
    first = next(errors, end)
    shown = lines[first : min(first + SHOWN_LINES, end)]
    if first + SHOWN_LINES < end:
        shown.append("...")
    return "\n".join(f"    {line}" for line in [*shown, *lines[end:]]) or "    (nothing)"


def _text(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
