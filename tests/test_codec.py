"""Log records by hand: byte for byte what the generated message writes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.codec import RecordMaker, containment_suffix, read_record, rows_of
from ledger.errors import Diverged
from ledger.event import EVENT_BYTES_MAX, TIME_NS_END, Order, split_order
from ledger.position import pack_position
from ledger.v1.log_record_pb2 import LogRecord
from tests.rows import row_of

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

    assert rows_of(values, first) == [
        row_of(read_record(value), value, first + offset) for offset, value in enumerate(values)
    ]


@pytest.mark.parametrize("bad", [b"\xff\xff", b"", LogRecord(event=b"e").SerializeToString()])
def test_a_run_with_an_unreadable_record_gives_no_rows(bad: bytes) -> None:
    """Bytes that are no record, or one without key and id, stop the run with the reason."""
    good = RecordMaker(
        source_id="gate", spool_id=b"s" * 16, key_form=1, send_time_ns=1, record_time_ns=1,
        principal="anonymous",
    ).one(b"\x0a\x00", b"KEY", 1, b"e" * 16, 1, b"")  # fmt: skip

    with pytest.raises(Diverged, match=f"of {len(bad)} bytes"):
        rows_of([good, bad, good], pack_position(1, 0, 0))
