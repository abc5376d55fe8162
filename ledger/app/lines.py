"""Lines of a file of scans: CSV or NDJSON as numbered lines of named values, every value as text.

A line that cannot be read is given out with its problem and harms none of its neighbours. Values
stay as they are in the file, since a line without an event id gets one that is made from them.
"""

from __future__ import annotations

import csv
import hashlib
import json
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

_ID_RULE = b"parcel-ledger/line/1"


class Line(NamedTuple):
    """One line."""

    number: int
    """Where it begins in the file, from 1."""
    values: Mapping[str, str]
    """What it says, by name; nested names are joined by dots. A name without a value is absent."""
    original: Sequence[str]
    """The line as it stood there: cells of CSV, or the text of NDJSON as the only element."""
    problem: str = ""
    """Why it cannot be read; then it has no values."""


def line_event_id(values: Mapping[str, str]) -> bytes:
    """Make the event id of a line from what stands in it.

    The same line always makes the same id, so sending a file twice changes nothing; the order of
    columns plays no part.
    """
    digest = hashlib.sha256(_ID_RULE)
    for name in sorted(values):
        digest.update(b"\0" + name.encode() + b"=" + values[name].encode())
    return digest.digest()[:EVENT_ID_BYTES]


def open_csv(stream: TextIO) -> tuple[Sequence[str], Iterator[Line]]:
    """Read the header; give the names of its columns, and the lines behind it.

    Cells are separated by comma, semicolon or tab, whichever the header uses. Raises Refused for a
    header that is none.
    """
    header = stream.readline(LINE_CHARS_MAX).removeprefix("\ufeff")
    delimiter = max(",;\t", key=header.count)
    try:
        names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
        "".join(names).encode()
    except (csv.Error, UnicodeEncodeError) as error:
        raise _no_header(f"line 1 cannot be read: {error}") from error
    if not names:
        raise _no_header("the file is empty")
    for name in names:
        if not name or names.count(name) > 1:
            what = f"two columns are named `{name}`" if name else "a column has no name"
            raise _no_header(f"{what} in line 1")
    return names, _csv_lines(stream, names, delimiter)


def read_ndjson(stream: TextIO) -> Iterator[Line]:
    """Read one JSON object a line; blank lines are passed over."""
    number = 0
    while text := stream.readline(LINE_CHARS_MAX + 1):
        number += 1
        original = [text.rstrip("\r\n")]
        if len(text) > LINE_CHARS_MAX and not text.endswith("\n"):
            while (rest := stream.readline(LINE_CHARS_MAX)) and not rest.endswith("\n"):
                pass
            yield Line(number, {}, original, f"it is longer than {LINE_CHARS_MAX} characters")
            continue
        if text.isspace():
            continue
        try:
            yield Line(number, _named(original[0]), original)
        except (ValueError, RecursionError) as error:
            yield Line(number, {}, original, _unreadable(error))


def _csv_lines(stream: TextIO, names: Sequence[str], delimiter: str) -> Iterator[Line]:
    cells = csv.reader(stream, delimiter=delimiter, strict=True)
    while True:
        number = cells.line_num + 2
        try:
            row = next(cells, None)
        except csv.Error as error:
            yield Line(number, {}, [], f"it is no CSV: {error}")
            continue
        if row is None:
            return
        if not row:
            continue
        if len(row) != len(names):
            counts = f"it has {len(row)} cells where the header has {len(names)}"
            yield Line(number, {}, row, counts)
            continue
        values = {
            name: cell
            for name, cell in zip(names, row, strict=True)
            if cell and not name.startswith(REFUSED_PREFIX)
        }
        try:
            "".join(row).encode()
        except UnicodeEncodeError as error:
            yield Line(number, {}, row, _unreadable(error))
            continue
        yield Line(number, values, row)


def _named(text: str) -> dict[str, str]:
    """Flatten a JSON object. Numbers stay the text that they are in the file."""
    text.encode()
    found = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 - bad input, not a bad call.
    values: dict[str, str] = {}
    _flatten("", found, values, 0)
    return values


def _flatten(path: str, found: Any, values: dict[str, str], depth: int) -> None:  # noqa: ANN401
    if depth > DEPTH_MAX:
        raise ValueError(f"it is nested deeper than {DEPTH_MAX}")
    if isinstance(found, dict | list):
        pairs = found.items() if isinstance(found, dict) else enumerate(found)
        for name, value in pairs:
            _flatten(f"{path}.{name}" if path else str(name), value, values, depth + 1)
    elif isinstance(found, bool):
        values[path] = "true" if found else "false"
    elif found:
        found.encode()
        values[path] = found


def _unreadable(error: Exception) -> str:
    if isinstance(error, UnicodeError):
        return "it is not UTF-8"
    if isinstance(error, json.JSONDecodeError):
        return f"it is no JSON: {error.msg} at character {error.colno}"
    if isinstance(error, RecursionError):
        return f"it is nested deeper than {DEPTH_MAX}"
    return str(error)


def _no_header(why: str) -> Refused:
    return Refused(
        f"This is no CSV of scans: {why}. The first line names the columns, at least "
        f"tracking_number, type and scan_time.",
        reason="NO_HEADER",
    )
