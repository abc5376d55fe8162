"""`parcel-ledger facility`, and facilities by name in `trail` and `watch`."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.app.exits import DONE, FAILED, REFUSED
from ledger.app.facility_render import opening_words, role_words
from ledger.app.place_render import known_of, local_time, place_of
from ledger.facilities.file import COLUMNS
from ledger.v1 import facility_service_pb2 as service
from ledger.v1 import scan_event_pb2 as pb
from ledger.v1.facility_pb2 import Facility, FacilityRole
from tests.shells import Said, ledger_up, typed

if TYPE_CHECKING:
    from pathlib import Path

HEAD = f"{','.join(COLUMNS)}\n"
ROW = "SHED-9,Shed nine,PICKUP_POINT,Lane 1,60313,Frankfurt,DE,50.1,8.6,Europe/Berlin,24/7\n"
GOOD = HEAD + ROW
BAD = GOOD.replace("PICKUP_POINT", "SHED").replace("24/7", "always")
KNOWN = known_of(
    [
        Facility(facility_id="A", name="Lyon Bellecour", city="Lyon", country="FR"),
        Facility(facility_id="B", name="Hub", city="Köln", country="DE", time_zone="Europe/Berlin"),
        Facility(facility_id="C", name="Moon", time_zone="Moon/Tycho"),
    ]
)
NOON = Timestamp(seconds=1_772_366_400)  # 2026-03-01T12:00:00Z


class TestCheck:
    def test_a_good_file_is_said_to_be_one(self, tmp_path: Path) -> None:
        """With how much it has."""
        file = tmp_path / "own.csv"
        file.write_text(GOOD)

        assert typed("facility", "check", file) == Said(
            DONE, f"{file}: facilities 1, countries 1.\n", ""
        )
        document = json.loads(typed("facility", "check", file, "--json").answer)
        assert document == {"facilities": 1, "countries": 1, "faults": []}

    def test_every_fault_is_one_line(self, tmp_path: Path) -> None:
        """File, line, field and reason; the exit code says that it is refused."""
        file = tmp_path / "own.csv"
        file.write_text(GOOD + BAD.splitlines()[1] + "\nx,y\n")

        said = typed("facility", "check", file)
        document = json.loads(typed("facility", "check", file, "--json").answer)

        assert said.code == REFUSED
        lines = said.answer.splitlines()
        assert lines[0].startswith(f"{file}:3: role: `SHED` is no role")
        assert lines[1] == f"{file}:4: There are 2 values for 11 columns."
        assert [(one["line"], one["field"]) for one in document["faults"]] == [(3, "role"), (4, "")]

    def test_a_file_that_is_not_there_is_said(self, tmp_path: Path) -> None:
        """With exit code 2: nothing was tested."""
        assert typed("facility", "check", tmp_path / "none.csv").code == FAILED

    def test_a_process_does_not_start_with_a_bad_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The one line names file, line, field and reason; no folder is made."""
        (tmp_path / "own.csv").write_text(BAD)
        monkeypatch.setenv("PARCEL_LEDGER_FACILITIES", str(tmp_path / "own.csv"))

        said = typed("up", "--data", tmp_path / "data", "--listen", "127.0.0.1:0", "--metrics", "")

        assert said.code == FAILED
        assert "own.csv cannot be used: line 2, role: `SHED` is no role" in said.remark
        assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("place", ["Frankfurt", "50.1", "50.1,8.6,3", "60313", "D-60313"])
def test_a_place_that_is_none_is_said(place: str) -> None:
    """With both ways to say one; no ledger is asked."""
    said = typed("facility", "near", place, "--server", "127.0.0.1:1")

    assert said.code == FAILED
    assert "is no place" in said.remark


@pytest.mark.parametrize(
    ("flags", "remark"),
    [(("--most", "0"), "--most"), (("--at", "2026-03-28T08:30:00"), "UTC offset")],
)
def test_a_flag_that_cannot_be_is_said(flags: tuple[str, str], remark: str) -> None:
    """In one line."""
    said = typed("facility", "near", "DE-60313", *flags, "--server", "127.0.0.1:1")

    assert said.code == FAILED
    assert remark in said.remark


@pytest.mark.parametrize(
    ("facility", "place", "text"),
    [
        ("A", {}, "A · Lyon Bellecour, FR"),
        ("B", {}, "B · Hub, Köln, DE"),
        ("Z", {}, "Z"),
        ("A", {"city": "Elsewhere"}, "A · Elsewhere"),
        ("", {}, ""),
    ],
)
def test_a_facility_is_shown_by_name_and_place(
    facility: str, place: dict[str, str], text: str
) -> None:
    """Beside its code; what the scan itself says of the place goes before, and an unknown one is
    its code.
    """
    event = pb.ScanEvent(facility=facility, place=pb.Place(**place))

    assert place_of(event, KNOWN) == text


