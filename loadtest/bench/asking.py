"""References in processes of their own: asked by JSON on standard input, answering by JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

WITHIN_S: Final = 600.0
"""Seconds in which a reference answers, or has a fault."""


def ask(module: str, question: dict[str, Any]) -> dict[str, Any]:
    """Run a module of this package. Raises RuntimeError with its last words where it fails."""
    done = subprocess.run(
        [sys.executable, "-m", f"loadtest.bench.{module}"],
        check=False,
        input=json.dumps(question),
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
    )
    if done.returncode:
        raise RuntimeError(f"the reference {module} failed: {done.stderr.strip()[-1_000:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def answer(function: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Answer the question on standard input: what such a module does when it is run."""
    json.dump(function(json.load(sys.stdin)), sys.stdout)
