"""The roles under test, each a process of its own, as an operator would run them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

from loadtest.bench.processes import Child, child, free_port, says_ready

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

INIT_WITHIN_S: Final = 180.0
"""Seconds for making topics and tables; three nodes have to agree on each table."""

ROLES: Final = ("ingest", "writer", "query")


class Roles:
    """Roles on the same engines, started one by one.

    Attributes:
        settings: what all of them are told, by the names of the ledger's settings.
        running: those that run, by name.
        memory_mb: the largest memory of each so far.
    """

    def __init__(self, settings: Mapping[str, Any], logs: Path, *, profiled: bool) -> None:
        """`profiled` has each role write down where its time goes, beside its log."""
        self.settings = settings
        self.running: dict[str, Child] = {}
        self.memory_mb: dict[str, float] = {}
        self._environ = {
            f"PARCEL_LEDGER_{name.upper()}": _word(value) for name, value in settings.items()
        }
        self._logs = logs
        self._profiled = profiled
        self._targets: dict[str, str] = {}

    def init(self) -> None:
        """Make topics and tables. Raises RuntimeError with the command's last words."""
        done = subprocess.run(
            [sys.executable, "-m", "ledger.app.cli", "init"],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, **self._environ},
            timeout=INIT_WITHIN_S,
        )
        if done.returncode:
            raise RuntimeError(f"init failed: {(done.stdout + done.stderr).strip()[-1_000:]}")

    def target(self, role: str) -> str:
        """Where a role takes gRPC."""
        return self._targets[role]

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds of the roles that run now."""
        return {name: one.cpu_s() for name, one in self.running.items()}

    @contextlib.contextmanager
    def run(self, role: str) -> Iterator[Child]:
        """Run a role until the end of the block; it is ready when the block begins."""
        metrics = f"127.0.0.1:{free_port()}"
        arguments = [role, "--metrics", metrics]
        if role != "writer":
            self._targets[role] = f"127.0.0.1:{free_port()}"
            arguments += ["--listen", self._targets[role]]
        command = [sys.executable, "-m", *self._profiler(role), "ledger.app.cli", *arguments]
        with child(role, command, self._logs / f"{role}.log", self._environ) as one:
            one.wait_until(lambda: says_ready(metrics))
            self.running[role] = one
            try:
                yield one
            finally:
                del self.running[role]
                with contextlib.suppress(OSError):  # It may have died: then that is said.
                    peak_mb = max(self.memory_mb.get(role, 0.0), one.memory_peak_mb())
                    self.memory_mb[role] = peak_mb

    def _profiler(self, role: str) -> list[str]:
        if not self._profiled:
            return []
        return ["loadtest.bench.profiled", str(self._logs / f"{role}.profile.txt")]


def _word(value: object) -> str:
    """Write a setting's value as the environment has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
