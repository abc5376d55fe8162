"""Names and texts of a line as a scan event: fields, times, ids, and what is not understood."""

import io
import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf import json_format
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from ledger.app.event_fields import check_name, make_event, parse_time
from ledger.app.lines import read_ndjson
from ledger.errors import Refused
from ledger.v1 import scan_event_pb2 as pb


def event_of(*pairs: tuple[str, str]) -> pb.ScanEvent:
    """Make an event from names and values as CSV has them."""
    return make_event(dict(pairs), raw_is_text=True)


def test_every_short_name_and_value_finds_its_field() -> None:
    """Names of the proto file, short ones, dotted ones, and attributes with names of their own."""
    event_id = uuid.UUID(int=7)
    event = event_of(
        ("event_id", str(event_id)),
        ("tracking_number", " RR1 "),
        ("type", "out for-delivery"),
        ("latitude", "52.5"),
        ("longitude", "-13.4"),
        ("position.accuracy_meters", "3"),
        ("city", "Berlin"),
        ("place.country", "DE"),
        ("container_number", "003"),
        ("containment_direction", "in"),
        ("capture_method", "CAPTURE_METHOD_RFID"),
        ("delivery_mode", "77"),
        ("raw_barcode", "]C1é"),
        ("correction.event_id", event_id.hex),
        ("attachments.0.sha256", "00" * 32),
        ("attachments.0.kind", "photo"),
        ("expected_until_time", "1970-01-01T01:00:00.5+01:00"),
        ("attribute.weight kg", "1.2"),
        ("sourceCode", "A1"),
    )

    assert event == pb.ScanEvent(
        event_id=event_id.bytes,
        tracking_number=" RR1 ",
        type=pb.SCAN_EVENT_TYPE_OUT_FOR_DELIVERY,
        position=pb.GeoPosition(latitude=52.5, longitude=-13.4, accuracy_meters=3),
        place=pb.Place(city="Berlin", country="DE"),
        containment=pb.Containment(container_number="003", direction=pb.CONTAINMENT_DIRECTION_IN),
        capture_method=pb.CAPTURE_METHOD_RFID,
        delivery_mode=pb.DeliveryMode.ValueType(77),
        raw_barcode="]C1é".encode(),
        correction=pb.Correction(event_id=event_id.bytes),
        attachments=[pb.Attachment(sha256=bytes(32), kind=pb.ATTACHMENT_KIND_PHOTO)],
        expected_until_time=Timestamp(nanos=500_000_000),
        attributes=[pb.Attribute(name="weight kg", value="1.2")],
        source_code="A1",
    )


def test_the_json_of_an_event_is_read_back_to_the_same_event() -> None:
    """What the protobuf JSON mapping writes, in either spelling of names, is understood."""
    event = event_of(
        ("event_id", "0" * 32),
        ("tracking_number", "RR1"),
        ("type", "SORTED"),
        ("scan_time", "2026-03-01T14:05:00.25+01:00"),
        ("raw_barcode", "]C1RR1"),
        ("attachments.0.sha256", "ab" * 32),
        ("attributes.0.name", "a"),
        ("country", "DE"),
    )
    for spelled in (True, False):
        text = json.dumps(json_format.MessageToDict(event, preserving_proto_field_name=spelled))
        [line] = read_ndjson(io.StringIO(text))

        assert make_event(line.values, raw_is_text=False) == event


@pytest.mark.parametrize(
    ("text", "offset", "source", "seconds"),
    [
        ("1970-01-02T01:00:00+01:00", 60, pb.UTC_OFFSET_SOURCE_DEVICE, 86_400),
        ("1970-01-01 19:30:00 -0430", -270, pb.UTC_OFFSET_SOURCE_DEVICE, 86_400),
        ("1970-01-02T00:00+00:00", 0, pb.UTC_OFFSET_SOURCE_DEVICE, 86_400),
        ("1970-01-02T00:00:00Z", 0, pb.UTC_OFFSET_SOURCE_UNSPECIFIED, 86_400),
        ("1970-01-02t00:00:00-00:00", 0, pb.UTC_OFFSET_SOURCE_UNSPECIFIED, 86_400),
        ("1970-01-01T23:59:60Z", 0, pb.UTC_OFFSET_SOURCE_UNSPECIFIED, 86_400),
    ],
)
def test_a_time_tells_its_offset(text: str, offset: int, source: int, seconds: int) -> None:
    """An offset in the text is the device's; `Z` and -00:00 say that none is known."""
    event = event_of(("scan_time", text))

    assert event.scan_time.seconds == seconds
    assert event.utc_offset_minutes == offset
    assert event.utc_offset_source == source


