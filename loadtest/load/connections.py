"""The connections of one process: a few to the door in, a few to the door out, shared by all users.

Under gevent each connection takes one thread that waits for it, so there are few; a connection
carries a thousand streams. Calls are sync stubs with raw events: bytes are compared, as they came.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

import grpc

from ledger.v1.ingest_service_pb2 import RecordScansResponse
from ledger.v1.progress_service_pb2 import WatchProgressRequest, WatchProgressResponse
from ledger.v1.raw_pb2 import (
    RawBatchGetTrailsResponse,
    RawListScanEventsResponse,
    RawWatchTrailResponse,
)
from ledger.v1.trail_service_pb2 import (
    BatchGetTrailsRequest,
    ListScanEventsRequest,
    WatchTrailRequest,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

ANSWER_S: Final = 30.0
"""Longest wait for the answer to a look-up: what takes longer hangs."""

MESSAGE_BYTES_MAX: Final = 8 << 20
"""Largest message that is taken: four times the largest page."""

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.use_local_subchannel_pool", 1),  # Else all connections to one address are one.
    ("grpc.keepalive_time_ms", 20_000),  # A server that hangs is left.
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.enable_retries", 0),  # Every failure is to be seen.
)


class Connections:
    """All connections of one process."""

    def __init__(self, ingest: str, query: str, *, each: int) -> None:
        """`ingest` and `query` are host and port, and may be the same; `each` is how many."""
        self._ingest = [grpc.insecure_channel(ingest, options=_OPTIONS) for _ in range(each)]
        self._query = [grpc.insecure_channel(query, options=_OPTIONS) for _ in range(each)]
        self._next_ingest = itertools.cycle(self._ingest)
        self._queries = itertools.cycle([Query(channel) for channel in self._query])

    def record_scans(self) -> Any:  # noqa: ANN401 - grpc's own.
        """Give the call that opens a stream for encoded messages."""
        return next(self._next_ingest).stream_stream(
            "/ledger.v1.IngestService/RecordScans",
            response_deserializer=RecordScansResponse.FromString,
        )

    def query(self) -> Query:
        """Give one that asks, each time over another connection."""
        return next(self._queries)

    def close(self) -> None:
        """End all calls."""
        for channel in (*self._ingest, *self._query):
            channel.close()


class Query:
    """Asks over one connection."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._batch_get = channel.unary_stream(
            "/ledger.v1.TrailService/BatchGetTrails",
            BatchGetTrailsRequest.SerializeToString,
            RawBatchGetTrailsResponse.FromString,
        )
        self._list = channel.unary_unary(
            "/ledger.v1.TrailService/ListScanEvents",
            ListScanEventsRequest.SerializeToString,
            RawListScanEventsResponse.FromString,
        )
        self._watch_trail = channel.unary_stream(
            "/ledger.v1.TrailService/WatchTrail",
            WatchTrailRequest.SerializeToString,
            RawWatchTrailResponse.FromString,
        )
        self._watch_progress = channel.unary_stream(
            "/ledger.v1.ProgressService/WatchProgress",
            WatchProgressRequest.SerializeToString,
            WatchProgressResponse.FromString,
        )

    def trails(self, numbers: Sequence[str]) -> Iterator[RawBatchGetTrailsResponse]:
        """Look numbers up: one answer for each, in their order."""
        request = BatchGetTrailsRequest(tracking_numbers=numbers)
        return self._batch_get(request, timeout=ANSWER_S)

    def pages(self, request: ListScanEventsRequest) -> Iterable[RawListScanEventsResponse]:
        """Read a whole trail, page by page."""
        asked = ListScanEventsRequest()
        asked.CopyFrom(request)
        while True:
            # A future is served by the connection's thread; a plain call would take one of its own.
            page = self._list.future(asked, timeout=ANSWER_S).result()
            yield page
            if not page.next_page_token:
                return
            asked.page_token = page.next_page_token

    def watch(self, number: str, *, resume_after: str) -> Any:  # noqa: ANN401 - grpc's own.
        """Watch a trail without end; the call can be cancelled."""
        return self._watch_trail(
            WatchTrailRequest(tracking_number=number, resume_after=resume_after)
        )

    def progress(self) -> Any:  # noqa: ANN401
        """Watch how far the ledger is, without end; the call can be cancelled."""
        return self._watch_progress(WatchProgressRequest())
