"""Log records by hand: byte for byte what the generated message writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.codec import RecordMaker, containment_suffix, fault_of, read_record, rows_of
from ledger.contents import container_of, contents_key
from ledger.errors import Diverged
from ledger.event import EVENT_BYTES_MAX, TIME_NS_END, Order, split_order
from ledger.position import pack_position
from ledger.v1.log_record_pb2 import CheckedLogRecord, LogRecord
from ledger.v1.quarantine_pb2 import QuarantineReason
from ledger.v1.scan_event_pb2 import ScanEvent
from tests.rows import row_of

if TYPE_CHECKING:
    from ledger.trail_store import Row

TIMES = st.one_of(st.just(0), st.integers(1, TIME_NS_END - 1))
IDS = st.binary(min_size=16, max_size=16)
KEYS = st.binary(min_size=1, max_size=128)
# Lengths around every change of the varint's length, and around the greatest.
LENGTHS = st.sampled_from([0, 1, 127, 128, 129, 255, 16_383, EVENT_BYTES_MAX - 1, EVENT_BYTES_MAX])
EVENTS = st.one_of(
    st.binary(max_size=300),
    LENGTHS.filter(lambda n: n <= EVENT_BYTES_MAX).map(lambda n: b"\xfe" * n),
)
TEXTS = st.text(max_size=40).filter(lambda text: len(text.encode()) <= 128)
RECORDS = st.builds(
    LogRecord,
    event=EVENTS,
    tracking_key=KEYS,
    key_form=st.integers(1, 127),
    scan_time_ns=TIMES,
    event_id=IDS,
    source_id=TEXTS,
    spool_id=st.one_of(st.just(b""), IDS),
    sequence=st.one_of(st.just(0), st.integers(1, (1 << 64) - 1)),
    send_time_ns=st.one_of(TIMES, st.integers(-(1 << 63), (1 << 63) - 1)),
    record_time_ns=TIMES,
    principal=TEXTS,
    container_key=st.one_of(st.just(b""), KEYS),
    container_key_form=st.integers(0, 127),
    containment_direction=st.one_of(st.integers(0, 3), st.integers(0, (1 << 32) - 1)),
)


def made(record: LogRecord) -> bytes:
    """What our own encoder makes of the same fields."""
    maker = RecordMaker(
        source_id=record.source_id,
        spool_id=record.spool_id,
        key_form=record.key_form,
        send_time_ns=record.send_time_ns,
        record_time_ns=record.record_time_ns,
        principal=record.principal,
    )
    suffix = containment_suffix(
        record.container_key, record.container_key_form, record.containment_direction
    )
    return maker.one(
        record.event,
        record.tracking_key,
        record.scan_time_ns,
        record.event_id,
        record.sequence,
        suffix,
    )


@given(RECORDS)
def test_records_are_what_the_generated_message_writes(record: LogRecord) -> None:
    """The same fields give the same bytes, so nobody can tell who wrote a record."""
    assert made(record) == record.SerializeToString(deterministic=True)


@given(RECORDS)
def test_a_record_is_read_as_it_was_made(record: LogRecord) -> None:
    """What was made is read back, the event byte for byte."""
    assert read_record(made(record)) == record


@given(RECORDS, st.integers(0, (1 << 40) - 1))
def test_a_row_is_a_function_of_the_record_and_its_position(record: LogRecord, index: int) -> None:
    """The row's place, record and time come from the record and the position alone."""
    value = made(record)
    position = pack_position(1, 5, index)

    row = row_of(read_record(value), value, position)

    assert row.tracking_key == record.tracking_key
    assert split_order(row.order) == Order(record.scan_time_ns, record.event_id, position)
    assert row.record == value
    assert row.record_time_us == record.record_time_ns // 1_000


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xff",
        b"\x0a\xff\x01",
        LogRecord(event=b"e", event_id=bytes(16)).SerializeToString(),
        LogRecord(event=b"e", tracking_key=b"K").SerializeToString(),
        LogRecord(event=b"e", tracking_key=b"K", event_id=bytes(15)).SerializeToString(),
    ],
    ids=["empty", "no message", "cut short", "no key", "no event id", "a short event id"],
)
def test_what_is_no_record_is_refused(value: bytes) -> None:
    """Bytes that no ingest wrote stop the reader."""
    with pytest.raises(Diverged) as refused:
        read_record(value)

    assert refused.value.reason == "RECORD_UNREADABLE"


def test_fields_of_a_later_writer_are_kept() -> None:
    """A field that this program does not know is in the row, since the row is the record."""
    value = made(LogRecord(event=b"e", tracking_key=b"K", key_form=1, event_id=bytes(16)))
    later = value + b"\xfa\x01\x03new"

    row = row_of(read_record(later), later, pack_position(1, 0, 0))

    assert row.record == later


@pytest.mark.parametrize("key_form", [0, 128])
def test_a_key_form_out_of_range_is_our_own_mistake(key_form: int) -> None:
    """The maker writes the form in one byte."""
    with pytest.raises(ValueError, match="key form"):
        RecordMaker(
            source_id="s",
            spool_id=b"",
            key_form=key_form,
            send_time_ns=1,
            record_time_ns=1,
            principal="p",
        )


