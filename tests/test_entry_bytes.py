"""Entries written as bytes are those that a message would say, to the byte."""

from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import example, given
from hypothesis import strategies as st

from ledger.position import INDEX_MAX, PARTITIONS_MAX, SCANS_LOG, pack_position
from ledger.v1.position_pb2 import Position
from ledger.v1.raw_pb2 import (
    RawBatchGetTrailsResponse,
    RawListScanEventsResponse,
    RawTrailEntry,
    RawWatchTrailResponse,
)
from query.entry_bytes import entry_bytes, shared_by, sized, tags_of

ANSWERS = (RawListScanEventsResponse, RawBatchGetTrailsResponse, RawWatchTrailResponse)

EVENTS = st.binary(max_size=300) | st.integers(0, 40_000).map(bytes)
TIMES_NS = st.integers(-(1 << 63), (1 << 63) - 1)


@given(
    EVENTS,
    st.text(st.characters(codec="utf-8"), max_size=128),
    st.tuples(st.integers(1, 127), st.integers(0, PARTITIONS_MAX - 1), st.integers(0, INDEX_MAX)),
    TIMES_NS,
)
@example(b"", "", (1, 0, 0), 0)
@example(b"e", "s", (127, PARTITIONS_MAX - 1, INDEX_MAX), (1 << 63) - 1)
@example(b"e", "s", (1, 1, 1), -1)
def test_an_answer_is_as_messages_make_it(
    event: bytes, source: str, at: tuple[int, int, int], time_ns: int
) -> None:
    """Whatever the lengths and numbers are: and so it goes out as short as it can be."""
    seconds, nanos = divmod(time_ns, 1_000_000_000)
    generation, partition, index = at
    entry = RawTrailEntry(
        event=event,
        position=Position(log=SCANS_LOG, generation=generation, partition=partition, index=index),
        record_time=Timestamp(seconds=seconds, nanos=nanos),
        source_id=source,
        tracking_key="KEY",
    )
    shared = shared_by(pack_position(generation, partition, 5), b"KEY")
    made = entry_bytes(event, source.encode(), shared, index, time_ns)
    for kind in ANSWERS:
        out = kind()
        out.MergeFromString(sized(tags_of(out.DESCRIPTOR).entry, made) * 2)

        assert out.SerializeToString() == kind(entries=[entry, entry]).SerializeToString()
