"""A trail from rows: each event once, in order, whatever the rows went through before."""

from __future__ import annotations

import pytest

from ledger.errors import Diverged
from ledger.event import split_order
from ledger.facilities import Directory
from ledger.numbers import filing_key
from ledger.position import Position, pack_position, unpack_position
from ledger.trail_store import StoredRow
from ledger.v1.log_record_pb2 import Alias, LogRecord
from ledger.v1.raw_pb2 import RawListScanEventsResponse
from ledger.v1.scan_event_pb2 import Correction, CorrectionKind, ScanEvent, UtcOffsetSource
from ledger.v1.trail_service_pb2 import ClockFlag, ListScanEventsResponse, TrailEntry
from ledger.vocabulary import built_in
from query.answers import fill
from query.trail import (
    Entry,
    Pin,
    below,
    limits_of,
    trail_of,
)
from tests.rows import row_of
from tests.trails import NUMBER, SECOND, START_S, Arrival, event_id, row, scan, timestamp

KEY = filing_key(NUMBER)


def rows_of(arrivals: list[Arrival]) -> list[StoredRow]:
    """Make the rows of events that arrive in this order, one second apart."""
    stored = []
    for index, arrival in enumerate(arrivals):
        record_time_ns = (START_S + index) * SECOND
        made = row(arrival, Position(1, 3, index), record_time_ns=record_time_ns)
        stored.append(StoredRow(made.order, made.record))
    return stored


def trail(*arrivals: Arrival | ScanEvent) -> list[Entry]:
    """Make the trail of events that arrive in this order."""
    given_arrivals = [a if isinstance(a, Arrival) else Arrival(a) for a in arrivals]
    return trail_of([(KEY, rows_of(given_arrivals))])


def shown(entries: list[Entry], *, full: bool = False) -> list[TrailEntry]:
    """Read entries as a client does."""
    out = RawListScanEventsResponse()
    count = fill(
        out,
        entries,
        mappings=built_in(),
        facilities=Directory(()),
        most=1_000,
        bytes_max=1 << 20,
        full=full,
    )
    assert count == len(entries)
    return list(ListScanEventsResponse.FromString(out.SerializeToString()).entries)


def indexes(entries: list[Entry]) -> list[int]:
    """Give the indexes of entries in their partition."""
    return [unpack_position(entry.position).index for entry in entries]


def correcting(
    name: str, target: str, *, source: str = "scanner-1", minute: float = 9
) -> ScanEvent:
    """Make an event that corrects another one."""
    return scan(
        name,
        minute=minute,
        correction=Correction(
            tracking_number=NUMBER,
            source_id=source,
            event_id=event_id(target),
            kind=CorrectionKind.CORRECTION_KIND_INCORRECT_DATA,
        ),
    )


class TestCopies:
    def test_equal_copies_are_one_entry(self) -> None:
        """A retry that reached the log twice is one entry at the lowest position, and counted."""
        a = scan("a")

        [entry] = shown(trail(scan("a"), a, a))

        assert entry.event == a
        assert entry.position.index == 0
        assert entry.marks.duplicate_count == 2
        assert not entry.marks.conflict

    def test_the_lowest_position_stands_for_all(self) -> None:
        """Position, record time and record are those of the copy that came first."""
        rows = rows_of([Arrival(scan("a")), Arrival(scan("a"))])

        [entry] = shown(trail_of([(KEY, rows[::-1])]), full=True)

        assert entry.position.index == 0
        assert entry.record_time.seconds == START_S
        assert entry.log_record == rows[0].record

    def test_other_content_is_a_conflict(self) -> None:
        """The same identity with other content stays, all versions marked, copies counted."""
        versions = [scan("a", facility="ZRH"), scan("a", facility="BSL"), scan("a", facility="ZRH")]

        entries = shown(trail(*versions))

        assert [entry.event.facility for entry in entries] == ["ZRH", "BSL"]
        assert [entry.marks.conflict for entry in entries] == [True, True]
        assert [entry.marks.duplicate_count for entry in entries] == [1, 0]

    def test_other_personal_data_is_a_conflict(self) -> None:
        """Sealed personal data is content: where it differs the events are not equal."""
        entries = trail(Arrival(scan("a"), sealed=b"1"), Arrival(scan("a"), sealed=b"2"))

        assert [entry.conflict for entry in entries] == [True, True]

    def test_sources_do_not_share_ids(self) -> None:
        """The same event id from another source is another event."""
        entries = trail(Arrival(scan("a"), "scanner-1"), Arrival(scan("a"), "scanner-2"))

        assert len(entries) == 2
        assert not any(entry.conflict or entry.duplicates for entry in entries)

    def test_identity_is_judged_over_all_keys_of_an_item(self) -> None:
        """Equal events under different keys are copies: one was filed again by another rule."""
        rows = rows_of([Arrival(scan("a")), Arrival(scan("a"))])

        entries = trail_of([(b"ONE", rows[:1]), (b"TWO", rows[1:])])

        assert [entry.duplicates for entry in entries] == [1]


