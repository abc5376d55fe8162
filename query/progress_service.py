"""The service that tells how far the ledger is: `ProgressService` of the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger.v1.progress_service_pb2 import (
    GetProgressRequest,
    GetProgressResponse,
    PartitionProgress,
    WatchProgressRequest,
    WatchProgressResponse,
)
from query.methods import generic_handler
from query.progress_view import MARKS_AGE_MAX_S
from query.requests import parse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping

    import grpc
    from google.protobuf.timestamp_pb2 import Timestamp

    from query.progress_view import PartitionView, ProgressView, Where
    from query.watches import Watches

PROGRESS_SERVICE: Final = "ledger.v1.ProgressService"
"""Full name of the service."""


class ProgressService:
    """`ledger.v1.ProgressService`: bytes of requests in, bytes of responses out."""

    def __init__(
        self, *, progress: ProgressView, watches: Watches, monotonic: Callable[[], float]
    ) -> None:
        """`progress` and `watches` are those of the process; `monotonic` gives seconds."""
        self._progress = progress
        self._watches = watches
        self._monotonic = monotonic

    def handler(self) -> grpc.GenericRpcHandler:
        """Give the service to a gRPC server."""
        return generic_handler(
            PROGRESS_SERVICE,
            unary={"GetProgress": self.GetProgress},
            streams={"WatchProgress": self.WatchProgress},
            monotonic=self._monotonic,
        )

    async def GetProgress(self, data: bytes) -> bytes:
        """Answer with how far each partition is, by marks that are read after the request came."""
        parse(GetProgressRequest, data)
        response = GetProgressResponse()
        _write_time(response.history_time, await self._progress.history_time_ns(0.0))
        views = await self._progress.partitions(0.0)
        response.partitions.extend(_partitions(views.items()))
        return response.SerializeToString()

    async def WatchProgress(self, data: bytes) -> AsyncGenerator[bytes, None]:
        """Answer with how far each partition is, and then with what changes."""
        parse(WatchProgressRequest, data)
        sent: Mapping[Where, PartitionView] | None = None
        sent_history_ns: int | None = None
        with self._watches.of_progress() as moved:
            while True:
                history_ns = await self._progress.history_time_ns(MARKS_AGE_MAX_S)
                views = await self._progress.partitions(MARKS_AGE_MAX_S)
                changed = [
                    item for item in views.items() if not sent or sent.get(item[0]) != item[1]
                ]
                if changed or sent is None or history_ns != sent_history_ns:
                    response = WatchProgressResponse(partitions=_partitions(changed))
                    _write_time(response.history_time, history_ns)
                    yield response.SerializeToString()
                sent, sent_history_ns = views, history_ns
                await moved.wait()


def _partitions(views: Iterable[tuple[Where, PartitionView]]) -> list[PartitionProgress]:
    partitions = []
    for (log, generation, partition), view in views:
        progress = PartitionProgress(
            log=log,
            generation=generation,
            partition=partition,
            readable_index=view.readable,
            settled_index=view.settled,
        )
        # 0 where the last record is one that tells no time: it lies in quarantine.
        _write_time(progress.readable_record_time, view.readable_record_time_ns or None)
        partitions.append(progress)
    return partitions


def _write_time(out: Timestamp, time_ns: int | None) -> None:
    if time_ns is not None:
        out.FromNanoseconds(time_ns)
