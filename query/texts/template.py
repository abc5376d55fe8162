"""One text with places for what is known, as in `Arrived[ at {place}]`.

What stands in square brackets is left out where anything that it names is not known.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_PIECE: Final = re.compile(r"\[([^\[\]]*)\]|([^\[\]]+)")
_NAME: Final = re.compile(r"\{([a-z_]+)\}")


class Malformed(ValueError):
    """A text whose brackets or braces are not in pairs; says what to do."""


class Piece(NamedTuple):
    """A part of a text."""

    words: str
    names: frozenset[str]
    is_optional: bool


class Template(NamedTuple):
    """One text."""

    source: str
    pieces: Sequence[Piece]

    @property
    def names(self) -> frozenset[str]:
        """All that it names."""
        return frozenset().union(*(piece.names for piece in self.pieces))

    @property
    def must(self) -> frozenset[str]:
        """What it cannot be said without."""
        return frozenset().union(*(one.names for one in self.pieces if not one.is_optional))

    def fill(self, values: Mapping[str, str]) -> str:
        """Say it. What is absent or empty is not known."""
        return "".join(
            _NAME.sub(lambda found: values[found[1]], piece.words)
            for piece in self.pieces
            if not piece.is_optional or all(values.get(name) for name in piece.names)
        )


def parse(source: str) -> Template:
    """Read a text. Raises Malformed."""
    return Template(source, tuple(_pieces(source)))


def _pieces(source: str) -> Iterator[Piece]:
    end = 0
    for found in _PIECE.finditer(source):
        if found.start() != end:
            break
        end = found.end()
        optional, plain = found.groups()
        words = plain if optional is None else optional
        if any(mark in _NAME.sub("", words) for mark in "{}"):
            raise Malformed("A placeholder reads {name}, in small letters, with both braces.")
        names = frozenset(_NAME.findall(words))
        if optional is not None and not names:
            raise Malformed(
                f"`[{words}]` names no placeholder. Square brackets hold words that are left out "
                f"where a placeholder in them is not known; write round ones."
            )
        yield Piece(words, names, optional is not None)
    if end != len(source):
        raise Malformed("A square bracket has no partner, or stands in another one.")
