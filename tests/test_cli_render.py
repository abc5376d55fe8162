"""What a person sees: events, times, marks and progress, as text."""

import io

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console, RenderableType

from ledger.app.place_render import local_time, place_of
from ledger.app.render import (
    CLOCK_WORDS,
    CODE_WORDS,
    NUMBER_WORDS,
    durability_words,
    marks_of,
    printable,
    progress_table,
    trail_table,
    utc_time,
    watched_line,
    what_of,
)
from ledger.v1 import scan_event_pb2 as pb
from ledger.v1.ingest_service_pb2 import Durability
from ledger.v1.position_pb2 import Position
from ledger.v1.progress_service_pb2 import PartitionProgress
from ledger.v1.trail_service_pb2 import ClockFlag, EntryMarks, NumberFlag, TrailEntry
from ledger.v1.vocabulary_pb2 import CodeFlag

NOON = Timestamp(seconds=1_772_366_400)  # 2026-03-01T12:00:00Z


def shown(what: RenderableType, width: int = 200) -> str:
    """Print as a terminal without colours would show it."""
    file = io.StringIO()
    Console(file=file, width=width, color_system=None).print(what)
    return file.getvalue()


KEY = "RR473124829GB"


def entry(event: pb.ScanEvent, **marks: object) -> TrailEntry:
    """Make an entry as the ledger sends it."""
    return TrailEntry(
        event=event,
        position=Position(log="scans", generation=1, partition=3, index=7),
        record_time=Timestamp(seconds=NOON.seconds + 1, nanos=250_000_000),
        source_id="scanner-7",
        tracking_key=KEY,
        marks=EntryMarks(**marks),  # type: ignore[arg-type] # Any marks.
    )


DELIVERED = pb.ScanEvent(
    type=pb.SCAN_EVENT_TYPE_DELIVERED,
    scan_time=NOON,
    utc_offset_minutes=60,
    utc_offset_source=pb.UTC_OFFSET_SOURCE_DEVICE,
    facility="DE-10115",
    device="handheld-12",
    delivery_mode=pb.DELIVERY_MODE_MAILBOX,
)


@pytest.mark.parametrize(
    ("minutes", "source", "date_only", "text"),
    [
        (60, pb.UTC_OFFSET_SOURCE_DEVICE, False, "2026-03-01 13:00:00 +01:00"),
        (-570, pb.UTC_OFFSET_SOURCE_FACILITY, False, "2026-03-01 02:30:00 -09:30"),
        (0, pb.UTC_OFFSET_SOURCE_DEVICE, False, "2026-03-01 12:00:00 +00:00"),
        (60, pb.UTC_OFFSET_SOURCE_UNKNOWN, False, "2026-03-01 12:00:00 UTC?"),
        (60, pb.UTC_OFFSET_SOURCE_UNSPECIFIED, False, "2026-03-01 12:00:00 UTC?"),
        (780, pb.UTC_OFFSET_SOURCE_DEVICE, True, "2026-03-02 +13:00"),
    ],
)
def test_a_time_is_shown_where_it_was(
    minutes: int, source: pb.UtcOffsetSource.ValueType, date_only: bool, text: str
) -> None:
    """Local time and its offset; where nobody knows the offset, UTC with a question mark."""
    event = pb.ScanEvent(
        scan_time=NOON, utc_offset_minutes=minutes, utc_offset_source=source, date_only=date_only
    )

    assert local_time(event) == text


@pytest.mark.parametrize("seconds", [0, 7_258_118_399])
@pytest.mark.parametrize("minutes", [-1_080, 1_080])
def test_every_time_that_is_taken_can_be_shown(seconds: int, minutes: int) -> None:
    """Also before 1970 and after 2199, where an offset leads there."""
    event = pb.ScanEvent(
        scan_time=Timestamp(seconds=seconds),
        utc_offset_minutes=minutes,
        utc_offset_source=pb.UTC_OFFSET_SOURCE_DEVICE,
    )

    assert local_time(event).endswith("18:00")