class TestCorrections:
    def test_both_ends_are_marked(self) -> None:
        """A correction is marked as one; its target names it; both are shown."""
        entries = shown(trail(scan("a"), correcting("c", "a")))

        assert [entry.marks.corrected for entry in entries] == [True, False]
        assert [entry.marks.correction for entry in entries] == [False, True]
        assert [at.index for at in entries[0].marks.corrected_by] == [1]

    def test_a_correction_may_come_first(self) -> None:
        """The order of arrival does not matter."""
        entries = trail(correcting("c", "a"), scan("a"))

        assert entries[0].corrected_by == [entries[1].position]

    def test_all_versions_of_a_conflict_are_corrected(self) -> None:
        """A correction names an identity, so it corrects every version of it."""
        entries = trail(scan("a", facility="A"), scan("a", facility="B"), correcting("c", "a"))

        assert [len(entry.corrected_by) for entry in entries] == [1, 1, 0]

    def test_other_sources_are_left_alone(self) -> None:
        """The target is named by source and event id."""
        entries = trail(scan("a"), correcting("c", "a", source="scanner-2"))

        assert not any(entry.corrected_by for entry in entries)
        assert entries[1].correction

    def test_an_event_cannot_correct_itself(self) -> None:
        """What names itself corrects nothing."""
        [entry] = trail(correcting("a", "a"))

        assert not entry.correction
        assert not entry.corrected_by

    def test_a_correction_is_found_in_unusual_encodings(self) -> None:
        """A tag that was written longer than needed does not hide a correction."""
        event = correcting("c", "a").SerializeToString()
        at = event.rindex(b"\x8a\x02")
        longer = event[:at] + b"\x8a\x82\x00" + event[at + 2 :]
        assert ScanEvent.FromString(longer).HasField("correction")
        [made, plain] = rows_of([Arrival(correcting("c", "a")), Arrival(scan("a"))])
        record = LogRecord.FromString(made.record)
        record.event = longer

        entries = trail_of([(KEY, [StoredRow(made.order, record.SerializeToString()), plain])])

        assert [bool(entry.corrected_by) for entry in entries] == [True, False]


class TestFlags:
    @pytest.mark.parametrize(
        ("fields", "flags"),
        [
            ({}, []),
            ({"minute": -START_S / 60}, ["NEVER_SET"]),
            ({"minute": 6}, ["AHEAD"]),
            ({"minute": 5}, []),
            ({"minute": -60 * 24}, []),
            ({"minute": -60 * 24 - 1}, ["LATE"]),
            (
                {"utc_offset_source": UtcOffsetSource.UTC_OFFSET_SOURCE_UNKNOWN},
                ["OFFSET_ASSUMED"],
            ),
        ],
    )
    def test_odd_times_are_flagged(self, fields: dict[str, float], flags: list[str]) -> None:
        """What is odd about an event's times is said beside it."""
        [entry] = shown(trail(scan("a", **fields)))  # type: ignore[arg-type]

        assert [ClockFlag.Name(flag)[11:] for flag in entry.marks.clock_flags] == flags

    def test_a_skewed_sender_is_flagged(self) -> None:
        """A sender whose clock was off when it sent is named as such."""
        [entry] = shown(trail(Arrival(scan("a"), send_time_ns=(START_S - 301) * SECOND)))

        assert entry.marks.clock_flags == [ClockFlag.CLOCK_FLAG_SENDER_SKEWED]


class TestRows:
    def test_what_is_no_event_is_not_shown(self) -> None:
        """An alias, or a body that this version does not know, is no entry."""
        alias = LogRecord(
            alias=Alias(other_key=b"X", other_key_form=1, reason="r"),
            tracking_key=KEY,
            event_id=event_id("alias"),
        )
        unknown = LogRecord(tracking_key=KEY, event_id=event_id("unknown"))
        rows = [
            row_of(record, record.SerializeToString(), pack_position(1, 3, index))
            for index, record in enumerate([alias, unknown])
        ]

        assert not trail_of([(KEY, [StoredRow(made.order, made.record) for made in rows])])

    def test_an_unreadable_record_is_never_passed_over(self) -> None:
        """A broken row is an error: a trail without it would be a lie."""
        [good] = rows_of([Arrival(scan("a"))])

        with pytest.raises(Diverged):
            trail_of([(KEY, [good, StoredRow(good.order, b"\xff")])])

    def test_only_rows_below_the_pins_are_kept(self) -> None:
        """Pins bound each partition of each generation; one without a pin shows nothing."""
        limits = limits_of([Pin(1, 3, 2), Pin(2, 0, 1)])
        places = [(1, 3, 0), (1, 3, 1), (1, 3, 2), (1, 2, 0), (2, 0, 0), (2, 0, 1), (3, 3, 0)]
        rows = [
            row(Arrival(scan(place)), Position(*place), record_time_ns=START_S * SECOND)
            for place in places
        ]

        kept = below([StoredRow(made.order, made.record) for made in rows], limits)

        found = [unpack_position(split_order(made.order).position) for made in kept]
        assert found == [Position(1, 3, 0), Position(1, 3, 1), Position(2, 0, 0)]


def test_times_on_the_wire_are_exact() -> None:
    """Record times go out to the nanosecond."""
    made = row(Arrival(scan("a")), Position(1, 3, 0), record_time_ns=START_S * SECOND + 7)

    [entry] = shown(trail_of([(KEY, [StoredRow(made.order, made.record)])]))

    assert entry.record_time == timestamp(START_S * SECOND + 7)
