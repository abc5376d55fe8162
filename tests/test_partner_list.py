"""Rows of partners' lists as events: their ids, and their times in any zone and on any night."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.app.partner_format import IDENTITY, PartnerFormat
from ledger.app.partner_list import PartnerList
from ledger.app.partner_time import LOCAL_TIME, LOCAL_TIME_DOUBT, TimeRule, put_scan_time
from ledger.errors import Refused
from ledger.facilities import built_in
from ledger.v1 import scan_event_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Mapping

DEVICE = pb.UTC_OFFSET_SOURCE_DEVICE
FACILITY = pb.UTC_OFFSET_SOURCE_FACILITY
INFERRED = pb.UTC_OFFSET_SOURCE_INFERRED
UNKNOWN = pb.UTC_OFFSET_SOURCE_UNKNOWN
BERLIN = ZoneInfo("Europe/Berlin")
CAIRO = ZoneInfo("Africa/Cairo")  # Its clocks go forward at midnight.
ROW = {"no": "RR473124829GB", "code": "EMD", "time": "2026-07-01T12:00", "office": "DEFRAA"}


def partner(**fields: object) -> PartnerList:
    """A partner who writes such rows."""
    columns: dict[str, tuple[str, ...]] = {
        "tracking_number": ("no",),
        "source_code": ("code",),
        "scan_time": ("time",),
        "facility": ("office",),
        "source_text": ("text",),
    }
    usual: dict[str, Any] = {
        "kind": "csv",
        "records": (),
        "source": "",
        "columns": columns,
        "always": {"type": "UNMAPPED", "code_system": "upu-emsevt-3"},
        "identity": tuple(name for name in IDENTITY if name in columns),
        "several_items": False,
    }
    return PartnerList(PartnerFormat(**usual | fields), built_in())


def timed(text: str, facility: str = "", rule: TimeRule | None = None) -> pb.ScanEvent:
    """Give an event a time."""
    event = pb.ScanEvent(facility=facility)
    put_scan_time(event, text, rule or TimeRule(), built_in())
    return event


def test_a_row_is_an_event() -> None:
    """Codes as they came; the instant by the clocks of the office, and the event says so."""
    event = partner().event_of(ROW | {"other": "is passed over"})

    assert event.tracking_number == "RR473124829GB"
    assert (event.type, event.code_system, event.source_code) == (
        pb.SCAN_EVENT_TYPE_UNMAPPED,
        *("upu-emsevt-3", "EMD"),
    )
    assert event.scan_time.ToJsonString() == "2026-07-01T10:00:00Z"
    assert (event.utc_offset_minutes, event.utc_offset_source) == (120, FACILITY)
    assert not event.attributes


def test_a_row_that_comes_again_is_the_same_event() -> None:
    """Whatever stands in columns that are not read, and around the values."""
    one, again = partner().event_of(ROW), partner().event_of({"new": "x"} | ROW | {"code": " EMD "})

    assert again == one
    assert len(one.event_id) == 16


@pytest.mark.parametrize(
    "change", [{"no": "RR1"}, {"code": "EMF"}, {"time": "2026-07-01T12:01"}, {"office": "FRCDGA"}]
)
def test_another_event_has_another_id(change: Mapping[str, str]) -> None:
    """Number, code, time and facility make it another one."""
    assert partner().event_of({**ROW, **change}).event_id != partner().event_of(ROW).event_id


def test_another_text_is_the_same_event_told_otherwise() -> None:
    """The ledger shows both as a conflict, and does not count two events."""
    other = partner().event_of(ROW | {"text": "arrived"})

    assert other.event_id == partner().event_of(ROW).event_id
    assert other.source_text == "arrived"


@pytest.mark.parametrize(
    ("several", "hashed"),
    [
        (False, b"acme-wms\0MSG-2026-000017"),
        (True, b"acme-wms\0MSG-2026-000017\0RR473124829GB"),
    ],
)
def test_a_partners_own_id_makes_the_events_id(several: bool, hashed: bytes) -> None:
    """As docs/integrate.md says, so that a list and the API give one event."""
    sends = partner(
        columns={**partner().format.columns, "source_event_id": ("id",)},
        always={"type": "UNMAPPED", "code_system": "acme-wms"},
        identity=(),
        several_items=several,
    )
    event = sends.event_of(ROW | {"id": "MSG-2026-000017"})

    assert event.event_id == hashlib.sha256(hashed).digest()[:16]
    with pytest.raises(Refused) as caught:
        sends.event_of(ROW)
    assert caught.value.field == "source_event_id"


def test_the_source_is_of_the_row_or_of_the_format() -> None:
    """A column that happens to be called `source` is not taken for it."""
    by_row = partner(columns={**partner().format.columns, "source": ("who",)}, source="acme")

    assert by_row.source_of(ROW | {"who": "depot-7", "source": "x"}) == "depot-7"
    assert by_row.source_of(ROW) == "acme"
    assert partner().source_of(ROW | {"source": "x"}) == ""


@pytest.mark.parametrize(
    ("change", "field", "reason", "column"),
    [
        ({"time": "yesterday"}, "scan_time", "MALFORMED", "time"),
        ({"time": ""}, "scan_time", "REQUIRED", "time"),
        ({"time": "0001-01-01T00:00"}, "scan_time", "OUT_OF_RANGE", "time"),
        ({"time": "9999-12-31T23:59"}, "scan_time", "OUT_OF_RANGE", "time"),
        ({"office": "DEZZZZ"}, "facility", "ZONE_UNKNOWN", "office"),
        ({"office": ""}, "facility", "ZONE_UNKNOWN", "office"),
    ],
)
def test_a_bad_row_names_field_reason_and_column(
    change: Mapping[str, str], field: str, reason: str, column: str
) -> None:
    """Both names, since the partner knows only the column's."""
    with pytest.raises(Refused) as caught:
        partner().event_of({**ROW, **change})

    assert (caught.value.field, caught.value.reason) == (field, reason)
    assert f"Column: {column}." in caught.value.message