def test_an_offset_of_its_own_wins() -> None:
    """A column for the offset makes a local time complete, and stands against the text's."""
    local = event_of(("scan_time", "1970-01-02T01:00:00"), ("utc_offset_minutes", "60"))
    both = event_of(("utc_offset_minutes", "60"), ("scan_time", "1970-01-02T00:00:00Z"))
    told = event_of(
        ("utc_offset_minutes", "60"),
        ("scan_time", "1970-01-02T00:00:00Z"),
        ("utc_offset_source", "facility"),
    )

    assert local == both
    assert local.scan_time.seconds == 86_400
    assert local.utc_offset_source == pb.UTC_OFFSET_SOURCE_DEVICE
    assert told.utc_offset_source == pb.UTC_OFFSET_SOURCE_FACILITY


def test_a_date_alone_is_midnight_where_it_was() -> None:
    """The event says that only the date is known."""
    event = event_of(("scan_time", "1970-01-02"), ("utc_offset_minutes", "60"))

    assert event.date_only
    assert event.scan_time.seconds == 86_400 - 3_600
    assert event_of(("scan_time", "1970-01-02")).scan_time.seconds == 86_400


@given(st.datetimes(timezones=st.timezones()))
def test_what_python_writes_is_read(moment: datetime) -> None:
    """Any ISO time with an offset of whole minutes gives the instant that it names."""
    offset = moment.utcoffset()
    assert offset is not None
    text = moment.isoformat()
    if offset % timedelta(minutes=1):
        with pytest.raises(Refused):
            parse_time("scan_time", text)
        return
    read = parse_time("scan_time", text)

    assert read.seconds == (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    assert read.nanos == moment.microsecond * 1_000


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("type", "SORTD"),
        ("scan_time", "yesterday"),
        ("scan_time", "2026-02-30T00:00:00Z"),
        ("scan_time", "2026-02-03T24:00:00Z"),
        ("scan_time", "2026-02-03T23:60:00Z"),
        ("scan_time", "0000-02-03T23:00:00Z"),
        ("scan_time", "2026-02-03T12:00:00"),
        ("expected_from_time", "2026-02-03T12:00:00"),
        ("latitude", "north"),
        ("utc_offset_minutes", "1.5"),
        ("utc_offset_minutes", "99999999999"),
        ("delivery_mode", "99999999999"),
        ("date_only", "maybe"),
        ("event_id", "not an id"),
        ("attributes.1.name", "no 0 before it"),
        ("attributes.101.name", "too many"),
        ("colour", "red"),
        ("place", "here"),
        ("attributes.name", "without an index"),
        ("scan_time.seconds", "1"),
        ("tracking_number.x", "1"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(name: str, text: str) -> None:
    """The field at fault is named, and what it should be."""
    with pytest.raises(Refused) as caught:
        event_of((name, text))

    assert caught.value.field == name
    assert f"`{name}`" in caught.value.message


@pytest.mark.parametrize(
    ("names", "nearest"),
    [(["source", "attribute.x", "city", "place.city"], ""), (["tracking"], "tracking_number")],
)
def test_a_column_is_known_or_the_nearest_one_is_named(names: Sequence[str], nearest: str) -> None:
    """A typing error in a header is found before anything is sent."""
    if not nearest:
        for name in names:
            check_name(name)
        return
    with pytest.raises(Refused, match=f"`{nearest}`"):
        check_name(names[0])
