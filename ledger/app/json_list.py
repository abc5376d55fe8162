"""The list in a JSON document, record by record, each with its line and what stands around it.

`shipments.events` is the list `events` in each of `shipments`. What an enclosing object says has
its way in front: `$.shipments.trackingNumber`, or `$.carrier` where the document itself says it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TextIO

from ledger.app.lines import Line, flatten, named, unreadable
from ledger.errors import Refused

DOCUMENT_CHARS_MAX: Final = 64 << 20
"""Longest document in characters: it is held in memory as a whole; a day of a large carrier."""

ROOT: Final = "$"
"""What the names of enclosing objects begin with."""

_SPACE: Final = re.compile(r"[ \t\n\r]*")


class _Around(NamedTuple):
    """What enclosing objects say, and why not all of it can be read."""

    values: Mapping[str, str]
    problem: str = ""


class _Record(NamedTuple):
    at: int
    end: int
    value: Any
    around: _Around


def read_json_list(stream: TextIO, way: Sequence[str]) -> Iterator[Line]:
    """Give the records of a document. Raises Refused for a document that cannot be read, or that
    has no such list; both before the first record.
    """
    text = stream.read(DOCUMENT_CHARS_MAX + 1).removeprefix("\ufeff")
    if len(text) > DOCUMENT_CHARS_MAX:
        raise _no_list(f"it is longer than {DOCUMENT_CHARS_MAX:,} characters")
    document = _Document(text)
    records = list(document.records(way))
    if not document.has_list:
        raise _no_list(f"it has no list `{'.'.join(way) or ROOT}`")
    return _lines(text, records)


def _lines(text: str, records: Sequence[_Record]) -> Iterator[Line]:
    number, seen = 1, 0
    for at, end, value, around in records:
        number += text.count("\n", seen, at)
        seen = at
        # One line, however it was written: a file of refused lines has one for each.
        original = " ".join(text[at:end].split())
        if around.problem:
            yield Line(number, {}, [original], around.problem)
            continue
        try:
            yield Line(number, {**around.values, **named(value)}, [original])
        except (ValueError, RecursionError) as error:
            yield Line(number, {}, [original], unreadable(error))


class _Document:
    """Walks through a text that is JSON.

    Attributes:
        has_list: whether the list was there at all.
    """

    def __init__(self, text: str) -> None:
        self.has_list = False
        self._text = text
        self._decoder = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)
        self._begin = self._behind_space(0)
        try:
            _, end = self._decoder.raw_decode(text, self._begin)
        except json.JSONDecodeError as error:
            why = f"line {error.lineno}, character {error.colno}: {error.msg}"
            raise _no_list(f"it is no JSON: {why}") from None
        except RecursionError:
            raise _no_list("it is nested too deep") from None
        if self._behind_space(end) != len(text):
            line = text.count("\n", 0, end) + 1
            raise _no_list(f"it is no JSON: line {line}: something stands behind its end")

    def records(self, way: Sequence[str]) -> Iterator[_Record]:
        """Give the records of all lists that a way leads to."""
        yield from self._walk(self._begin, way, ROOT, _Around({}))

    def _walk(self, at: int, way: Sequence[str], where: str, around: _Around) -> Iterator[_Record]:
        if self._text[at] == "[":
            elements = list(self._elements(at))
            # A list without shipments has none with events: that is no wrong way.
            self.has_list |= not way or not elements
            for begin, end, value in elements:
                if way:
                    yield from self._walk(begin, way, where, around)
                else:
                    yield _Record(begin, end, value, around)
        elif self._text[at] == "{" and way:
            first, *rest = way
            values, problem = dict(around.values), around.problem
            lists = []
            for name, begin, value in self._members(at):
                if name == first:
                    lists.append(begin)
                elif not isinstance(value, list):
                    try:
                        flatten(f"{where}.{name}", value, values)
                    except (ValueError, RecursionError) as error:
                        problem = f"around it, {where}.{name}: {unreadable(error)}"
            for begin in lists:
                yield from self._walk(begin, rest, f"{where}.{first}", _Around(values, problem))

    def _elements(self, at: int) -> Iterator[tuple[int, int, Any]]:
        """Give where each element of a list begins and ends, and its value."""
        at = self._behind_space(at + 1)
        while self._text[at] != "]":
            value, end = self._decoder.raw_decode(self._text, at)
            yield at, end, value
            at = self._next(end)

    def _members(self, at: int) -> Iterator[tuple[str, int, Any]]:
        """Give the name of each member of an object, where its value begins, and the value."""
        at = self._behind_space(at + 1)
        while self._text[at] != "}":
            name, end = self._decoder.raw_decode(self._text, at)
            at = self._behind_space(self._behind_space(end) + 1)
            value, end = self._decoder.raw_decode(self._text, at)
            yield name, at, value
            at = self._next(end)

    def _next(self, end: int) -> int:
        """Give where the next element begins, or the bracket that closes."""
        at = self._behind_space(end)
        return self._behind_space(at + 1) if self._text[at] == "," else at

    def _behind_space(self, at: int) -> int:
        match = _SPACE.match(self._text, at)
        assert match is not None
        return match.end()


def _no_list(why: str) -> Refused:
    return Refused(f"This is no JSON list of events: {why}.", reason="NO_LIST")