def test_the_ledgers_own_times_are_utc() -> None:
    """With milliseconds, since scans are recorded thousands a second."""
    assert utc_time(Timestamp(seconds=0, nanos=999_999_999)) == "1970-01-01 00:00:00.999Z"


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (DELIVERED, "delivered (mailbox)"),
        (
            pb.ScanEvent(
                type=pb.SCAN_EVENT_TYPE_DELIVERY_ATTEMPTED,
                reason=pb.EVENT_REASON_NOBODY_HOME,
                action=pb.EVENT_ACTION_NOTICE_LEFT,
            ),
            "delivery attempted (nobody home, notice left)",
        ),
        (
            pb.ScanEvent(type=pb.SCAN_EVENT_TYPE_DEPARTED, next_facility="US-60290"),
            "departed → US-60290",
        ),
        (
            pb.ScanEvent(
                type=pb.SCAN_EVENT_TYPE_CONTAINERED,
                containment=pb.Containment(
                    direction=pb.CONTAINMENT_DIRECTION_IN, container_number="0034"
                ),
            ),
            "containered (in 0034)",
        ),
        (
            pb.ScanEvent(
                type=pb.SCAN_EVENT_TYPE_CORRECTION,
                correction=pb.Correction(
                    kind=pb.CORRECTION_KIND_DID_NOT_OCCUR, event_id=bytes(range(16))
                ),
            ),
            "correction (did not occur 00010203…)",
        ),
        (
            pb.ScanEvent(
                type=pb.SCAN_EVENT_TYPE_UNMAPPED, code_system="usps", source_code="\x1b[2J"
            ),
            "usps \\x1b[2J",
        ),
        (pb.ScanEvent(type=pb.ScanEventType.ValueType(99)), "type 99"),
        (
            pb.ScanEvent(
                type=pb.SCAN_EVENT_TYPE_CUSTOMS_HELD,
                reason=pb.EventReason.ValueType(999),
                customs_direction=pb.CUSTOMS_DIRECTION_IMPORT,
            ),
            "customs held (reason 999, import)",
        ),
    ],
)
def test_an_event_says_what_matters_of_it(event: pb.ScanEvent, text: str) -> None:
    """The event, why, how, and where to; values of later versions by their number."""
    assert what_of(event) == text


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (DELIVERED, "DE-10115"),
        (pb.ScanEvent(place=pb.Place(city="Berlin", country="DE")), "Berlin, DE"),
        (
            pb.ScanEvent(position=pb.GeoPosition(latitude=52.5, longitude=-13.25)),
            "52.5000, -13.2500",
        ),
        (pb.ScanEvent(position=pb.GeoPosition()), "0.0000, 0.0000"),
        (pb.ScanEvent(), ""),
    ],
)
def test_a_place_is_as_exact_as_can_be(event: pb.ScanEvent, text: str) -> None:
    """Facility, place in words, position; 0, 0 is a place like any other."""
    assert place_of(event) == text


def test_marks_are_words() -> None:
    """All of them at once, and every clock flag that there is has its words."""
    marks = EntryMarks(
        duplicate_count=2,
        conflict=True,
        corrected=True,
        correction=True,
        inherited_from="003",
        clock_flags=[ClockFlag.CLOCK_FLAG_LATE, ClockFlag.ValueType(77)],
    )

    words = "CONFLICT, corrected, correction, +2 copies, from 003, recorded late, clock flag 77"
    assert marks_of(marks).plain == words
    assert marks_of(EntryMarks(duplicate_count=1)).plain == "+1 copy"
    assert set(CLOCK_WORDS) == set(ClockFlag.values()) - {0}


def test_nothing_that_a_scan_says_is_obeyed_by_the_terminal() -> None:
    """Escapes, bells and reversed text are shown, in every column."""
    evil = "\x1b[31m\x07\u202ex"
    event = pb.ScanEvent(
        facility=evil,
        device=evil,
        next_facility=evil,
        containment=pb.Containment(container_number=evil),
        place=pb.Place(city=evil),
    )
    one = entry(event, inherited_from=evil)
    one.source_id = evil

    for text in (shown(trail_table([one], recorded=True)), shown(watched_line(one, [KEY]))):
        assert not set(text) & {"\x1b", "\x07", "\u202e"}
    assert printable("Zürich\u00a0") == "Zürich\\xa0"


def test_markup_in_a_scan_is_text() -> None:
    """Square brackets are no commands to the renderer."""
    one = entry(pb.ScanEvent(facility="[red]x[/]", device="[/]"))

    for text in (shown(trail_table([one], recorded=False)), shown(watched_line(one, [KEY]))):
        assert "[red]x[/]" in text


