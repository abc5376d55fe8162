"""Whether a language says all that has to be said, and says it of the same things as English."""

from __future__ import annotations

from typing import TYPE_CHECKING

from query.texts.file import Fault
from query.texts.keys import ASK, HEADLINE, NEEDED, SECTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from query.texts.file import Key, Sheet
    from query.texts.template import Template


def missing(sheet: Sheet) -> Iterator[Fault]:
    """Give the texts that are not there. A section that is not there is told once."""
    for section in sorted(SECTIONS - sheet.sections.keys()):
        yield Fault(sheet.last_line, f"The section [{section}] is missing.")
    for section, name in NEEDED:
        if section in sheet.sections and (section, name) not in sheet.texts:
            yield Fault(sheet.sections[section], f"[{section}] has no `{name}`.")


def unlike(sheet: Sheet, english: Mapping[Key, Template]) -> Iterator[Fault]:
    """Give the texts that name other things than the same text in English does."""
    for key, text in sheet.texts.items():
        model = english.get(key)
        if model is None:
            continue
        lacks = sorted(model.names - text.template.names)
        has = sorted(text.template.names - model.names)
        if lacks:
            yield Fault(text.line, f"`{key[1]}` lacks {_list(lacks)}, which the English text has.")
        if has:
            yield Fault(text.line, f"`{key[1]}` has {_list(has)}, which the English text has not.")
        if key[1] == ASK and (key[0], HEADLINE) in NEEDED and text.template != model:
            yield Fault(
                text.line,
                f"`{ASK}` is `{text.template.source}`, and `{model.source}` in English: whom to "
                f"ask is the same in all languages.",
            )


def _list(names: list[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)