@pytest.mark.parametrize(
    ("facility", "fields", "text"),
    [
        ("B", {}, "2026-03-01 13:00:00 +01:00"),
        ("A", {}, "2026-03-01 12:00:00 UTC?"),
        ("C", {}, "2026-03-01 12:00:00 UTC?"),
        ("Z", {}, "2026-03-01 12:00:00 UTC?"),
        ("B", {"date_only": True}, "2026-03-01 UTC?"),
        ("B", {"utc_offset_source": 1, "utc_offset_minutes": -60}, "2026-03-01 11:00:00 -01:00"),
    ],
)
def test_a_local_time_is_by_the_facility_where_the_scan_has_none(
    facility: str, fields: dict[str, object], text: str
) -> None:
    """What the scan says itself stands; a date alone is not moved into another day."""
    event = pb.ScanEvent(facility=facility, scan_time=NOON, **fields)  # type: ignore[arg-type]

    assert local_time(event, KNOWN) == text


def test_every_state_of_opening_has_its_words() -> None:
    """In the facility's own local time, with the day of the week; also without a next change."""
    time_there = {"open_time": NOON, "open_utc_offset_minutes": 330}
    words = [
        opening_words(service.NearbyFacility(opening_state=state, **fields)).plain  # type: ignore[arg-type]
        for state, fields in [
            (0, {}),
            (1, {}),
            (1, {"close_time": NOON, "close_utc_offset_minutes": -60}),
            (2, {}),
            (2, time_there),
            (3, {}),
        ]
    ]

    assert words == [
        "not known",
        "open",
        "open until Su 2026-03-01 11:00 -01:00",
        "closed",
        "closed, opens Su 2026-03-01 17:30 +05:30",
        "not for the public",
    ]


def test_every_role_has_its_words() -> None:
    """Also one that a newer ledger has."""
    assert role_words(FacilityRole.FACILITY_ROLE_POST_OFFICE) == "post office"
    assert role_words(77) == "role 77"


@pytest.mark.slow
def test_offices_and_trails_from_a_running_ledger(tmp_path: Path) -> None:
    """The nearest offices as a table and as JSON, over several pages; a trail shows names and
    places, and JSON has them beside the entries.
    """
    (tmp_path / "scans.csv").write_text(
        "tracking_number,type,scan_time,facility\n"
        "RR473124829GB,ARRIVED,2026-03-01T09:00:00+01:00,DEFRAA\n"
        "RR473124829GB,ARRIVED,2026-03-02T09:00:00Z,USJFKA\n"
        "RR473124829GB,ARRIVED,2026-03-03T09:00:00+01:00,SHED-9\n"
    )
    with ledger_up(tmp_path) as ledger:
        server = ("--server", ledger.address)
        typed("send", tmp_path / "scans.csv", "--source", "s", *server)
        until_s = time.monotonic() + 20
        while ledger.records() < 3 and time.monotonic() < until_s:
            time.sleep(0.05)
        said = typed(
            *("facility", "near", "DE-60313", "--most", "2"),
            *("--at", "2026-03-27T19:00:00+01:00", *server),
        )
        south = typed("facility", "near", "-33.8678,151.2076", "--json", *server)
        many = typed("facility", "near", "50,8", "--most", "1000", "--json", *server)
        sorting = typed(
            *("facility", "near", "50.11,8.68", "--role", "sorting-centre"),
            *("--within-km", "30", *server),
        )
        unknown = typed("facility", "near", "DE-99999", *server)
        nothing = typed("facility", "near", "0,0", "--within-km", "1", *server)
        trail = typed("trail", "RR473124829GB", *server)
        document = json.loads(typed("trail", "RR473124829GB", "--json", *server).answer)

    origin, _, header, first, second = said.answer.splitlines()
    assert origin == (
        "Around 50.1150, 8.6840, the middle of 1 facility with postcodes that begin with 60313."
    )
    assert header.split()[:2] == ["distance", "facility"]
    assert first.startswith("  0.0 km  DE60313   Frankfurt Innenstadt")
    assert "closed, opens Sa 2026-03-28 09:00 +01:00" in first
    assert second.split()[2] == "DE50667"
    found = json.loads(south.answer)["facilities"]
    assert [one["facility"]["facility_id"] for one in found[:2]] == ["AU2000", "AU2012"]
    assert len(json.loads(many.answer)["facilities"]) > 40
    assert "Rodgau parcel centre" in sorting.answer
    assert unknown.code == REFUSED
    assert "Ask with a position" in unknown.remark
    assert nothing.answer.endswith("There is no facility.\n")
    assert (
        "DEFRAA · Frankfurt airport international postal centre, Frankfurt am Main, DE"
        in trail.answer
    )
    assert "2026-03-02 04:00:00 -05:00" in trail.answer
    assert "SHED-9 " in trail.answer
    assert [one["facility_id"] for one in document["facilities"]] == ["DEFRAA", "USJFKA"]
    assert len(document["entries"]) == 3