@pytest.mark.parametrize(
    ("text", "facility", "rule", "utc", "minutes", "source"),
    [
        ("2026-07-01T12:00", "DEFRAA", TimeRule(), "10:00:00Z", 120, FACILITY),
        ("2026-07-01 12:00:30.5", "INDELA", TimeRule(), "06:30:30.500Z", 330, FACILITY),
        ("2026-07-01T12:00+01:00", "DEFRAA", TimeRule(), "11:00:00Z", 60, DEVICE),
        ("2026-07-01T12:00Z", "DEFRAA", TimeRule(), "12:00:00Z", 120, FACILITY),
        ("2026-07-01T12:00Z", "", TimeRule(), "12:00:00Z", 0, UNKNOWN),
        ("2026-07-01T12:00Z", "", TimeRule(otherwise=BERLIN), "12:00:00Z", 120, INFERRED),
        ("2026-07-01T12:00", "X", TimeRule(otherwise=BERLIN), "10:00:00Z", 120, INFERRED),
        ("2026-07-01T12:00", "USJFKA", TimeRule(otherwise=BERLIN), "16:00:00Z", -240, FACILITY),
        ("2026-07-01T12:00", "USJFKA", TimeRule(zone=BERLIN), "10:00:00Z", -240, FACILITY),
        ("2026-07-01T12:00", "", TimeRule(zone=BERLIN), "10:00:00Z", 120, INFERRED),
        ("2026-07-01T12:00", "USJFKA", TimeRule(zone=UTC), "12:00:00Z", -240, FACILITY),
        ("2026-07-01T12:00", "", TimeRule(zone=UTC), "12:00:00Z", 0, UNKNOWN),
        ("7/1/2026 12:00 PM", "USJFKA", TimeRule("%m/%d/%Y %I:%M %p"), "16:00:00Z", -240, FACILITY),
        ("01.07.26 12:00 -0530", "", TimeRule("%d.%m.%y %H:%M %z"), "17:30:00Z", -330, DEVICE),
        ("01.07.26 12:00Z", "DEFRAA", TimeRule("%d.%m.%y %H:%M%z"), "12:00:00Z", 120, FACILITY),
        ("01.07.26 12:00Z", "", TimeRule("%d.%m.%y %H:%M%z"), "12:00:00Z", 0, UNKNOWN),
    ],
)
def test_a_time_gets_its_instant_and_says_how(  # noqa: PLR0917 - a table's columns.
    text: str,
    facility: str,
    rule: TimeRule,
    utc: str,
    minutes: int,
    source: pb.UtcOffsetSource.ValueType,
) -> None:
    """By what it says itself, else by the format's zone, else by its facility."""
    event = timed(text, facility, rule)

    assert event.scan_time.ToJsonString() == f"2026-07-01T{utc}"
    assert (event.utc_offset_minutes, event.utc_offset_source) == (minutes, source)


