"""Record batches: what is built is read, and whatever is not as it was appended is named."""

import struct

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from hypothesis import given
from hypothesis import strategies as st

from ledger.backends.kafka_records import BATCH_BYTES_MAX, BatchBuilder, read_batches
from ledger.errors import Diverged
from ledger.scan_log import APPEND_BYTES_MAX, APPEND_RECORDS_MAX, RECORD_BYTES_MAX


def batch_at(first: int, values: list[bytes | None], *, offsets: list[int] | None = None) -> bytes:
    """A batch as a broker keeps it: any values, at any offsets behind its first."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, 0, 4 << 20)
    for offset, value in zip(offsets or range(len(values)), values, strict=True):
        builder.append(offset, None, b"key", value, [])
    return placed(builder.build(), first)


def placed(batch: bytearray, first: int) -> bytes:
    """A batch that begins at an offset, which its checksum does not cover."""
    return struct.pack(">q", first) + bytes(batch[8:])


def read(data: bytes, index: int) -> list[bytes]:
    """All values from an index on."""
    batches = read_batches(data, 3, index)
    return [value for batch in batches for value in batch]


@given(st.lists(st.lists(st.binary(max_size=40), min_size=1, max_size=9), max_size=5), st.data())
def test_what_is_built_is_read(appends: list[list[bytes]], data: st.DataObject) -> None:
    """Whatever was appended in whatever batches is read from any index in it, in order."""
    values: list[bytes] = []
    stored = b""
    for append in appends:
        builder = BatchBuilder()
        builder.add([b"K"] * len(append), append, 0)
        stored += placed(builder.build(7, 0, len(values)), 100 + len(values))
        values += append
    start = data.draw(st.integers(0, len(values)))

    assert read(stored, 100 + start) == values[start:]


def test_appends_that_join_a_batch_know_their_place() -> None:
    """Each append that goes into a batch learns which of its records is its first."""
    builder = BatchBuilder()

    assert builder.add([b"A", b"B"], [b"1", b"2"], 4) == 0
    assert builder.add([b"C"], [b"3"], 2) == 2
    assert read(placed(builder.build(1, 0, 0), 5), 5) == [b"1", b"2", b"3"]
    assert builder.count == 3


def test_the_largest_append_is_a_batch_that_topics_must_take() -> None:
    """An append of the most records, or of the most bytes, fits a batch of the size that is asked
    of topics; one more does not go in.
    """
    value = bytes(APPEND_BYTES_MAX // APPEND_RECORDS_MAX)
    many, large = BatchBuilder(), BatchBuilder()
    many.add([b""] * APPEND_RECORDS_MAX, [value] * APPEND_RECORDS_MAX, APPEND_BYTES_MAX)
    large.add([b""] * 64, [bytes(RECORD_BYTES_MAX)] * 64, APPEND_BYTES_MAX)

    assert len(many.build(1, 0, 0)) <= BATCH_BYTES_MAX
    assert len(large.build(1, 0, 0)) <= BATCH_BYTES_MAX
    assert not many.has_room(1, 0)
    assert not large.has_room(1, 1)


def test_a_batch_that_was_cut_off_is_left_out() -> None:
    """A fetch may end in the middle of a batch: what is whole is read."""
    data = batch_at(0, [b"one", b"two"]) + batch_at(2, [b"three"])[:-1]

    assert read(data, 1) == [b"two"]


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (batch_at(0, [b"a"]) + batch_at(5, [b"b"]), ("1", "5")),
        (batch_at(7, [b"a"]), ("0", "7")),
        (batch_at(0, [b"a", b"b", b"c"], offsets=[0, 3, 4]), ("1", "3")),
        (batch_at(0, [b"a", b"b"], offsets=[0, 1])[:-1] + b"x" + batch_at(2, [b"c"]), None),
    ],
    ids=["between batches", "at the start", "inside of a batch", "other bytes"],
)
def test_a_hole_is_named(data: bytes, named: tuple[str, str] | None) -> None:
    """Where indexes are missing, the first one and where it goes on are named; bytes that do not
    match their checksum are not read at all.
    """
    with pytest.raises(Diverged) as error:
        read(data, 0)

    if named:
        assert error.value.reason == "LOG_HAS_HOLE"
        assert (error.value.metadata["index"], error.value.metadata["found"]) == named
    else:
        assert error.value.reason == "LOG_DAMAGED"
        assert "checksum" in error.value.message


def test_a_transaction_marker_is_a_hole() -> None:
    """The mark that a transaction leaves takes an index, and is no record."""
    builder = DefaultRecordBatchBuilder(2, 0, 1, 1, 0, 0, 1_000)
    builder.append(0, None, b"\0\0\0\1", b"\0\0\0\0\0\0", [])
    marker = builder.build()
    marker[21:23] = (0x30).to_bytes(2, "big")  # Transactional, and a control batch.
    data = batch_at(0, [b"a"]) + with_checksum(placed(marker, 1)) + batch_at(2, [b"b"])

    values = read_batches(data, 3, 0)

    assert next(values) == [b"a"]
    with pytest.raises(Diverged, match="partition 3 has no records 1 to 1"):
        next(values)


def with_checksum(batch: bytes) -> bytes:
    """A batch whose checksum is right again."""
    return batch[:17] + struct.pack(">I", calc_crc32c(batch[21:])) + batch[21:]


@pytest.mark.parametrize(
    "value", [None, bytes(RECORD_BYTES_MAX + 1)], ids=["deletion mark", "too long"]
)
def test_what_another_program_wrote_is_given_as_it_is(value: bytes | None) -> None:
    """A deletion mark reads as nothing, a record longer than any of ours as it is: whoever reads
    says what becomes of it.
    """
    assert read(batch_at(40, [b"a", b"b", value, b"c"]), 41) == [b"b", value or b"", b"c"]


@given(st.binary(max_size=200), st.integers(0, 400))
def test_damaged_bytes_never_pass(noise: bytes, at: int) -> None:
    """Whatever bytes a batch has, either its records come, or what is wrong is said."""
    data = bytearray(batch_at(0, [b"first", b"second"]))
    data[at : at + len(noise)] = noise

    try:
        values = read(bytes(data), 0)
    except Diverged:
        return
    assert values == [b"first", b"second"][: len(values)]
