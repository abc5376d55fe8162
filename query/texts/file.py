"""A language as a file: titled sections of named lines. Every fault names its line.

[event ARRIVED]
headline = Arrived[ at {place}]
next = It is sorted, and goes on to the next place.
"""

from __future__ import annotations

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
        at = data.count(b"\n", 0, error.start) + 1
        return _NOTHING, [Fault(at, f"Byte {error.start:,} is not UTF-8: save it as UTF-8.")]
    lines = content.split("\n")  # As an editor counts them.
    reader = _Reader()
    for number, line in enumerate(lines, 1):
        reader.take(number, line.rstrip())
    texts: dict[Key, Text] = {}
    faults = reader.faults
    for (section, name), (begin, parts) in reader.said.items():
        if section not in SECTIONS:
            continue
        said = " ".join(" ".join(parts).split())
        try:
            texts[section, name] = Text(begin, parse(said))
        except Malformed as error:
            faults.append(Fault(begin, f"`{name}`: {error}"))
            continue
        faults += (Fault(begin, message) for message in _odd(section, name, said, texts))
    return Sheet(texts, reader.sections, max(1, len(lines) - (not lines[-1]))), sorted(faults)


_NOTHING: Final = Sheet({}, {}, 1)


class _Reader:
    """Takes a file line by line. What it reads, `configparser` reads alike; that one tells no
    lines, and stops at its first fault.
    """

    def __init__(self) -> None:
        self.sections: dict[str, int] = {}
        self.said: dict[Key, tuple[int, list[str]]] = {}
        self.faults: list[Fault] = []
        self._section: str | None = None
        self._open: list[str] | None = None
        """The text that an indented line goes on with."""

    def take(self, number: int, line: str) -> None:
        """Take one line."""
        if not line:
            self._open = None
        elif line.lstrip().startswith("#"):
            pass
        elif line[0].isspace():
            if self._open is None:
                self._fault(
                    number, "An indented line goes on with a text, and there is none above."
                )
            else:
                self._open.append(line)
        elif header := _HEADER.fullmatch(line):
            self._begin(number, header["title"])
        else:
            self._say(number, *line.partition("="))

    def _begin(self, number: int, title: str) -> None:
        self._section, self._open = title, None
        if title in self.sections:
            self._fault(number, f"The section [{title}] is there twice.")
            return
        self.sections[title] = number
        if title not in SECTIONS:
            self._fault(number, _no_such("section", title, SECTIONS))

    def _say(self, number: int, name: str, equals: str, text: str) -> None:
        name = name.strip()
        self._open = [text]
        if not equals or not name:
            self._fault(number, "This is neither a section, as [event HELD], nor `name = text`.")
        elif self._section is None:
            self._fault(number, "A text stands before the first section, such as [event HELD].")
        elif (self._section, name) in self.said:
            self._fault(number, f"`{name}` is said twice in [{self._section}].")
        else:
            self.said[self._section, name] = number, self._open

    def _fault(self, number: int, message: str) -> None:
        self.faults.append(Fault(number, message))


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
