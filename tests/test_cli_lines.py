"""Lines of files as scan events: names, values, times, ids, and what is wrong with a bad line."""

import hashlib
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
from ledger.app.lines import DEPTH_MAX, LINE_CHARS_MAX, Line, line_event_id, open_csv, read_ndjson
from ledger.errors import Refused
from ledger.v1 import scan_event_pb2 as pb


def csv_lines(text: str) -> list[Line]:
    """Read a CSV."""
    return list(open_csv(io.StringIO(text, newline=""))[-1])


def ndjson_lines(text: str) -> list[Line]:
    """Read NDJSON."""
    return list(read_ndjson(io.StringIO(text, newline="\n")))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_csv_comes_in_its_usual_forms(delimiter: str, newline: str) -> None:
    """Comma, semicolon or tab, with or without a byte order mark, quotes where they are needed."""
    rows = ["\ufefftracking_number, type ,place", 'RR1,SORTED,"A ""B"""', "", "RR2,,C"]
    text = newline.join(row.replace(",", delimiter) for row in rows)

    first, second = csv_lines(text)
    assert first == Line(
        2,
        {"tracking_number": "RR1", "type": "SORTED", "place": 'A "B"'},
        ["RR1", "SORTED", 'A "B"'],
    )
    assert second == Line(4, {"tracking_number": "RR2", "place": "C"}, ["RR2", "", "C"])


def test_a_bad_line_of_csv_harms_no_other() -> None:
    """Too few cells, too many, broken quotes, no UTF-8: each is said, with its line."""
    text = 'a,b\n1\n1,2,3\n"x"y,2\n\udcff,2\n1,2\n'

    lines = csv_lines(text)

    assert [line.number for line in lines] == [2, 3, 4, 5, 6]
    assert [bool(line.problem) for line in lines] == [True, True, True, True, False]
    assert [line.original for line in lines[:3]] == [["1"], ["1,2,3"], ['"x"y,2']]
    assert lines[3].problem == "it is not UTF-8"
    assert lines[-1].values == {"a": "1", "b": "2"}


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("at", [0, 1_500, 2_999])
@pytest.mark.parametrize("bad", ['"1,2', '1,"2', '1",2', '1,2"', '"1,""2'])
def test_a_stray_quote_takes_its_own_line_alone(bad: str, at: int, newline: str) -> None:
    """In the first line, a middle one and the last one: all others are read, and it stays as is."""
    rows = [f'{n},"x, ""{n}"""' for n in range(3_000)]
    rows[at] = bad

    lines = csv_lines(newline.join(["a,b", *rows]))

    assert [line.number for line in lines] == list(range(2, 3_002))
    assert [n for n, line in enumerate(lines) if line.problem] == [at]
    assert "double quotes" in lines[at].problem
    assert lines[at].original == [bad]
    for n, line in enumerate(lines):
        assert n == at or line.values == {"a": str(n), "b": f'x, "{n}"'}


def test_a_line_break_in_a_cell_is_said_and_neither_half_is_a_line() -> None:
    """Also the second half is refused, though it may have as many cells as the header."""
    first, second, good = csv_lines('a,b\n1,"x\ny",2\n3,4\n')

    assert "line break" in first.problem
    assert "line break" in second.problem
    assert (first.original, second.original) == (['1,"x'], ['y",2'])
    assert (good.number, good.values) == (4, {"a": "3", "b": "4"})


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "chars", [n * LINE_CHARS_MAX + more for n in (1, 2) for more in range(-1, 4)]
)
def test_a_line_of_csv_has_a_longest_length(chars: int, newline: str) -> None:
    """As long as it may be it is read; longer, it is refused and not kept whole. Both ends count
    as one, wherever a reading is cut.
    """
    lines = csv_lines(newline.join(["a,b", "x" * (chars - 2) + ",2", "3,4", ""]))

    assert [line.number for line in lines] == [2, 3]
    assert bool(lines[0].problem) == (chars > LINE_CHARS_MAX)
    assert len(lines[0].original[0]) <= LINE_CHARS_MAX + 1
    assert lines[1].values == {"a": "3", "b": "4"}


