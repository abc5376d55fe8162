"""A mapping as a file: CSV with a few named lines before it. Every fault names its line.

# code-system: acme
# version: 3
code,event,with,means
K1,DELIVERED,delivery_mode=LOCKER,into our locker
"""

from __future__ import annotations

import csv
import difflib
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from ledger.errors import Refused
from ledger.v1.scan_event_pb2 import ScanEventType
from ledger.vocabulary.canonical import CANONICAL, TYPE_PREFIX
from ledger.vocabulary.checks import check_rows
from ledger.vocabulary.mapping import (
    ATTRIBUTE,
    CONTAINMENT,
    ENUMS,
    TEXT,
    Condition,
    Flag,
    Mapping,
    Meaning,
    Row,
    Way,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FILE_BYTES_MAX: Final = 1 << 20
"""Most bytes of a file: some 10,000 rows, more codes than any carrier has."""

CODE_BYTES_MAX: Final = 64
"""Most bytes of a code, as on the wire."""

COLUMNS: Final = ("code", "reason", "action", "when", "event", "with", "way", "needs", "means")
"""All columns; `code` and `event` must be there, in any order."""

SYSTEM: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
"""How a code system is named in answers. Scans may name it in any case, or as `also` says."""

_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,31}")
_ROLE: Final = re.compile(r"[A-Z][A-Z_]{0,31}")
_ATTRIBUTE: Final = re.compile(r"attribute\.\S{1,64}")
_NAMED: Final = ("code-system", "version", "title", "also", "leading-zeros")
_SAID: Final = ("reason", "action", "delivery_mode", "customs_direction")


_Choice = TypeVar("_Choice", Way, Flag)


class Fault(NamedTuple):
    """What is wrong with a file, and where."""

    line: int
    """From 1; the last line where something is missing at all."""
    message: str


class _Faulty(Exception):
    """A row that cannot be read."""


def read_mapping(data: bytes, name: str) -> Mapping:
    """Read a mapping. Raises Refused with its first fault; `name` says which file it is."""
    found = check_mapping(data)
    if isinstance(found, Mapping):
        return found
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    raise Refused(
        f"The mapping {name} cannot be used: line {found[0].line}: {found[0].message}{more} "
        f"`parcel-ledger mapping check` shows all.",
        reason="MAPPING_FAULTY",
        field=name,
    )


def check_mapping(data: bytes) -> Mapping | Sequence[Fault]:
    """Read a mapping, or give all that is wrong with it, line by line."""
    if len(data) > FILE_BYTES_MAX:
        return [Fault(1, f"The file has {len(data):,} bytes, and may have {FILE_BYTES_MAX:,}.")]
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return [Fault(line, f"Byte {error.start:,} is not UTF-8.")]
    lines = text.splitlines()
    begin = next((i for i, line in enumerate(lines) if not _is_aside(line)), len(lines))
    faults: list[Fault] = []
    named = _named(lines[:begin], faults)
    rows = list(_rows(lines, begin, faults))
    if faults:
        return sorted(faults)
    mapping = Mapping(
        named["code-system"],
        named["version"],
        rows,
        title=named.get("title", ""),
        also=[name for name in map(_plain, named.get("also", "").split(",")) if name],
        ignores_zeros="leading-zeros" in named,
    )
    return sorted(Fault(*fault) for fault in check_rows(mapping)) or mapping


def _is_aside(line: str) -> bool:
    return line.lstrip('"').startswith("#") or not line.strip(" ,")


def _named(lines: Sequence[str], faults: list[Fault]) -> dict[str, str]:
    """Read the lines before the table. A spreadsheet leaves commas behind them."""
    named: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        name, colon, value = line.strip('", ').lstrip("#").strip().partition(":")
        if colon and name in _NAMED:
            if name in named:
                faults.append(Fault(number, f"`{name}` is said twice."))
            named[name] = value.strip()
            faults += [Fault(number, message) for message in _odd(name, named[name])]
    for name in ("code-system", "version"):
        if name not in named:
            faults.append(Fault(1, f"A line `# {name}: …` is missing before the table."))
    return named


def _plain(name: str) -> str:
    """Give a further name as it is compared. It may be any text: scans have what they have."""
    return name.strip().lower()


def _odd(name: str, value: str) -> Iterator[str]:
    """Say what is wrong with a named line."""
    if name == "code-system" and not SYSTEM.fullmatch(value):
        yield f"`{name}` is `{value}`; it has small letters, digits and . _ - (see `also`)."
    if name == "also" and any(
        len(one.strip().encode()) > CODE_BYTES_MAX for one in value.split(",")
    ):
        yield f"`{name}` has a name with more than {CODE_BYTES_MAX} bytes."
    if name == "version" and not _VERSION.fullmatch(value):
        yield f"`version` is `{value}`; it has at most 32 letters, digits and . _ + -"
    if name == "leading-zeros" and value != "ignored":
        yield f"`leading-zeros` is `{value}`; it is `ignored`, or is not said."


