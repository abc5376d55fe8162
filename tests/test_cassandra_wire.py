"""Batches that are encoded by us are, byte for byte, what the driver itself would send."""

import struct

from cassandra.cqltypes import BytesType, Int32Type, ListType, LongType
from cassandra.protocol import BatchMessage, ProtocolHandler, QueryMessage
from cassandra.query import BatchType
from hypothesis import given
from hypothesis import strategies as st

from ledger.backends.cassandra_wire import (
    EncodedBatch,
    Encoder,
    encode_bigint,
    encode_int,
    encode_list,
    encode_rows,
    encode_statements,
)
from ledger.trail_store import Row

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
ROWS = st.lists(
    st.builds(
        Row,
        st.binary(min_size=1, max_size=128),
        st.binary(min_size=32, max_size=32),
        st.binary(max_size=300),
        INT64,
    ),
    min_size=1,
    max_size=20,
)
QUERY_ID = bytes(range(16))


def frame(encoder: type[ProtocolHandler], message: BatchMessage, version: int) -> bytes:
    """What goes over the wire."""
    encoded: bytes = encoder.encode_message(message, 513, version, None, False)
    return encoded


def drivers(statements: list[list[bytes]], version: int, keyspace: str | None) -> bytes:
    """The driver's own frame for a batch."""
    queries = [(True, QUERY_ID, values) for values in statements]
    message = BatchMessage(BatchType.UNLOGGED, queries, 6, None, None, keyspace)
    return frame(ProtocolHandler, message, version)


def ours(count: int, encoded: bytes, version: int, keyspace: str | None) -> bytes:
    """Our frame, made the way a session makes it of a statement."""
    batch = EncodedBatch(count, encoded, keyspace="k", routing_key=b"key")
    message = BatchMessage(
        batch.batch_type, batch._statements_and_parameters, 6, None, None, keyspace
    )
    return frame(Encoder, message, version)


@given(ROWS, st.sampled_from([(4, None), (5, None), (5, "trails")]))
def test_rows_are_encoded_as_the_driver_does(
    rows: list[Row], protocol: tuple[int, str | None]
) -> None:
    """Rows of any bytes and times give the driver's frame, in both versions of the protocol."""
    values = [[row[0], row[1], row[2], struct.pack(">q", row[3])] for row in rows]

    assert ours(len(rows), encode_rows(QUERY_ID, rows), *protocol) == drivers(values, *protocol)


def test_records_of_any_length_are_encoded() -> None:
    """Also a record far longer than any of the ledger's, after others, is encoded right."""
    rows = [Row(b"key", bytes(32), bytes(size), 7) for size in (1, 16 << 10, 20_000, 100_000, 3)]
    values = [[row[0], row[1], row[2], struct.pack(">q", row[3])] for row in rows]

    assert ours(5, encode_rows(QUERY_ID, rows), 5, None) == drivers(values, 5, None)


@given(st.lists(st.lists(st.binary(max_size=40), max_size=8), min_size=1, max_size=8))
def test_statements_of_any_values_are_encoded_as_the_driver_does(
    statements: list[list[bytes]],
) -> None:
    """Any number of values, empty ones too, gives the driver's frame."""
    encoded = encode_statements(QUERY_ID, statements)

    assert ours(len(statements), encoded, 5, None) == drivers(statements, 5, None)


def test_other_messages_are_left_alone() -> None:
    """What is no batch of ours is encoded by the driver alone."""
    query = QueryMessage("SELECT 1", 6)
    batch = BatchMessage(BatchType.LOGGED, [(False, "INSERT", ())], 6)

    for message in (query, batch):
        assert frame(Encoder, message, 5) == frame(ProtocolHandler, message, 5)


@given(INT64, st.integers(-(1 << 31), (1 << 31) - 1), st.lists(st.binary(max_size=9), max_size=9))
def test_single_values_are_encoded_as_the_driver_does(
    long: int, short: int, blobs: list[bytes]
) -> None:
    """Numbers and lists are what the driver's types make of them."""
    blob_list = ListType.apply_parameters([BytesType])

    assert encode_bigint(long) == LongType.serialize(long, 5)
    assert encode_int(short) == Int32Type.serialize(short, 5)
    assert encode_list(blobs) == blob_list.serialize(blobs, 5)


def test_a_batch_of_ours_may_be_repeated_and_routed() -> None:
    """The driver sees what it needs to choose a node, and that the batch may be sent twice."""
    batch = EncodedBatch(1, b"", keyspace="k", routing_key=b"key")

    assert (batch.keyspace, batch.routing_key, batch.is_idempotent) == ("k", b"key", True)
    assert batch.batch_type is BatchType.UNLOGGED
    assert len(batch) == 1