def test_rows_of_a_run_are_the_rows_of_its_records() -> None:
    """The quick loop gives what the plain way gives, each at its own position."""
    values = [
        RecordMaker(
            source_id="gate", spool_id=b"s" * 16, key_form=1, send_time_ns=time_ns,
            record_time_ns=time_ns + 1, principal="anonymous",
        ).one(b"\x0a\x00", b"KEY%d" % time_ns, time_ns, bytes([time_ns]) * 16, time_ns, b"")
        for time_ns in range(1, 40)
    ]  # fmt: skip
    first = pack_position(1, 7, 1_000)

    assert rows_of(values, first, []) == [
        row_of(read_record(value), value, first + offset) for offset, value in enumerate(values)
    ]


@pytest.mark.parametrize("direction", [1, 2, 77])
def test_what_goes_in_or_comes_out_is_a_second_row(direction: int) -> None:
    """The same bytes at the same place under the container's key, whichever way it went; and none
    where there is no container, or one whose key no door can have made.
    """
    values = [
        GOOD + containment_suffix(container, form, direction)
        for container, form in [(b"BAG", 1), (b"", 0), (b"B\0", 1), (b"\xff", 1), ("é".encode(), 1)]
    ]
    contents: list[Row] = []

    rows = rows_of(values, pack_position(1, 0, 8), contents)

    assert len(rows) == len(values)
    assert contents == [
        rows[0]._replace(tracking_key=b"\xffBAG"),
        rows[4]._replace(tracking_key=b"\xff" + "é".encode()),
    ]


def test_no_trail_has_the_key_of_contents() -> None:
    """A record under such a key is unfit, and the contents of a container under it have no row."""
    assert fault_of(unfit(tracking_key=contents_key(b"BAG"))) is not None
    assert container_of(contents_key(b"BAG")) == b"BAG"
    assert container_of(b"BAG") is None


GOOD = RecordMaker(
    source_id="gate", spool_id=b"s" * 16, key_form=1, send_time_ns=1, record_time_ns=1,
    principal="anonymous",
).one(b"\x0a\x00", b"KEY", 1, b"e" * 16, 1, b"")  # fmt: skip


def unfit(**fields: object) -> bytes:
    """A record with something else in it."""
    record = LogRecord.FromString(GOOD)
    for name, field in fields.items():
        setattr(record, name, field)
    return record.SerializeToString()


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"\xff\xff", "UNREADABLE"),
        (GOOD[:-1], "UNREADABLE"),
        (unfit(event=b"\x0a\xff"), "UNREADABLE"),
        (unfit(event=b"\x12\x01\xff"), "UNREADABLE"),  # A tracking number that is no UTF-8.
        (b"", "INCOMPLETE"),
        (unfit(tracking_key=b""), "INCOMPLETE"),
        (unfit(event_id=b""), "INCOMPLETE"),
        (unfit(event_id=b"short"), "INVALID"),
        (unfit(tracking_key=b"K" * 129), "INVALID"),
        (unfit(tracking_key=b"K\0"), "INVALID"),
        (unfit(tracking_key=b"\xff"), "INVALID"),
        (unfit(scan_time_ns=-1), "INVALID"),
        (unfit(scan_time_ns=TIME_NS_END), "INVALID"),
    ],
)
def test_a_run_ends_before_an_unfit_record(bad: bytes, reason: str) -> None:
    """The quick loop and the plain judgement agree, and the reason is said."""
    rows = rows_of([GOOD, bad, GOOD], pack_position(1, 0, 0), [])
    fault = fault_of(bad)

    assert [row.record for row in rows] == [GOOD]
    assert fault is not None
    assert QuarantineReason.Name(fault.reason) == f"QUARANTINE_REASON_{reason}"
    assert fault.message.endswith(".")


@pytest.mark.parametrize("key", [b"K", b"A-1", "é".encode(), b"K" * 128, b"\x1dK"])
def test_odd_keys_are_fit(key: bytes) -> None:
    """Whatever the filing rule can give is kept, also what the quick look does not recognise."""
    value = unfit(tracking_key=key)

    assert fault_of(value) is None
    assert [row.tracking_key for row in rows_of([value], pack_position(1, 0, 0), [])] == [key]


def test_a_body_of_a_later_writer_is_fit() -> None:
    """A record with a body that this program does not know is carried on as it is."""
    value = unfit(event=b"")[2:] + b"\xfa\x01\x03new"

    assert LogRecord.FromString(value).WhichOneof("body") is None
    assert fault_of(value) is None


@given(RECORDS)
def test_the_checked_twin_reads_the_same_fields(record: LogRecord) -> None:
    """The twin by which records are checked has the fields and the bytes of the record."""
    record.event = ScanEvent(raw_barcode=record.event).SerializeToString()
    encoded = record.SerializeToString()

    twin = CheckedLogRecord.FromString(encoded)

    assert twin.event.SerializeToString() == record.event
    assert twin.SerializeToString(deterministic=True) == record.SerializeToString(
        deterministic=True
    )
    assert [(f.number, f.name) for f in CheckedLogRecord.DESCRIPTOR.fields] == [
        (f.number, f.name) for f in LogRecord.DESCRIPTOR.fields
    ]
