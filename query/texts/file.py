"""A language as a file: titled sections of named lines. Every fault names its line.

[event ARRIVED]
headline = Arrived[ at {place}]
next = It is sorted, and goes on to the next place.
"""

from __future__ import annotations

import configparser
import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, NamedTuple

from query.texts.keys import ASK, HEADLINE, MONTHS, NEEDED, PARTIES, SECTIONS, length_max
from query.texts.template import Malformed, Template, parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Key = tuple[str, str]

FILE_BYTES_MAX: Final = 1 << 20
"""Most bytes of a file: a language has some 40 KiB."""

_HEADER: Final = re.compile(r"\[(?P<title>.+)\]")


class Fault(NamedTuple):
    """What is wrong with a file, and where."""

    line: int
    """From 1; where something is missing, the section that it belongs into, or the last line."""
    message: str


class Text(NamedTuple):
    """One text of a file."""

    line: int
    template: Template


class Sheet(NamedTuple):
    """What a file says, complete or not."""

    texts: Mapping[Key, Text]
    sections: Mapping[str, int]
    """Each section that is there, and its line."""
    last_line: int

    @property
    def templates(self) -> dict[Key, Template]:
        """The texts without their lines."""
        return {key: text.template for key, text in self.texts.items()}


def read_sheet(data: bytes) -> tuple[Sheet, Sequence[Fault]]:
    """Read a file as far as it can be read, and give all that is wrong in it, by line."""
    if len(data) > FILE_BYTES_MAX:
        message = f"The file has {len(data):,} bytes, and may have {FILE_BYTES_MAX:,}."
        return _NOTHING, [Fault(1, message)]
    try:
        content = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return _NOTHING, [Fault(line, f"Byte {error.start:,} is not UTF-8: save it as UTF-8.")]
    parser = _parser()
    try:
        parser.read_string(content)
    except configparser.Error as error:
        return _NOTHING, list(_unreadable(error))
    lines = content.splitlines()
    sections, where = _lines(lines)
    faults: list[Fault] = []
    texts: dict[Key, Text] = {}
    for section in parser.sections():
        if section not in SECTIONS:
            faults.append(Fault(sections[section], _no_such("section", section, SECTIONS)))
            continue
        for name, value in parser.items(section):
            line, said = where[section, name], " ".join(value.split())
            try:
                texts[section, name] = Text(line, parse(said))
            except Malformed as error:
                faults.append(Fault(line, f"`{name}`: {error}"))
                continue
            faults += (Fault(line, message) for message in _odd(section, name, said, texts))
    return Sheet(texts, sections, len(lines) or 1), sorted(faults)


_NOTHING: Final = Sheet({}, {}, 1)


def _parser() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(
        delimiters=("=",),
        comment_prefixes=("#",),
        interpolation=None,
        empty_lines_in_values=False,
        default_section="",  # No section is a default for others.
    )
    parser.optionxform = str  # type: ignore[assignment,method-assign] # Names as they are written.
    return parser


def _unreadable(error: configparser.Error) -> Iterator[Fault]:
    if isinstance(error, configparser.DuplicateSectionError):
        yield Fault(error.lineno or 1, f"The section [{error.section}] is there twice.")
    elif isinstance(error, configparser.DuplicateOptionError):
        yield Fault(error.lineno or 1, f"`{error.option}` is said twice in [{error.section}].")
    elif isinstance(error, configparser.MissingSectionHeaderError):
        yield Fault(error.lineno, "A text stands before the first section, such as [event HELD].")
    elif isinstance(error, configparser.ParsingError):
        for line, _ in error.errors:
            yield Fault(line, "This is neither a section, as [event HELD], nor `name = text`.")
    else:
        yield Fault(1, f"This cannot be read: {error}")


def _lines(lines: Sequence[str]) -> tuple[dict[str, int], dict[Key, int]]:
    """Give the line of every section and of every text, by the parser's rules: what is indented
    goes on with the text above.
    """
    sections: dict[str, int] = {}
    texts: dict[Key, int] = {}
    section = ""
    for number, line in enumerate(lines, 1):
        header = _HEADER.match(line.strip())
        if header and not line[0].isspace():
            section = header["title"]
            sections[section] = number
        elif "=" in line and line[0] != "#":
            texts.setdefault((section, line.partition("=")[0].strip()), number)
    return sections, texts


def _no_such(what: str, name: str, among: Sequence[str] | frozenset[str]) -> str:
    close = get_close_matches(name, sorted(among), n=1)
    meant = f" Is `{close[0]}` meant?" if close else ""
    return f"There is no {what} `{name}`, so nobody would see this.{meant}"


def _odd(section: str, name: str, said: str, texts: Mapping[Key, Text]) -> Iterator[str]:
    """Say what is wrong with one text."""
    slots = NEEDED.get((section, name))
    if slots is None:
        yield _no_such("text", name, [text for where, text in NEEDED if where == section])
        return
    if not said:
        yield f"`{name}` is empty."
        return
    most = length_max(section, name)
    if len(said) > most:
        yield f"`{name}` has {len(said)} characters, and may have {most}."
    template = texts[section, name].template
    known = slots.always | slots.perhaps
    for unknown in sorted(template.names - known):
        there = ", ".join(f"{{{one}}}" for one in sorted(known)) or "none"
        yield f"`{name}` has {{{unknown}}}, which is not known here; there is {there}."
    for unsure in sorted(template.must & slots.perhaps):
        yield (
            f"`{name}` has {{{unsure}}}, which is not always known: put it into square brackets, "
            f"with the words that go without it."
        )
    if name == ASK and (section, HEADLINE) in NEEDED and said not in PARTIES:
        yield f"`{name}` is `{said}`; it is one of {', '.join(PARTIES)}."
    if (section, name) == ("language", "months") and len(said.split(",")) != MONTHS:
        yield f"`{name}` has {len(said.split(','))} names; there are {MONTHS}, with commas between."