def _rows(lines: Sequence[str], begin: int, faults: list[Fault]) -> Iterator[Row]:
    reader = csv.reader(lines[begin:], strict=True)
    columns: list[str] = []
    row_count = 0
    while True:
        # Asked before the row: a quoted value may go over several lines.
        line = begin + reader.line_num + 1
        try:
            values = next(reader, None)
            if values is None:
                break
            if not any(value.strip() for value in values) or values[0].startswith("# "):
                continue
            if not columns:
                columns = _columns(values)
                continue
            row_count += 1
            yield _row(line, columns, values)
        except csv.Error as error:
            faults.append(Fault(line, f"This is no CSV: {error}."))
            return
        except _Faulty as fault:
            faults.append(Fault(line, str(fault)))
            if not columns:
                return
    if not row_count:
        faults.append(Fault(len(lines) or 1, "There is no row: the file maps nothing."))


def _columns(values: Sequence[str]) -> list[str]:
    columns = [value.strip().lower() for value in values]
    while columns and not columns[-1]:
        columns.pop()
    for column in columns:
        if column not in COLUMNS:
            raise _Faulty(f"There is no column `{column}`; there are {', '.join(COLUMNS)}.")
        if columns.count(column) > 1:
            raise _Faulty(f"The column `{column}` is there twice.")
    for column in ("code", "event"):
        if column not in columns:
            raise _Faulty(f"The column `{column}` is missing.")
    return columns


def _row(line: int, columns: Sequence[str], values: Sequence[str]) -> Row:
    if any(value.strip() for value in values[len(columns) :]):
        raise _Faulty(f"There are {len(values)} values for {len(columns)} columns.")
    cells = dict.fromkeys(COLUMNS, "") | dict(zip(columns, map(str.strip, values), strict=False))
    for column in ("code", "reason", "action"):
        if len(cells[column].encode()) > CODE_BYTES_MAX:
            raise _Faulty(f"`{column}` has more than {CODE_BYTES_MAX} bytes.")
    if not cells["code"]:
        raise _Faulty("`code` is empty.")
    return Row(
        line=line,
        code=cells["code"],
        reason=cells["reason"].upper(),
        action=cells["action"].upper(),
        when=tuple(_condition(*pair) for pair in _pairs("when", cells["when"])),
        meaning=_meaning(cells["event"], cells["with"]),
        way=_choice("way", cells["way"] or "both", Way),
        needs=tuple(_choice("needs", word, Flag) for word in cells["needs"].split()),
        means=cells["means"],
    )


def _choice(column: str, word: str, choices: type[_Choice]) -> _Choice:
    try:
        return choices(word)
    except ValueError:
        known = ", ".join(one.value for one in choices)
        raise _Faulty(f"`{column}` is `{word}`; it is one of {known}.") from None


def _pairs(column: str, text: str) -> Iterator[tuple[str, str]]:
    """Read `name=value; name=value`."""
    for part in filter(None, map(str.strip, text.split(";"))):
        name, equals, value = part.partition("=")
        if not equals or not value.strip():
            raise _Faulty(f"`{column}` has `{part}`; it reads name=value, with ; between several.")
        yield name.strip(), value.strip()


def _condition(name: str, value: str) -> Condition:
    if name == TEXT:
        return Condition(name, value.lower())
    if _ATTRIBUTE.fullmatch(name):
        return Condition(name, value)
    if name in ENUMS:
        return Condition(name, _number(name, value))
    known = ", ".join((*_SAID, CONTAINMENT, TEXT, f"{ATTRIBUTE}NAME"))
    raise _Faulty(f"`when` names `{name}`; it may name {known}.")


def _meaning(event: str, text: str) -> Meaning:
    names = {name.removeprefix(TYPE_PREFIX): n for name, n in ScanEventType.items()}
    number = names.get(event, 0)
    if number in {0, ScanEventType.SCAN_EVENT_TYPE_UNMAPPED}:
        events = [one.name for one in CANONICAL.values() if one.name != "UNMAPPED"]
        near = difflib.get_close_matches(event.upper(), events, n=1, cutoff=0)[0]
        raise _Faulty(f"`event` is `{event}`, no canonical event; the nearest one is {near}.")
    said: dict[str, Any] = {}
    for name, value in _pairs("with", text):
        if name in _SAID:
            said[name] = _number(name, value)
        elif name == "facility_role" and _ROLE.fullmatch(value):
            said[name] = value
        elif name == "action_required" and value == "yes":
            said[name] = True
        else:
            known = ", ".join((*_SAID, "facility_role=CAPITALS", "action_required=yes"))
            raise _Faulty(f"`with` has `{name}={value}`; it may have {known}.")
    return Meaning(number, **said)


def _number(name: str, value: str) -> int:
    enum = ENUMS[name]
    prefix = enum.values[0].name.removesuffix("UNSPECIFIED")
    known = {one.name.removeprefix(prefix): one.number for one in enum.values[1:]}
    if value not in known:
        raise _Faulty(f"`{name}` is `{value}`; it is one of {', '.join(known)}.")
    return known[value]
