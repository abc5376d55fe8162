"""Admission: every rule of a scan event, each broken alone in a batch of good ones."""

import math
from typing import Any

import pytest

from ingest.admission import admit
from ledger.event import EVENT_BYTES_MAX
from ledger.v1.ingest_service_pb2 import RefusalReason
from ledger.v1.raw_pb2 import RawScan
from ledger.v1.scan_event_pb2 import PersonalData
from tests.ingest_traffic import NOW_NS, SOURCE, a_batch, admitted, an_encoded_event, record_of

OTHER = {"tracking_number": "RR123456785DE", "source_id": SOURCE, "event_id": bytes(16)}
DAY = 86_400
UTC_MIDNIGHT = {"date_only": True, "scan_time": {"seconds": 20_000 * DAY}}
LOCAL_MIDNIGHT = {"date_only": True, "scan_time": {"seconds": 20_000 * DAY - 7_200}}

# Changes to a good event, the field at fault, the reason.
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"event_id": None}, "event_id", "REQUIRED"),
    ({"event_id": bytes(15)}, "event_id", "MALFORMED"),
    ({"event_id": bytes(17)}, "event_id", "MALFORMED"),
    ({"tracking_number": None}, "tracking_number", "REQUIRED"),
    ({"tracking_number": "9" * 129}, "tracking_number", "TOO_LONG"),
    ({"tracking_number": "RR1\0"}, "tracking_number", "MALFORMED"),
    ({"tracking_number": "RR1\n"}, "tracking_number", "MALFORMED"),
    ({"tracking_number": "RR1\x85"}, "tracking_number", "MALFORMED"),
    ({"tracking_number": " - \x1d"}, "tracking_number", "UNFILABLE_NUMBER"),
    ({"type": None}, "type", "ENUM"),
    ({"type": -1}, "type", "ENUM"),
    ({"symbology": -(2**31)}, "symbology", "ENUM"),
    ({"reason": -7}, "reason", "ENUM"),
    ({"scan_time": None}, "scan_time", "REQUIRED"),
    ({"scan_time": {"seconds": -1}}, "scan_time", "OUT_OF_RANGE"),
    ({"scan_time": {"seconds": 7_258_118_400}}, "scan_time", "OUT_OF_RANGE"),
    ({"scan_time": {"seconds": 2**63 - 1}}, "scan_time", "OUT_OF_RANGE"),
    ({"scan_time": {"seconds": 1, "nanos": -1}}, "scan_time", "MALFORMED"),
    ({"scan_time": {"seconds": 1, "nanos": 10**9}}, "scan_time", "MALFORMED"),
    ({"utc_offset_minutes": 1_081}, "utc_offset_minutes", "OUT_OF_RANGE"),
    ({"utc_offset_minutes": -1_081}, "utc_offset_minutes", "OUT_OF_RANGE"),
    ({"facility": "F" * 65}, "facility", "TOO_LONG"),
    ({"facility": "é" * 33}, "facility", "TOO_LONG"),
    ({"facility": "F\0"}, "facility", "MALFORMED"),
    ({"source_text": "x" * 513}, "source_text", "TOO_LONG"),
    ({"raw_barcode": bytes(4_097)}, "raw_barcode", "TOO_LONG"),
    ({"position": {"latitude": math.nan, "longitude": 1}}, "position.latitude", "OUT_OF_RANGE"),
    ({"position": {"latitude": 90.01, "longitude": 1}}, "position.latitude", "OUT_OF_RANGE"),
    ({"position": {"latitude": 1, "longitude": -math.inf}}, "position.longitude", "OUT_OF_RANGE"),
    ({"position": {"latitude": 1, "longitude": 180.5}}, "position.longitude", "OUT_OF_RANGE"),
    (
        {"position": {"latitude": 1, "longitude": 1, "accuracy_meters": -1}},
        "position.accuracy_meters",
        "OUT_OF_RANGE",
    ),
    (
        {"position": {"latitude": 1, "longitude": 1, "accuracy_meters": math.inf}},
        "position.accuracy_meters",
        "OUT_OF_RANGE",
    ),
    ({"date_only": True}, "date_only", "CONTRADICTION"),
    ({**LOCAL_MIDNIGHT, "utc_offset_source": 4}, "date_only", "CONTRADICTION"),
    ({**LOCAL_MIDNIGHT, "utc_offset_source": None}, "date_only", "CONTRADICTION"),
    ({**UTC_MIDNIGHT, "utc_offset_source": 77}, "date_only", "CONTRADICTION"),
    ({"type": 40, "source_code": "X"}, "code_system", "REQUIRED"),
    ({"type": 40, "code_system": "usps"}, "source_code", "REQUIRED"),
    ({"containment": {"container_number": "T1"}}, "containment.direction", "ENUM"),
    ({"containment": {"direction": -1}}, "containment.direction", "ENUM"),
    ({"containment": {"direction": 1}}, "containment.container_number", "REQUIRED"),
    ({"containment": {"direction": 2}}, "containment.container_number", "REQUIRED"),
    (
        {"containment": {"direction": 1, "container_number": "--"}},
        "containment.container_number",
        "UNFILABLE_NUMBER",
    ),
    (
        {"containment": {"direction": 3, "container_number": "T1"}},
        "containment.container_number",
        "CONTRADICTION",
    ),
    ({"type": 39}, "correction", "REQUIRED"),
    ({"type": 39, "correction": {**OTHER, "kind": 2}}, "correction.kind", "CONTRADICTION"),
    ({"correction": {**OTHER, "kind": 1}}, "correction.kind", "CONTRADICTION"),
    ({"correction": OTHER}, "correction.kind", "ENUM"),
    ({"correction": {**OTHER, "kind": -2}}, "correction.kind", "ENUM"),
    (
        {"correction": {**OTHER, "kind": 2, "tracking_number": ""}},
        "correction.tracking_number",
        "REQUIRED",
    ),
    ({"correction": {**OTHER, "kind": 2, "source_id": ""}}, "correction.source_id", "REQUIRED"),
    ({"correction": {**OTHER, "kind": 2, "event_id": b""}}, "correction.event_id", "REQUIRED"),
    ({"correction": {**OTHER, "kind": 2, "event_id": b"x"}}, "correction.event_id", "MALFORMED"),
    (
        {"expected_from_time": {"seconds": 9}, "expected_until_time": {"seconds": 8}},
        "expected_until_time",
        "CONTRADICTION",
    ),
    ({"expected_from_time": {"seconds": -9}}, "expected_from_time", "OUT_OF_RANGE"),
    ({"place": {"country": "de"}}, "place.country", "MALFORMED"),
    ({"place": {"country": "DEU"}}, "place.country", "TOO_LONG"),
    ({"place": {"city": "c" * 129}}, "place.city", "TOO_LONG"),
    ({"announced": {"origin_country": "D"}}, "announced.origin_country", "MALFORMED"),
    ({"announced": {"destination_country": "1A"}}, "announced.destination_country", "MALFORMED"),
    ({"attachments": [{"sha256": bytes(32)}, {}]}, "attachments[1].sha256", "REQUIRED"),
    ({"attachments": [{"sha256": bytes(31)}]}, "attachments[0].sha256", "MALFORMED"),
    ({"attachments": [{"sha256": bytes(32), "kind": -1}]}, "attachments[0].kind", "ENUM"),
    ({"attachments": [{"sha256": bytes(32)}] * 9}, "attachments", "TOO_LONG"),
    ({"attributes": [{"name": "a"}] * 17}, "attributes", "TOO_LONG"),
    ({"attributes": [{"value": "a"}]}, "attributes[0].name", "REQUIRED"),
    ({"attributes": [{"name": "a", "value": "v" * 1025}]}, "attributes[0].value", "TOO_LONG"),
]

