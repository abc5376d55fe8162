"""Where commands print: answers on standard output, everything else on standard error."""

from __future__ import annotations

from typing import Final

from rich.console import Console

PIPE_WIDTH: Final = 200
"""Width in characters where nobody's terminal sets one: a table that is piped keeps its lines."""


def answers() -> Console:
    """Give the console for what was asked for."""
    return _console(stderr=False)


def remarks() -> Console:
    """Give the console for progress, summaries and errors."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console
