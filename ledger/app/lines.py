"""Lines of a file of scans: CSV or NDJSON as numbered lines of named values, every value as text.

A line that cannot be read is given out with its problem and harms none of its neighbours: each
line of the file is read for itself, also in CSV. Values stay as they are in the file, since a line
without an event id gets one that is made from them.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TextIO

from ledger.errors import Refused
from ledger.event import EVENT_ID_BYTES

LINE_CHARS_MAX: Final = 64 << 10
"""Longest line in characters: eight times the largest event, for text takes more room."""

DEPTH_MAX: Final = 8
"""Deepest nesting of an NDJSON line; a scan event needs three."""

REFUSED_PREFIX: Final = "refused_"
"""What the columns begin with that a file of refused lines has in front. They are passed over on
reading, so that the file can be mended and sent as it is.
"""

_TOO_LONG: Final = f"it is longer than {LINE_CHARS_MAX} characters"
_ODD_QUOTES: Final = (
    "its double quotes do not come in pairs: one is missing or too many, or a cell goes on behind "
    "a line break, which no cell may have"
)
_ID_RULE = b"parcel-ledger/line/1"


class Line(NamedTuple):
    """One line."""

    number: int
    """Where it begins in the file, from 1."""
    values: Mapping[str, str]
    """What it says, by name; nested names are joined by dots. A name without a value is absent."""
    original: Sequence[str]
    """The line as it stood there: as many cells of CSV as there are columns; else its text as the
    only element.
    """
    problem: str = ""
    """Why it cannot be read; then it has no values."""


class Table(NamedTuple):
    """A CSV."""

    names: Sequence[str]
    """Its columns."""
    delimiter: str
    """What stands between two cells."""
    lines: Iterator[Line]
    """Its lines behind the header, once."""


def line_event_id(values: Mapping[str, str]) -> bytes:
    """Make the event id of a line from what stands in it.

    The same line always makes the same id, so sending a file twice changes nothing; the order of
    columns plays no part.
    """
    digest = hashlib.sha256(_ID_RULE)
    for name in sorted(values):
        digest.update(b"\0" + name.encode() + b"=" + values[name].encode())
    return digest.digest()[:EVENT_ID_BYTES]


def open_csv(stream: TextIO) -> Table:
    """Read the header of a CSV.

    Cells are separated by comma, semicolon or tab, whichever the header uses. Raises Refused for a
    header that is none.
    """
    texts = _texts(stream, ("\n", "\r"))
    _, header, too_long = next(texts, (1, "", False))
    header = header.removeprefix("\ufeff")
    delimiter = max(",;\t", key=header.count)
    if too_long:
        raise _no_header(f"line 1 cannot be read: {_TOO_LONG}")
    try:
        names = [name.strip() for name in _cells(header, delimiter)]
        "".join(names).encode()
    except (csv.Error, ValueError) as error:
        raise _no_header(f"line 1 cannot be read: {unreadable(error)}") from error
    if not names:
        raise _no_header("the file is empty")
    for name in names:
        if not name or names.count(name) > 1:
            what = f"two columns are named `{name}`" if name else "a column has no name"
            raise _no_header(f"{what} in line 1")
    return Table(names, delimiter, _csv_lines(texts, names, delimiter))


def read_ndjson(stream: TextIO) -> Iterator[Line]:
    """Read one JSON object a line; blank lines are passed over."""
    for number, text, too_long in _texts(stream, ("\n",)):
        if too_long:
            yield Line(number, {}, [text], _TOO_LONG)
        elif text and not text.isspace():
            try:
                text.encode()
                found = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
                yield Line(number, named(found), [text])
            except (ValueError, RecursionError) as error:
                yield Line(number, {}, [text], unreadable(error))


def _texts(stream: TextIO, ends: tuple[str, ...]) -> Iterator[tuple[int, str, bool]]:
    """Give each line's number, its text without its end, and whether that is too long.

    Of a line that is too long the beginning is given, with so much that it is too long for whoever
    reads it again.
    """
    number = 0
    cut_behind_cr = False
    while text := stream.readline(LINE_CHARS_MAX + 1):
        if text == "\n" and cut_behind_cr:
            # The second half of a line end: a reading had its full length between the two.
            cut_behind_cr = False
            continue
        number += 1
        too_long = len(text) > LINE_CHARS_MAX and not text.endswith(ends)
        last = text
        while len(last) > LINE_CHARS_MAX and not last.endswith(ends):
            last = stream.readline(LINE_CHARS_MAX + 1)
        cut_behind_cr = len(last) > LINE_CHARS_MAX and last.endswith("\r")
        yield number, text if too_long else text.rstrip("\r\n"), too_long


def _csv_lines(
    texts: Iterator[tuple[int, str, bool]], names: Sequence[str], delimiter: str
) -> Iterator[Line]:
    old_reasons = _old_reasons(names, delimiter)
    for number, text, too_long in texts:
        if too_long:
            yield Line(number, {}, [text], _TOO_LONG)
            continue
        original = [old_reasons.sub("", text, count=1)]
        try:
            row = _cells(text, delimiter)
            text.encode()
        except (csv.Error, ValueError) as error:
            yield Line(number, {}, original, unreadable(error))
            continue
        if not row:
            continue
        if len(row) != len(names):
            counts = f"it has {len(row)} cells where the header has {len(names)}"
            yield Line(number, {}, original, counts)
            continue
        values = {
            name: cell
            for name, cell in zip(names, row, strict=True)
            if cell and not name.startswith(REFUSED_PREFIX)
        }
        yield Line(number, values, row)


def _cells(text: str, delimiter: str) -> list[str]:
    """Split one line of CSV. Raises csv.Error or ValueError.

    A reader that looks for the second quote in the lines behind takes them all for one cell, and
    a scan has no use for a line break. So a line stands alone, and an odd quote is its problem.
    """
    if text.count('"') % 2:
        raise ValueError(_ODD_QUOTES)
    return next(csv.reader([text], delimiter=delimiter, strict=True), [])


def _old_reasons(names: Sequence[str], delimiter: str) -> re.Pattern[str]:
    """Match the cells in front of a line that is refused again, where it cannot be split."""
    count = next((i for i, name in enumerate(names) if not name.startswith(REFUSED_PREFIX)), 0)
    return re.compile(rf'^(?:(?:"(?:[^"]|"")*+"|[^"{delimiter}]*+){delimiter}){{{count}}}')


def named(found: Any) -> dict[str, str]:  # noqa: ANN401 - whatever JSON has.
    """Flatten a JSON object, whose numbers are the text of the file. Raises ValueError."""
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 - bad input, not a bad call.
    values: dict[str, str] = {}
    flatten("", found, values)
    return values


def flatten(path: str, found: Any, values: dict[str, str], depth: int = 0) -> None:  # noqa: ANN401
    """Add what a value of JSON says, by name. Raises ValueError."""
    if depth > DEPTH_MAX:
        raise ValueError(f"it is nested deeper than {DEPTH_MAX}")
    if isinstance(found, dict | list):
        pairs = found.items() if isinstance(found, dict) else enumerate(found)
        for name, value in pairs:
            flatten(f"{path}.{name}" if path else str(name), value, values, depth + 1)
    elif isinstance(found, bool):
        values[path] = "true" if found else "false"
    elif found:
        found.encode()
        values[path] = found


def unreadable(error: Exception) -> str:
    """Say why a line cannot be read."""
    if isinstance(error, UnicodeError):
        return "it is not UTF-8"
    if isinstance(error, json.JSONDecodeError):
        return f"it is no JSON: {error.msg} at character {error.colno}"
    if isinstance(error, csv.Error):
        return f"it is no CSV: {error}"
    if isinstance(error, RecursionError):
        return f"it is nested deeper than {DEPTH_MAX}"
    return str(error)


def _no_header(why: str) -> Refused:
    return Refused(
        f"This is no CSV of scans: {why}. The first line names the columns, at least "
        f"tracking_number, type and scan_time.",
        reason="NO_HEADER",
    )
