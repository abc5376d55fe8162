"""The file of facilities: CSV, one row each. Every fault names its line, its field and the reason.

id,name,role,address,postal_code,city,country,latitude,longitude,time_zone,opening_hours
"""

from __future__ import annotations

import csv
import math
import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.errors import Refused
from ledger.facilities.directory import Directory
from ledger.facilities.facility import (
    ADDRESS_LINES_MAX,
    ID_BYTES_MAX,
    POSTAL_CODE_BYTES_MAX,
    TEXT_BYTES_MAX,
    Facility,
    Role,
)
from ledger.facilities.hours import parse_hours
from ledger.facilities.local_time import zone_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from ledger.facilities.hours import Hours

FILE_BYTES_MAX: Final = 32 << 20
"""Most bytes of a file: three times the largest network of post offices there is."""

COLUMNS: Final = (
    *("id", "name", "role", "address", "postal_code", "city", "country"),
    *("latitude", "longitude", "time_zone", "opening_hours"),
)
"""All columns, in any order."""

REQUIRED: Final = ("id", "name", "role", "country", "latitude", "longitude", "time_zone")
"""Columns that must be there, and filled in each row."""

_COUNTRY: Final = re.compile(r"[A-Z]{2}")


class Fault(NamedTuple):
    """What is wrong with a file, and where."""

    line: int
    """From 1."""
    field: str
    """The column; empty where it is the whole line."""
    message: str

    def __str__(self) -> str:
        at = f"line {self.line}, {self.field}" if self.field else f"line {self.line}"
        return f"{at}: {self.message}"


class _Faulty(Exception):
    """A value that cannot be."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@cache
def built_in() -> Directory:
    """Give the facilities that come with the program. A fault in them is an error of it."""
    return _read((files("ledger.facilities") / "data" / "facilities.csv").read_bytes(), "built in")


def load_facilities(path: Path | None) -> Directory:
    """Give the facilities of a file, or those that are built in.

    Raises Refused, with line, field and reason, for a file that cannot be used.
    """
    if path is None:
        return built_in()
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise Refused(
            f"The facilities {path} cannot be read: {error.strerror}.",
            reason="FACILITIES_UNREADABLE",
            field=str(path),
        ) from error
    return _read(data, str(path))


def check_facilities(data: bytes) -> Directory | Sequence[Fault]:
    """Read facilities, or give all that is wrong with them, line by line."""
    if len(data) > FILE_BYTES_MAX:
        return [Fault(1, "", f"The file has over {FILE_BYTES_MAX:,} bytes, which is the most.")]
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return [Fault(line, "", f"Byte {error.start:,} is not UTF-8.")]
    faults: list[Fault] = []
    facilities = list(_facilities(text.splitlines(), faults))
    if not facilities and not faults:
        faults.append(Fault(1, "", "There is no row: the file has no facility."))
    return faults or Directory(facilities)


def _read(data: bytes, name: str) -> Directory:
    found = check_facilities(data)
    if isinstance(found, Directory):
        return found
    more = f" (and {len(found) - 1:,} more)" if len(found) > 1 else ""
    raise Refused(
        f"The facilities {name} cannot be used: {found[0]}{more} `parcel-ledger facility check` "
        f"shows all.",
        reason="FACILITIES_FAULTY",
        field=name,
        metadata={"line": str(found[0].line), "column": found[0].field},
    )


def _facilities(lines: Sequence[str], faults: list[Fault]) -> Iterator[Facility]:
    columns: list[str] = []
    first: dict[str, int] = {}
    # A row is one line: whoever is shown a line number finds the row there.
    for line, text in enumerate(lines, 1):
        if not text.strip(" ,") or text.lstrip('"').startswith("#"):
            continue
        try:
            cells = next(csv.reader([text], strict=True))
            if columns:
                facility = _facility(_row(columns, cells))
                _note(first, facility.id, line)
                yield facility
            else:
                columns = _columns(cells)
        except csv.Error as error:
            faults.append(Fault(line, "", f"This is no CSV: {error}."))
        except _Faulty as fault:
            faults.append(Fault(line, fault.field, str(fault)))
        if not columns:
            return


def _note(first: dict[str, int], facility_id: str, line: int) -> None:
    """Note in which line a code is. Raises _Faulty where it was before."""
    if first.setdefault(facility_id, line) != line:
        raise _Faulty("id", f"`{facility_id}` is in line {first[facility_id]} already.")


def _columns(cells: Sequence[str]) -> list[str]:
    columns = [cell.strip().lower() for cell in cells]
    for column in columns:
        if column not in COLUMNS:
            raise _Faulty(column, f"There is no such column; there are {', '.join(COLUMNS)}.")
        if columns.count(column) > 1:
            raise _Faulty(column, "The column is there twice.")
    for column in REQUIRED:
        if column not in columns:
            raise _Faulty(column, "The column is missing.")
    return columns


def _row(columns: Sequence[str], cells: Sequence[str]) -> Mapping[str, str]:
    if len(cells) != len(columns):
        raise _Faulty("", f"There are {len(cells)} values for {len(columns)} columns.")
    row = dict.fromkeys(COLUMNS, "") | dict(zip(columns, map(str.strip, cells), strict=True))
    for column in REQUIRED:
        if not row[column]:
            raise _Faulty(column, "It is empty.")
    for column, value in row.items():
        if not value.isprintable():
            raise _Faulty(column, "It has a character that cannot be printed.")
    return row


def _facility(row: Mapping[str, str]) -> Facility:
    address = [line.strip() for line in row["address"].split("|") if line.strip()]
    if len(address) > ADDRESS_LINES_MAX:
        raise _Faulty("address", f"It has {len(address)} lines; at most {ADDRESS_LINES_MAX}.")
    if not _COUNTRY.fullmatch(row["country"]):
        raise _Faulty("country", f"`{row['country']}` is not two capital letters.")
    if row["role"] not in Role.__members__:
        raise _Faulty("role", f"`{row['role']}` is no role; there are {', '.join(Role)}.")
    return Facility(
        id=_short(row, "id", ID_BYTES_MAX),
        name=_short(row, "name", TEXT_BYTES_MAX),
        role=Role(row["role"]),
        address=tuple(_short({"address": line}, "address", TEXT_BYTES_MAX) for line in address),
        postal_code=_short(row, "postal_code", POSTAL_CODE_BYTES_MAX),
        city=_short(row, "city", TEXT_BYTES_MAX),
        country=row["country"],
        latitude=_degrees(row, "latitude", 90),
        longitude=_degrees(row, "longitude", 180),
        time_zone=_zone(row["time_zone"]),
        hours=_hours(row["opening_hours"]),
    )


def _short(row: Mapping[str, str], column: str, bytes_max: int) -> str:
    if len(row[column].encode()) > bytes_max:
        raise _Faulty(column, f"It has more than {bytes_max} bytes.")
    return row[column]


def _degrees(row: Mapping[str, str], column: str, most: int) -> float:
    try:
        degrees = float(row[column])
    except ValueError:
        degrees = math.nan
    if not -most <= degrees <= most:
        raise _Faulty(column, f"`{row[column]}` is no number of degrees from -{most} to {most}.")
    return degrees


def _zone(key: str) -> str:
    try:
        zone_of(key)
    except ValueError:
        raise _Faulty(
            "time_zone", f"`{key}` is no time zone of the IANA list, such as Europe/Berlin."
        ) from None
    return key


def _hours(text: str) -> Hours | None:
    try:
        return parse_hours(text) if text else None
    except ValueError as error:
        raise _Faulty("opening_hours", f"{error}.") from None