# Changes to a good event that are odd and yet kept.
KEPT: list[dict[str, Any]] = [
    {"scan_time": {"seconds": 0}},
    {"scan_time": {"seconds": 4_102_444_800}},
    {"scan_time": {"seconds": 7_258_118_399, "nanos": 999_999_999}},
    {"type": 2_000},
    {"symbology": 2**31 - 1},
    {"utc_offset_minutes": 1_080},
    {"utc_offset_minutes": -1_080},
    {"tracking_number": "9" * 128},
    {"tracking_number": "\tRR1\x1d23 4"},
    {"facility": "é" * 32},
    {"raw_barcode": bytes(4_096)},
    {"position": {}},
    {"position": {"latitude": -90, "longitude": 180, "accuracy_meters": 12}},
    LOCAL_MIDNIGHT,
    {**LOCAL_MIDNIGHT, "utc_offset_source": 77},
    # An offset of which nobody says where it is from is passed over, and UTC is assumed.
    {**UTC_MIDNIGHT, "utc_offset_source": 4},
    {**UTC_MIDNIGHT, "utc_offset_source": None},
    {"containment": {"direction": 1, "container_number": "T 1"}},
    {"containment": {"direction": 3}},
    {"containment": {"direction": 99}},
    {"type": 39, "correction": {**OTHER, "kind": 1}},
    {"correction": {**OTHER, "kind": 2}},
    {"correction": {**OTHER, "kind": 77}},
    {"type": 40, "code_system": "usps", "source_code": "03"},
    {"place": {"name": "Dépôt", "country": "FR"}},
    {"attachments": [{"sha256": bytes(32), "media_type": "image/jpeg"}] * 8},
    {"attributes": [{"name": "weight", "value": "12 kg"}] * 16},
    {"expected_from_time": {"seconds": 8}, "expected_until_time": {"seconds": 8}},
]


