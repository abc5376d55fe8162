"""The limits are those of the proto files, and the quick way says what the exact way says."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest import limits
from ingest.admission import read_exactly
from ingest.forms import Violation
from ingest.usual import read_usual
from ledger.v1.scan_event_pb2 import ScanEvent
from tests.ingest_traffic import an_encoded_event, an_event
from tests.scale import scaled

PROTO = Path(__file__).resolve().parent.parent / "proto" / "ledger" / "v1"
SENT = {"Batch", "Open", "Heartbeat", "SourceProgress"}  # Of ingest_service.proto: what is judged.
LENGTHS = {
    r"At most ([\d,]+) bytes": limits.FIELD_BYTES_MAX,
    r"(?:Exactly|Required\.) ([\d,]+) bytes": limits.FIELD_BYTES_EXACT,
}


def commented_fields(file: str) -> Iterator[tuple[str, str]]:
    """Every field as `Message.field`, with its comment and its type in one line."""
    message, comment = "", ""
    for line in (PROTO / file).read_text().splitlines():
        text = line.strip()
        if found := re.match(r"message (\w+) {", text):
            message = found[1]
        elif text.startswith("//"):
            comment += text.removeprefix("//")
            continue
        elif message and (found := re.match(r"((?:repeated )?[\w.]+) (\w+) = \d+;", text)):
            yield f"{message}.{found[2]}", f"{found[1]}:{comment}"
        comment = ""


def judged_messages(message: Descriptor) -> Iterator[str]:
    """The names of a message and of all messages inside of it."""
    yield message.name
    for field in message.fields:
        if field.message_type is not None:
            yield from judged_messages(field.message_type)


def stated_limits() -> Iterator[tuple[str, str]]:
    """The fields that admission judges, with their comments."""
    judged = set(judged_messages(ScanEvent.DESCRIPTOR)) | SENT
    for file in ("scan_event.proto", "ingest_service.proto"):
        for name, comment in commented_fields(file):
            if name.partition(".")[0] in judged:
                yield name, comment


class TestLimits:
    def test_lengths_are_those_of_the_proto_files(self) -> None:
        """Each `At most N bytes` and `Exactly N bytes` of a comment is the limit in the code."""
        stated: dict[str, dict[str, int]] = {phrase: {} for phrase in LENGTHS}
        for name, comment in stated_limits():
            for phrase in LENGTHS:
                if found := re.search(phrase, comment, re.IGNORECASE):
                    stated[phrase][name] = int(found[1].replace(",", ""))

        assert stated == LENGTHS

    def test_counts_are_those_of_the_proto_files(self) -> None:
        """Each `At most N` of a list is the limit in the code; scans have a rule of their own."""
        stated = {
            name: int(found[1].replace(",", ""))
            for name, comment in stated_limits()
            if comment.startswith("repeated")
            and (found := re.search(r"At most ([\d,]+)[ .,](?! *bytes)", comment))
        }

        assert stated == limits.FIELD_COUNT_MAX

    def test_every_text_has_a_limit(self) -> None:
        """No text, bytes or list that admission judges is without a limit."""
        known = {**limits.FIELD_BYTES_MAX, **limits.FIELD_BYTES_EXACT, **limits.FIELD_COUNT_MAX}
        for name, comment in stated_limits():
            if re.match(r"string|bytes|repeated", comment) and name != "Batch.scans":
                assert name in known


ASCII = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=70)
TEXTS = st.one_of(ASCII, st.text(max_size=40))
NUMBERS = st.one_of(
    st.text("0123456789ABCabc -]", max_size=40), st.just("4205712394055" + "1" * 17), TEXTS
)
ENUMS = st.one_of(st.integers(0, 50), st.sampled_from([-1, -(2**31), 127, 128, 2**31 - 1]))
TIMES = st.builds(
    lambda seconds, nanos: {"seconds": seconds, "nanos": nanos},
    st.one_of(
        st.integers(1_600_000_000, 1_900_000_000),
        st.sampled_from([0, 1, -1, 2**28, 7_258_118_399, 7_258_118_400, 2**63 - 1]),
    ),
    st.one_of(st.sampled_from([0, 1, 999_999_999, 10**9, -1]), st.integers(0, 10**9)),
)
COORDINATES = st.one_of(st.floats(-200, 200), st.sampled_from([float("nan"), float("inf"), 0.0]))
POSITIONS = st.fixed_dictionaries(
    {"latitude": COORDINATES, "longitude": COORDINATES}, optional={"accuracy_meters": COORDINATES}
)
CONTAINMENTS = st.fixed_dictionaries(
    {}, optional={"direction": st.integers(-1, 4), "container_number": NUMBERS}
)
ANNOUNCED = st.fixed_dictionaries(
    {},
    optional={
        "service": TEXTS,
        "origin_country": st.one_of(st.just("DE"), TEXTS),
        "destination_country": st.one_of(st.just("US"), TEXTS),
        "destination_postcode_area": TEXTS,
        "consignor_reference": TEXTS,
    },
)


def of_field(field: FieldDescriptor) -> st.SearchStrategy[Any] | None:
    """Values of one field of an event, good and bad; none for what the quick way never takes."""
    by_name: dict[str, st.SearchStrategy[Any]] = {
        "event_id": st.one_of(st.binary(min_size=16, max_size=16), st.binary(max_size=17)),
        "tracking_number": NUMBERS,
        "scan_time": TIMES,
        "utc_offset_minutes": st.integers(-1_100, 1_100),
        "position": POSITIONS,
        "containment": CONTAINMENTS,
        "announced": ANNOUNCED,
    }
    by_type = {
        FieldDescriptor.TYPE_STRING: TEXTS,
        FieldDescriptor.TYPE_BYTES: st.binary(max_size=80),
        FieldDescriptor.TYPE_ENUM: ENUMS,
        FieldDescriptor.TYPE_BOOL: st.booleans(),
    }
    return by_name.get(field.name, by_type.get(field.type))


VALUES = {
    field.name: strategy
    for field in ScanEvent.DESCRIPTOR.fields
    if not field.is_repeated and (strategy := of_field(field)) is not None
}
# Few changes at a time: with many, hardly an event would be one that the quick way takes.
CHANGES = st.lists(st.sampled_from(sorted(VALUES)), max_size=3, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: VALUES[name] for name in names})
)


def alone(event: bytes) -> tuple[bytes, int, bytes, bytes] | None:
    """What filing needs of one event, or None where it is not usual."""
    rows = filed([event])
    return rows.get(0)


def filed(events: list[bytes]) -> dict[int, tuple[bytes, int, bytes, bytes]]:
    """What filing needs of the usual ones among events, by their place."""
    usual = read_usual(events)
    columns = (usual.keys, usual.scan_times_ns, usual.event_ids, usual.suffixes)
    return dict(zip(usual.places, zip(*columns, strict=True), strict=True))


@pytest.mark.slow
@pytest.mark.timeout(scaled(150, soak=7_200))
class TestQuickWay:
    @settings(max_examples=scaled(4_000, soak=200_000))
    @given(CHANGES)
    @example({"type": 39})
    @example({"type": 40})
    @example({"utc_offset_minutes": 1_081})
    @example({"scan_time": {"seconds": 7_258_118_400}})
    @example({"scan_time": {"seconds": 1_700_000_000, "nanos": 10**9}})
    @example({"position": {"latitude": 1, "longitude": 180.5}})
    @example({"announced": {"origin_country": "de"}})
    @example({"announced": {"destination_postcode_area": "12345678901234567"}})
    @example({"position": {"latitude": 1, "longitude": 1, "accuracy_meters": -1}})
    @example({"position": {"latitude": 1, "longitude": 1, "accuracy_meters": float("inf")}})
    def test_both_ways_agree(self, changes: dict[str, Any]) -> None:
        """What the quick way takes, the exact way takes too, and files in the same way."""
        event = an_encoded_event(**changes)
        quick = alone(event)

        assert quick is None or quick == read_exactly(event)

    @settings(max_examples=scaled(4_000, soak=200_000))
    @given(st.data())
    def test_both_ways_agree_on_damaged_bytes(self, data: st.DataObject) -> None:
        """The same for good events with a few bytes changed, put in or left out."""
        event = bytearray(
            an_encoded_event(
                position={"latitude": 50.1, "longitude": 8.7},
                containment={"direction": 1, "container_number": "T1"},
                announced={"service": "EMS", "origin_country": "DE"},
            )
        )
        for _ in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(0, len(event) - 1))
            event[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
        quick = alone(bytes(event))

        assert quick is None or quick == read_exactly(bytes(event))

    @settings(max_examples=scaled(400, soak=20_000))
    @given(st.lists(st.one_of(CHANGES, st.binary(max_size=40)), max_size=8))
    @example([{}, {"scan_time": {"seconds": 1_700_000_000, "nanos": 10**9}}, {}])
    @example([{}, {"tracking_number": "- -"}, {"containment": {"direction": 1}}, b""])
    def test_each_is_judged_alone(self, mixed: list[dict[str, Any] | bytes]) -> None:
        """What an event beside it is like changes nothing, and none is left out."""
        events = [
            one if isinstance(one, bytes) else an_encoded_event(number, **one)
            for number, one in enumerate(mixed)
        ]
        each = {place: filing for place, event in enumerate(events) if (filing := alone(event))}

        assert filed(events) == each

    @pytest.mark.parametrize(
        "changes",
        [
            {},
            {"utc_offset_minutes": -1_080},
            {"position": {"latitude": -33.9, "longitude": 151.2, "accuracy_meters": 5}},
            {"containment": {"direction": 2, "container_number": "PALLET-00017"}},
            {"scan_time": {"seconds": 1_700_000_000}},
            {"carrier": "DHL", "code_system": "upu-emsevt-3", "source_code": "EMD"},
            {"tracking_number": "420571239405511111111111111119"},
            {"announced": {"service": "LZ", "origin_country": "US", "destination_country": "CH"}},
        ],
        ids=str,
    )
    def test_usual_events_go_the_quick_way(self, changes: dict[str, Any]) -> None:
        """The quick way is not quick by taking nothing."""
        event = an_encoded_event(**changes)

        assert alone(event) == read_exactly(event) is not None

    def test_a_field_added_later_goes_the_exact_way(self) -> None:
        """An unknown field is none of the quick way's business, wherever it stands."""
        for event in (an_encoded_event() + b"\xc0\x3e\x07", b"\xc0\x3e\x07" + an_encoded_event()):
            assert alone(event) is None
            assert not isinstance(read_exactly(event), Violation)

    def test_a_repeated_field_goes_the_exact_way(self) -> None:
        """A field sent twice means its last value, which only a real parser tells."""
        twice = an_encoded_event() + ScanEvent(facility="LAST").SerializeToString()

        assert alone(twice) is None
        assert ScanEvent.FromString(twice).facility == "LAST"
        assert an_event().facility != "LAST"
