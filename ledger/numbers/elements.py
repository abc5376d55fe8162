"""GS1 element strings: what a barcode says in several parts, each behind its identifier.

`biip` takes them apart; it is loaded only for a text that can be one, so nothing else waits for it.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_FNC1: Final = "\x1d"
# Symbology identifiers of barcodes whose first character says that GS1 element strings follow.
_GS1_SYMBOLOGIES: Final = ("]C1", "]d2", "]Q3", "]e0")
_IN_BRACKETS: Final = re.compile(r"\(\d{2,4}\)")


class Element(NamedTuple):
    """One part: its application identifier, what that means, and the value."""

    identifier: str
    title: str
    value: str


def elements_of(text: str) -> tuple[Element, ...]:
    """The parts of a text; none where it is not made of element strings."""
    text = text.strip(" ")
    written_out = bool(_IN_BRACKETS.match(text))
    marked = text.startswith(_GS1_SYMBOLOGIES)
    if not (written_out or marked or _FNC1 in text):
        return ()
    from biip import ParseError  # noqa: PLC0415 - see above.
    from biip.gs1_messages import GS1Message  # noqa: PLC0415

    try:
        if written_out:
            message = GS1Message.parse_hri(text.replace(" ", ""))
        else:
            bare = text[3:] if marked else text
            message = GS1Message.parse(bare.replace(" ", "").lstrip(_FNC1))
    except (ParseError, ValueError):
        return ()
    return tuple(
        Element(one.ai.ai, one.ai.data_title or one.ai.description, one.value)
        for one in message.element_strings
    )