def test_a_trail_is_a_table() -> None:
    """Time, event, place, device, source, marks; as recorded also when and where."""
    one = entry(DELIVERED, duplicate_count=1)

    header, line = shown(trail_table([one], recorded=False)).splitlines()
    assert header.split() == ["local", "time", "event", "place", "device", "source", "marks"]
    for part in ("2026-03-01 13:00:00 +01:00", "delivered (mailbox)", "DE-10115", "+1 copy"):
        assert part in line
    recorded = shown(trail_table([one], recorded=True))
    assert "2026-03-01 12:00:01.250Z" in recorded
    assert "scans-g1/3/7" in recorded


def test_a_watched_line_has_the_same_columns() -> None:
    """One line, whatever its length, with nothing behind its last word."""
    one = entry(DELIVERED)
    one.event.facility = "F" * 200

    line = shown(watched_line(one, [KEY]), width=1_000)
    assert line.split() == [
        *("2026-03-01", "13:00:00", "+01:00", "delivered", "(mailbox)"),
        *("F" * 200, "handheld-12", "scanner-7"),
    ]
    assert line == line.rstrip() + "\n"


def test_an_entry_under_another_key_says_so() -> None:
    """In a watch behind the source; in a trail in a column, which comes where there are several."""
    one = entry(DELIVERED, duplicate_count=1)

    line = shown(watched_line(one, ["ITEM1"]), width=1_000)
    assert line.endswith(f"filed under {KEY} +1 copy\n")
    header, row = shown(trail_table([one], recorded=False, with_keys=True)).splitlines()
    assert row[header.index("filed under") :].split()[0] == KEY


def test_progress_has_its_sums() -> None:
    """Per partition what is readable and settled, and the last line is all."""
    partitions = [
        PartitionProgress(
            partition=0, readable_index=1_500, settled_index=1_000, readable_record_time=NOON
        ),
        PartitionProgress(partition=1, readable_index=5, settled_index=5),
    ]
    for one in partitions:
        one.log, one.generation = "scans", 1

    _, first, second, sums = shown(progress_table(partitions)).splitlines()
    assert first.split() == [
        *("scans-g1", "0", "1,500", "1,000", "500", "2026-03-01", "12:00:00.000Z"),
    ]
    assert second.split() == ["scans-g1", "1", "5", "5"]
    assert sums.split() == ["all", "2", "1,505", "1,005", "500"]


def test_durable_is_said_in_words() -> None:
    """A durability of a later version is not guessed at."""
    assert durability_words(Durability.DURABILITY_SYNCED) == " (synced to disk)"
    assert not durability_words(Durability.ValueType(9))


def test_a_mapped_event_is_marked_as_such() -> None:
    """Its meaning stands where the event would, and the mark says whose word it is."""
    one = entry(pb.ScanEvent(type=pb.SCAN_EVENT_TYPE_UNMAPPED, code_system="usps", source_code="7"))
    unknown = shown(trail_table([one], recorded=False))
    one.mapped.type = pb.SCAN_EVENT_TYPE_ARRIVED
    one.mapped.facility_role = "DELIVERY_UNIT"
    one.mapped.action_required = True
    one.mapped.mapping, one.mapped.mapping_version = "usps", "4\x1b"
    one.marks.code_flags.append(CodeFlag.CODE_FLAG_REASON_MISSING)
    known = shown(trail_table([one], recorded=False))

    assert "usps 7" in unknown
    assert "no mapping" in unknown
    assert "arrived (delivery unit)" in known
    assert "mapped from usps 7 by usps 4\\x1b, action required, reason missing" in known


def test_every_flag_of_a_code_has_words() -> None:
    """None is shown by its number."""
    assert set(CODE_WORDS) == set(CodeFlag.values()) - {CodeFlag.CODE_FLAG_UNSPECIFIED}


def test_every_flag_of_a_number_has_words() -> None:
    """And they stand among the marks."""
    one = entry(pb.ScanEvent())
    one.marks.number_flags.extend(NUMBER_WORDS)

    assert set(NUMBER_WORDS) == set(NumberFlag.values()) - {NumberFlag.NUMBER_FLAG_UNSPECIFIED}
    assert "check digit wrong" in shown(trail_table([one], recorded=False))
