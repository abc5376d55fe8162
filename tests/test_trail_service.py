"""Trails over gRPC: listed, looked up in batches, bad questions answered as such."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.numbers import filing_key
from ledger.v1.log_record_pb2 import LogRecord
from ledger.v1.position_pb2 import Position as WirePosition
from ledger.v1.trail_service_pb2 import (
    ListScanEventsRequest,
    LookupStatus,
    TrailOrder,
    TrailView,
)
from tests.asking import asked, failing, listing
from tests.trails import (
    NUMBER,
    PARTITIONS,
    Shelf,
    at_minute,
    names,
    positions,
    scan,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.asking import Asked

FOUND = LookupStatus.LOOKUP_STATUS_FOUND
NOT_YET_SEEN = LookupStatus.LOOKUP_STATUS_NOT_YET_SEEN
OTHER = "RR987654326CH"
MINUTE = Duration(seconds=60, nanos=1)
BACK = Duration(nanos=-1)


class TestListing:
    async def test_a_trail_is_in_the_order_of_scan_time(self, door: Asked) -> None:
        """Events come in the order in which they happened, whatever the order of arrival."""
        events = [scan("c", minute=3), scan("a", minute=1), scan("b", minute=2)]
        await door.shelf.put(*events)

        answer = await door.list()

        assert names(answer.entries, "abc") == ["a", "b", "c"]
        assert [entry.event for entry in answer.entries] == [events[1], events[2], events[0]]
        assert answer.status == FOUND
        assert answer.tracking_keys == [NUMBER]
        assert not answer.next_page_token
        assert not answer.oversized

    @pytest.mark.parametrize(
        ("order", "descending", "expected"),
        [
            (TrailOrder.TRAIL_ORDER_SCAN_TIME, True, "cba"),
            (TrailOrder.TRAIL_ORDER_RECORDED, False, "cab"),
            (TrailOrder.TRAIL_ORDER_RECORDED, True, "bac"),
        ],
    )
    async def test_a_trail_comes_in_other_orders(
        self, door: Asked, order: TrailOrder.ValueType, descending: bool, expected: str
    ) -> None:
        """The order is by scan time or as recorded, first or last first."""
        await door.shelf.put(scan("c", minute=3), scan("a", minute=1), scan("b", minute=2))

        answer = await door.list(order=order, descending=descending)

        assert names(answer.entries, "abc") == list(expected)

    async def test_an_entry_says_where_it_is_from(self, door: Asked) -> None:
        """An entry has position, record time, source and key; the full view has the log record."""
        [position] = await door.shelf.put(scan("a"))

        answer = await door.list(view=TrailView.TRAIL_VIEW_FULL)

        [entry] = answer.entries
        record = LogRecord.FromString(entry.log_record)
        assert positions([entry]) == [position]
        assert entry.record_time.ToNanoseconds() == record.record_time_ns == door.shelf.now_ns
        assert entry.source_id == record.source_id == "scanner-1"
        assert entry.tracking_key.encode() == record.tracking_key == filing_key(NUMBER)
        assert record.event == entry.event.SerializeToString()

    async def test_the_basic_view_has_no_record(self, door: Asked) -> None:
        """Log records are sent only where they are asked for."""
        await door.shelf.put(scan("a"))

        answer = await door.list()

        assert not answer.entries[0].log_record

    async def test_unknown_fields_go_out_as_they_came(self, door: Asked) -> None:
        """A field that this version does not know reaches the reader to the byte."""
        event = scan("a")
        unknown = bytes.fromhex("c23e03666f6f")  # Field 1000, bytes, `foo`.
        event.MergeFromString(unknown)
        await door.shelf.put(event)

        answer = await door.list()

        assert answer.entries[0].event.SerializeToString() == event.SerializeToString()
        assert unknown in event.SerializeToString()

    async def test_a_number_may_be_written_in_any_way(self, door: Asked) -> None:
        """Spaces, small letters and barcode prefixes do not matter."""
        await door.shelf.put(scan("a"))

        answer = await door.trails.ListScanEvents(
            ListScanEventsRequest(tracking_number=" ]C1rr 1234 5678-5ch")
        )

        assert len(answer.entries) == 1

    async def test_what_was_never_scanned_is_empty(self, door: Asked) -> None:
        """A number without scans gives an empty, well-formed answer that says so."""
        await door.shelf.put(scan("a"))

        answer = await door.list(tracking_number=OTHER)

        assert answer.status == NOT_YET_SEEN
        assert answer.tracking_keys == [OTHER]
        assert not answer.entries
        assert not answer.next_page_token

    async def test_a_time_range_may_leave_nothing(self, door: Asked) -> None:
        """Start is included and end is not; a trail without events in the range is FOUND."""
        await door.shelf.put(scan("a", minute=1), scan("b", minute=2), scan("c", minute=3))

        async def ask(start: float, end: float) -> tuple[list[object], LookupStatus.ValueType]:
            answer = await door.list(start_time=at_minute(start), end_time=at_minute(end))
            return names(answer.entries, "abc"), answer.status

        assert await ask(1, 3) == (["a", "b"], FOUND)
        assert await ask(1.5, 3.5) == (["b", "c"], FOUND)
        assert await ask(7, 8) == ([], FOUND)

    async def test_marks_do_not_depend_on_the_range(self, door: Asked) -> None:
        """A conflict outside of the range is known inside of it."""
        await door.shelf.put(scan("a", minute=1), scan("a", minute=9))

        answer = await door.list(end_time=at_minute(2))

        assert [entry.marks.conflict for entry in answer.entries] == [True]

    async def test_nothing_is_shown_before_its_mark(self, door: Asked) -> None:
        """Rows that were kept, but not yet marked as readable, are not shown."""
        await door.shelf.put(scan("a"))
        await door.shelf.put(scan("b"), readable=False)

        answer = await door.list()

        assert names(answer.entries, "ab") == ["a"]

    async def test_generations_are_one_trail(self, tmp_path: Path) -> None:
        """Events of an earlier generation, with other partitions, are in the same trail."""
        async with asked(tmp_path / "ledger", generations={1: PARTITIONS, 2: PARTITIONS}) as door:
            await door.shelf.put(scan("a"))
            second = Shelf(door.shelf.store, generation=2)
            await second.put(scan("b", minute=1), scan("a"))

            answer = await door.list()

        assert [entry.position.generation for entry in answer.entries] == [1, 2]
        assert answer.entries[0].marks.duplicate_count == 1


@pytest.mark.parametrize(
    ("request_", "field", "reason"),
    [
        (listing(tracking_number=""), "tracking_number", "INVALID_NUMBER"),
        (listing(tracking_number=" - "), "tracking_number", "INVALID_NUMBER"),
        (listing(tracking_number="9" * 129), "tracking_number", "INVALID_NUMBER"),
        (listing(tracking_number="A\0B"), "tracking_number", "INVALID_NUMBER"),
        (listing(page_size=-1), "page_size", "PAGE_SIZE_NEGATIVE"),
        (listing(order=7), "order", "ENUM_UNKNOWN"),
        (listing(order=-1), "order", "ENUM_UNKNOWN"),
        (listing(view=7), "view", "ENUM_UNKNOWN"),
        (listing(start_time=Timestamp(nanos=-1)), "start_time", "TIME_OUT_OF_RANGE"),
        (listing(end_time=Timestamp(nanos=10**9)), "end_time", "TIME_OUT_OF_RANGE"),
        (listing(at_least=[WirePosition(log="scans")] * 65), "at_least", "TOO_MANY_POSITIONS"),
        (listing(at_least=[WirePosition(log="x")]), "at_least[0]", "NO_SUCH_POSITION"),
        (
            listing(at_least=[WirePosition(log="scans", generation=1, partition=PARTITIONS)]),
            "at_least[0]",
            "NO_SUCH_POSITION",
        ),
        (
            listing(at_least_timeout=MINUTE),
            "at_least_timeout",
            "TIMEOUT_OUT_OF_RANGE",
        ),
        (
            listing(at_least_timeout=BACK),
            "at_least_timeout",
            "TIMEOUT_OUT_OF_RANGE",
        ),
        (listing(include_inherited=True), "include_inherited", "INHERITED_NOT_AVAILABLE"),
    ],
)
async def test_a_bad_question_names_its_field(
    door: Asked, request_: ListScanEventsRequest, field: str, reason: str
) -> None:
    """What is wrong with a question is said by field and reason, and can be read by a program."""
    with failing() as failures:
        await door.trails.ListScanEvents(request_)

    expected = (
        grpc.StatusCode.FAILED_PRECONDITION
        if field == "include_inherited"
        else grpc.StatusCode.INVALID_ARGUMENT
    )
    assert (failures[0].code, failures[0].field, failures[0].reason) == (expected, field, reason)
    assert not failures[0].retry


@pytest.mark.parametrize(
    "method",
    ["ListScanEvents", "BatchGetTrails", "WatchTrail"],
)
async def test_bytes_that_are_no_request_are_refused(door: Asked, method: str) -> None:
    """What cannot be parsed is the sender's mistake, not an error of the server."""
    async with grpc.aio.insecure_channel(door.listen) as channel:
        ask: Any = channel.unary_stream(f"/ledger.v1.TrailService/{method}")  # Bytes to bytes.
        with failing() as failures:
            await ask(b"\x0a\x01\xff").read()

    assert failures[0].code is grpc.StatusCode.INVALID_ARGUMENT
    assert failures[0].reason == "REQUEST_UNREADABLE"
