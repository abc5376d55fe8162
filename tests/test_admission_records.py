"""Admission: what a good scan becomes, and every rule of a batch."""

from typing import Any

import pytest

from ledger.errors import Refused, TooLarge
from ledger.event import BATCH_SCANS_MAX, timestamp_ns
from ledger.numbers import KEY_FORM, filing_key
from ledger.v1.log_record_pb2 import LogRecord
from ledger.v1.raw_pb2 import RawScan
from ledger.v1.scan_event_pb2 import ScanEvent
from tests.ingest_traffic import (
    NOW_NS,
    SCAN_SECONDS,
    SOURCE,
    SPOOL,
    admitted,
    an_encoded_event,
    record_of,
)

OTHER = {"tracking_number": "other-1", "source_id": SOURCE, "event_id": bytes(16), "kind": 1}


class TestRecords:
    def test_a_record_says_everything_once(self) -> None:
        """The envelope holds what batch, clock and filing say, beside the event's own bytes."""
        event = an_encoded_event(
            7, tracking_number="rr 123-456", containment={"direction": 1, "container_number": "t-1"}
        )
        record = record_of(event, first_sequence=41)

        assert record == LogRecord(
            event=event,
            tracking_key=b"RR123456",
            key_form=KEY_FORM,
            scan_time_ns=timestamp_ns(ScanEvent.FromString(event).scan_time),
            event_id=(7).to_bytes(16, "big"),
            source_id=SOURCE,
            spool_id=SPOOL,
            sequence=41,
            send_time_ns=NOW_NS,
            record_time_ns=NOW_NS,
            principal="anonymous",
            container_key=b"T1",
            container_key_form=KEY_FORM,
            containment_direction=1,
        )
        assert record.scan_time_ns // 10**9 == SCAN_SECONDS

    def test_an_unnumbered_record_has_neither_spool_nor_sequence(self) -> None:
        """First sequence 0 leaves both empty for every scan of the batch."""
        result = admitted(
            an_encoded_event(1), an_encoded_event(2), first_sequence=None, spool_id=None
        )
        for group in result.groups.values():
            for value in group.records:
                record = LogRecord.FromString(value)
                assert (record.spool_id, record.sequence) == (b"", 0)

    def test_a_correction_is_filed_with_what_it_corrects(self) -> None:
        """Its own tracking number does not decide where it goes."""
        record = record_of(
            an_encoded_event(type=39, correction={**OTHER, "kind": 1, "tracking_number": "other-1"})
        )

        assert record.tracking_key == filing_key("other-1")

    def test_an_emptied_container_has_a_direction_and_no_key(self) -> None:
        """The event's own item is the container."""
        record = record_of(an_encoded_event(containment={"direction": 3}))

        assert (record.containment_direction, record.container_key) == (3, b"")
        assert record.container_key_form == 0


class TestBatches:
    @pytest.mark.parametrize(
        ("changes", "field", "reason"),
        [
            ({"source_id": None}, "batch.source_id", "SOURCE_REQUIRED"),
            ({"source_id": "s" * 129}, "batch.source_id", "SOURCE_TOO_LONG"),
            ({"source_id": "gate\n17"}, "batch.source_id", "SOURCE_MALFORMED"),
            ({"spool_id": bytes(15)}, "batch.spool_id", "SPOOL_ID_LENGTH"),
            ({"spool_id": None}, "batch.spool_id", "SPOOL_ID_LENGTH"),
            ({"first_sequence": None}, "batch.spool_id", "SPOOL_ID_LENGTH"),
            ({"first_sequence": 2**64 - 1}, "batch.first_sequence", "SEQUENCE_OUT_OF_RANGE"),
            ({"scans": None}, "batch.scans", "BATCH_SCANS"),
            ({"scans": [RawScan()] * (BATCH_SCANS_MAX + 1)}, "batch.scans", "BATCH_SCANS"),
            ({"send_time": None}, "batch.send_time", "SEND_TIME_REQUIRED"),
            ({"send_time": {"seconds": -1}}, "batch.send_time", "SEND_TIME_OUT_OF_RANGE"),
            ({"send_time": {"nanos": -1}}, "batch.send_time", "SEND_TIME_OUT_OF_RANGE"),
        ],
        ids=str,
    )
    def test_a_batch_that_breaks_a_rule_is_refused_whole(
        self, changes: dict[str, Any], field: str, reason: str
    ) -> None:
        """The error names the field and the reason."""
        with pytest.raises(Refused) as refused:
            admitted(an_encoded_event(), **changes)

        assert (refused.value.field, refused.value.reason) == (field, reason)

    def test_a_batch_over_a_mebibyte_is_too_large(self) -> None:
        """The size of the encoded batch decides, not the number of scans."""
        scans = [RawScan(event=b"x" * 4_000)] * 270
        with pytest.raises(TooLarge) as refused:
            admitted(scans=scans)

        assert refused.value.reason == "BATCH_TOO_LARGE"

    def test_the_largest_batch_is_taken(self) -> None:
        """2,000 scans and the highest sequence are within the rules."""
        events = [an_encoded_event(number) for number in range(BATCH_SCANS_MAX)]
        result = admitted(*events, first_sequence=2**63 - BATCH_SCANS_MAX)

        assert sum(len(group.indexes) for group in result.groups.values()) == BATCH_SCANS_MAX
