"""The file of facilities: what is built in, and every fault with its line, its field and why."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from ledger.errors import Refused
from ledger.facilities import Directory, Fault, Role, built_in, check_facilities, load_facilities
from ledger.facilities.file import COLUMNS, FILE_BYTES_MAX, REQUIRED

if TYPE_CHECKING:
    from pathlib import Path

HEAD = ",".join(COLUMNS)
ROW = "F1,One,POST_OFFICE,A 1|Back,10115,Berlin,DE,52.5,13.4,Europe/Berlin,Mo-Fr 09:00-18:00"


def read(*rows: str, head: str = HEAD) -> Directory | list[Fault]:
    """Read a file of these rows."""
    found = check_facilities("\n".join([head, *rows, ""]).encode())
    return found if isinstance(found, Directory) else list(found)


def with_value(column: str, value: str) -> str:
    """Give the usual row with another value in one column."""
    cells = ROW.split(",")
    cells[COLUMNS.index(column)] = value
    return ",".join(cells)


def test_a_row_is_a_facility() -> None:
    """Every column arrives; an address has lines."""
    found = read(ROW)

    assert isinstance(found, Directory)
    facility = found.get("F1")
    assert facility is not None
    assert (facility.name, facility.role, facility.address) == (
        *("One", Role.POST_OFFICE),
        ("A 1", "Back"),
    )
    assert (facility.postal_code, facility.city, facility.country) == ("10115", "Berlin", "DE")
    assert (facility.latitude, facility.longitude) == (52.5, 13.4)
    assert facility.zone == ZoneInfo("Europe/Berlin")
    assert facility.whole.opening_hours == "Mo-Fr 09:00-18:00"
    assert facility.is_public


def test_what_is_optional_may_be_missing() -> None:
    """The columns that are required are enough, in any order, with remarks and empty lines."""
    head = "time_zone,longitude,latitude,country,role,name,id"
    found = read("# remark", "", "UTC,0,0,GH,LOCKER_,Null,N".replace("LOCKER_", "OTHER"), head=head)

    assert isinstance(found, Directory)
    assert found.get("N") is not None
    assert found.get("n") is None


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *((column, "") for column in REQUIRED),
        ("id", "F" * 65),
        ("id", "F\x1b1"),
        ("name", "é" * 65),
        ("role", "CASTLE"),
        ("role", "post_office"),
        ("address", "1|2|3|4|5"),
        ("address", "x" * 129),
        ("postal_code", "1" * 33),
        ("city", "x" * 129),
        ("country", "DEU"),
        ("country", "de"),
        ("latitude", "90.1"),
        ("latitude", "nan"),
        ("latitude", "52N"),
        ("longitude", "-180.1"),
        ("longitude", "inf"),
        ("time_zone", "Europe/Atlantis"),
        ("time_zone", "Europe"),
        ("time_zone", "CET"),
        ("time_zone", "../etc/passwd"),
        ("opening_hours", "daily"),
        ("opening_hours", "Mo-Fr 09:00-25:00"),
    ],
)
def test_a_bad_value_is_named(column: str, value: str) -> None:
    """By line, field and reason; the good rows around it are not."""
    found = read(ROW.replace("F1", "F0"), with_value(column, value), ROW.replace("F1", "F2"))

    assert isinstance(found, list)
    [fault] = found
    assert (fault.line, fault.field) == (3, column)
    assert fault.message


def test_all_faults_are_told_at_once() -> None:
    """In the order of their lines: a code that is there twice names its first line."""
    found = read(with_value("country", "x"), ROW, "F9,too,short", ROW, 'F8,"open')

    assert isinstance(found, list)
    assert [(fault.line, fault.field) for fault in found] == [
        (2, "country"),
        (4, ""),
        (5, "id"),
        (6, ""),
    ]
    assert "line 3" in found[2].message


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (b"", ""),
        (HEAD.encode(), ""),
        (b"id,name\nA,B\n", "role"),
        ((HEAD + ",planet\n").encode(), "planet"),
        ((HEAD + ",id\n").encode(), "id"),
        (HEAD.encode() + b"\n\xff\n", ""),
        (b"x" * (FILE_BYTES_MAX + 1), ""),
    ],
)
def test_a_file_that_is_none_is_said(data: bytes, field: str) -> None:
    """One fault, and no more for the same reason."""
    found = check_facilities(data)

    assert isinstance(found, list)
    assert [fault.field for fault in found] == [field]


def test_a_bad_file_is_refused_with_its_first_fault(tmp_path: Path) -> None:
    """As a process says it when it starts: file, line, field, reason, and where to see the rest."""
    path = tmp_path / "own.csv"
    path.write_text(f"{HEAD}\n{with_value('role', 'CASTLE')}\n{with_value('country', 'x')}\n")

    with pytest.raises(Refused) as caught:
        load_facilities(path)

    assert caught.value.reason == "FACILITIES_FAULTY"
    assert caught.value.metadata == {"line": "2", "column": "role"}
    assert f"{path} cannot be used: line 2, role: `CASTLE` is no role" in caught.value.message
    assert "1 more" in caught.value.message


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """Nobody is served from the built-in file unawares."""
    with pytest.raises(Refused, match="No such file"):
        load_facilities(tmp_path / "none.csv")


def test_an_own_file_stands_instead_of_the_built_in_one(tmp_path: Path) -> None:
    """What it has is known, and nothing else."""
    path = tmp_path / "own.csv"
    path.write_text(f"{HEAD}\n{ROW}\n")

    own = load_facilities(path)

    assert len(own) == 1
    assert own.get("DEFRAA") is None
    assert load_facilities(None).get("DEFRAA") is not None


def test_the_built_in_file_is_a_network() -> None:
    """Over a hundred facilities; offices have hours, and sorting centres serve no public."""
    known = built_in()

    assert len(known) > 100
    assert len({facility.country for facility in known.all}) >= 13
    for facility in known.all:
        assert facility.hours is not None, facility.id
        offices = {Role.POST_OFFICE, Role.DELIVERY_UNIT}
        assert facility.is_public == (facility.role in offices), facility.id
        assert facility.city, facility.id


def test_what_stands_beside_a_trail_is_small() -> None:
    """At most 500 bytes, also with the longest values: a page's size counts with that."""
    cells = ROW.split(",")
    for column, value in {"id": "i" * 64, "name": "n" * 128, "city": "c" * 128}.items():
        cells[COLUMNS.index(column)] = value
    cells[COLUMNS.index("time_zone")] = "America/Argentina/ComodRivadavia"
    found = read(",".join(cells))

    assert isinstance(found, Directory)
    assert found.all[0].brief.ByteSize() < 500