@pytest.mark.parametrize(
    ("text", "facility", "utc", "minutes", "doubt"),
    [
        ("2025-10-26T02:30", "DEFRAA", "2025-10-26T00:30:00Z", 120, "AMBIGUOUS"),
        ("2025-10-26T03:00", "DEFRAA", "2025-10-26T02:00:00Z", 60, ""),
        ("2025-03-30T02:15", "DEFRAA", "2025-03-30T01:15:00Z", 120, "SKIPPED"),
        ("2025-11-02T01:59", "USJFKA", "2025-11-02T05:59:00Z", -240, "AMBIGUOUS"),
        ("2025-03-09T02:00", "USJFKA", "2025-03-09T07:00:00Z", -240, "SKIPPED"),
        ("2025-10-26T02:30", "INDELA", "2025-10-25T21:00:00Z", 330, ""),
        ("2025-10-26T02:30+01:00", "DEFRAA", "2025-10-26T01:30:00Z", 60, ""),
    ],
)
def test_a_time_in_doubt_is_taken_and_marked(
    text: str, facility: str, utc: str, minutes: int, doubt: str
) -> None:
    """The event keeps what the partner wrote, and why it names no single instant."""
    event = timed(text, facility)
    kept = {one.name: one.value for one in event.attributes}

    assert event.scan_time.ToJsonString() == utc
    assert event.utc_offset_minutes == minutes
    assert kept == ({LOCAL_TIME: text, LOCAL_TIME_DOUBT: doubt} if doubt else {})


@pytest.mark.parametrize(
    ("text", "rule", "facility", "utc", "minutes", "source"),
    [
        ("2026-07-01", TimeRule(), "USJFKA", "2026-07-01T04:00:00Z", -240, FACILITY),
        ("01.07.2026", TimeRule("%d.%m.%Y"), "JPTYOA", "2026-06-30T15:00:00Z", 540, FACILITY),
        ("2026-07-01", TimeRule(zone=BERLIN), "USJFKA", "2026-06-30T22:00:00Z", 120, INFERRED),
        ("2026-07-01", TimeRule(zone=UTC), "USJFKA", "2026-07-01T00:00:00Z", 0, UNKNOWN),
        ("2026-04-24", TimeRule(zone=CAIRO), "", "2026-04-23T21:00:00Z", 180, INFERRED),
        ("2026-07-01", TimeRule(otherwise=BERLIN), "X", "2026-06-30T22:00:00Z", 120, INFERRED),
    ],
)
def test_a_date_alone_is_midnight_where_it_was_written(  # noqa: PLR0917 - a table's columns.
    text: str,
    rule: TimeRule,
    facility: str,
    utc: str,
    minutes: int,
    source: pb.UtcOffsetSource.ValueType,
) -> None:
    """As the wire wants it: 00:00 of that date at the offset that stands beside it."""
    event = timed(text, facility, rule)

    assert event.date_only
    assert event.scan_time.ToJsonString() == utc
    assert (event.utc_offset_minutes, event.utc_offset_source) == (minutes, source)


@given(
    st.integers(0, 7_258_118_399 - 86_400),
    st.sampled_from(["DEFRAA", "USJFKA", "AUSYDA", "INDELA", "BRRIOE", "NZAKLA"]),
)
def test_what_an_office_writes_is_when_it_was(seconds: int, code: str) -> None:
    """An office that writes its wall clock is understood: exactly, or, in the hour that is there
    twice, an hour too early and marked. Nothing else is marked.
    """
    facility = built_in().get(code)
    assert facility is not None
    wall = facility.local_time(seconds).replace(tzinfo=None)

    event = timed(wall.isoformat(), code)

    late_s = seconds - event.scan_time.seconds
    assert late_s in {0, 3_600}
    assert bool(late_s) <= bool(event.attributes)
    shown = datetime(1970, 1, 1) + timedelta(
        seconds=event.scan_time.seconds, minutes=event.utc_offset_minutes
    )
    assert shown == wall
    assert not event.attributes or event.attributes[1].value == "AMBIGUOUS"