def test_an_endless_line_is_refused_at_the_end_of_the_file() -> None:
    """With an open quote in it, too."""
    [line] = csv_lines('a,b\n"' + "x" * 7 * LINE_CHARS_MAX)

    assert "longer than" in line.problem


@pytest.mark.parametrize(
    "text",
    [
        *("", "a,a\n", "a,,b\n", "\udcff,b\n", "\n", '"a,b\n1,2\n', 'a,"b\n', 'a",b\n'),
        "a," + "b" * LINE_CHARS_MAX + "\n",
    ],
)
def test_a_csv_without_a_header_is_refused(text: str) -> None:
    """Without names nothing can be read."""
    with pytest.raises(Refused, match="no CSV of scans"):
        csv_lines(text)


def test_a_file_of_refused_lines_can_be_sent_again() -> None:
    """The columns that say why are passed over, also for the id that is made from a line."""
    [line] = csv_lines("refused_line,refused_reason,tracking_number\n7,MALFORMED,RR1\n")

    assert line.values == {"tracking_number": "RR1"}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_line_that_was_refused_twice_loses_its_old_reasons(delimiter: str) -> None:
    """What stood in the first file is the original, whatever its old reasons have in them."""
    bad = 'RR1,"A'.replace(",", delimiter)
    rows = [
        "refused_line,refused_reason,tracking_number,place".replace(",", delimiter),
        f'7{delimiter}"why, ""and; \tmore"""{delimiter}{bad}',
        f"7{delimiter}no more",
    ]

    known, short = csv_lines("\n".join(rows))

    assert known.original == [bad]
    assert short.original == [rows[2]]


def test_ndjson_is_flattened_and_numbers_stay_text() -> None:
    """Inner names are joined by dots; 1.50 stays 1.50; null and empty text are no values."""
    text = '{"a": {"b": 1.50, "c": [{"d": true}, {"d": false}]}, "e": null, "f": "", "g": 1e3}'

    [line] = ndjson_lines(f"\n{text}\n")

    values = {"a.b": "1.50", "a.c.0.d": "true", "a.c.1.d": "false", "g": "1e3"}
    assert line == Line(2, values, [text])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[1]", "no JSON object"),
        ("{", "no JSON: "),
        ('{"a": "\udcff"}', "not UTF-8"),
        ('{"a": "\\ud800"}', "not UTF-8"),
        ('{"a": ' * (DEPTH_MAX + 2) + "1" + "}" * (DEPTH_MAX + 2), "nested deeper"),
        ('{"a": ' + "[" * 20_000 + "]" * 20_000 + "}", "nested deeper"),
        ('"' + "x" * LINE_CHARS_MAX * 3 + '"', "longer than"),
    ],
)
def test_a_bad_line_of_ndjson_harms_no_other(text: str, problem: str) -> None:
    """Whatever stands in a line, the next one is read."""
    bad, good = ndjson_lines(f'{text}\n{{"a": "1"}}\n')

    assert problem in bad.problem
    assert (good.number, good.values) == (2, {"a": "1"})


def test_the_id_of_a_line_follows_its_written_rule() -> None:
    """SHA-256 over the rule's name and, by sorted name, NUL, name, =, value: 16 bytes of it."""
    written = b"parcel-ledger/line/1\0a=1\0b=2"

    assert line_event_id({"b": "2", "a": "1"}) == hashlib.sha256(written).digest()[:16]


def test_the_id_of_a_line_hangs_on_what_it_says_alone() -> None:
    """Columns in another order or without a value change no id; another value does."""
    [one] = csv_lines("tracking_number,facility\nRR1,A\n")
    [same] = csv_lines("facility;operator;tracking_number\nA;;RR1\n")
    [other] = csv_lines("tracking_number,facility\nRR1,B\n")

    assert line_event_id(one.values) == line_event_id(same.values) != line_event_id(other.values)


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
        [line] = ndjson_lines(text)

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
