"""The help of commands as paragraphs: a docstring is broken for editors, a terminal is narrower."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cyclopts import App


def let_terminals_break(app: App) -> None:
    """Make the help of all commands below one that of paragraphs, each one line."""
    for name in app:
        if name.startswith("-"):
            continue
        command = app[name]
        command.help = in_paragraphs(command.help)
        let_terminals_break(command)


def in_paragraphs(text: str) -> str:
    """Join the lines of each paragraph; an empty line parts them."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