class TestScans:
    @pytest.mark.parametrize(("changes", "field", "reason"), REFUSED, ids=str)
    def test_a_bad_scan_is_refused_alone(
        self, changes: dict[str, Any], field: str, reason: str
    ) -> None:
        """It is named by index, sequence, field and reason; both neighbours are admitted."""
        result = admitted(an_encoded_event(1), an_encoded_event(2, **changes), an_encoded_event(3))

        (refusal,) = result.refusals
        assert (refusal.index, refusal.sequence) == (1, 2)
        assert refusal.field == f"event.{field}"
        assert RefusalReason.Name(refusal.reason) == f"REFUSAL_REASON_{reason}"
        assert refusal.message
        assert sorted(i for group in result.groups.values() for i in group.indexes) == [0, 2]

    @pytest.mark.parametrize("changes", KEPT, ids=str)
    def test_an_odd_scan_is_kept(self, changes: dict[str, Any]) -> None:
        """What is odd but allowed is recorded to the byte."""
        event = an_encoded_event(1, **changes)

        assert record_of(event).event == event

    @pytest.mark.parametrize(
        ("event", "reason"),
        [
            (b"", "REQUIRED"),
            (b"\xff", "UNDECODABLE"),
            (an_encoded_event().replace(b"DEFRAA", b"M\xfcnche"), "UNDECODABLE"),
            (an_encoded_event()[:-1], "UNDECODABLE"),
            (b"\x0b" * 200, "UNDECODABLE"),
        ],
        ids=["empty", "tag alone", "latin-1", "cut short", "deep groups"],
    )
    def test_bytes_that_are_no_event_are_refused(self, event: bytes, reason: str) -> None:
        """The event as a whole is named, and the neighbours are admitted."""
        result = admitted(event, an_encoded_event())

        assert [refusal.field for refusal in result.refusals] == ["event"]
        assert result.refusals[0].reason == RefusalReason.Value(f"REFUSAL_REASON_{reason}")
        assert sum(len(group.indexes) for group in result.groups.values()) == 1

    def test_an_event_of_8_kib_is_kept_and_one_byte_more_is_not(self) -> None:
        """The limit is exact, also where unknown fields make up the size."""
        usual = an_encoded_event()
        size = EVENT_BYTES_MAX - len(usual) - 4  # Less the tag and the length, two bytes each.
        largest = usual + b"\xc2\x3e" + bytes([size & 0x7F | 0x80, size >> 7]) + b"x" * size
        larger = (
            usual + b"\xc2\x3e" + bytes([size + 1 & 0x7F | 0x80, size + 1 >> 7]) + b"x" * (size + 1)
        )
        assert (len(largest), len(larger)) == (EVENT_BYTES_MAX, EVENT_BYTES_MAX + 1)

        assert record_of(largest).event == largest
        (refusal,) = admitted(larger).refusals
        assert refusal.reason == RefusalReason.REFUSAL_REASON_TOO_LARGE

    def test_unknown_fields_are_kept_to_the_byte(self) -> None:
        """Fields and enum values of a later version are recorded as they came, in their place."""
        later = b"\xc0\x3e\x07" + an_encoded_event(type=99) + b"\xfa\x3f\x03new"

        assert record_of(later).event == later

    def test_personal_data_is_refused(self) -> None:
        """It is never recorded without a seal, and too much of it is too large."""
        batch = a_batch([])
        for personal in (PersonalData(signatory="A. Muster").SerializeToString(), b"x" * 4097):
            batch.scans.append(RawScan(event=an_encoded_event(), personal=personal))

        refusals = admit(batch, partitions=1, now_ns=NOW_NS, principal="anonymous").refusals

        assert [refusal.field for refusal in refusals] == ["personal", "personal"]
        assert [RefusalReason.Name(refusal.reason) for refusal in refusals] == [
            "REFUSAL_REASON_PERSONAL_DATA_NOT_ACCEPTED",
            "REFUSAL_REASON_TOO_LARGE",
        ]
