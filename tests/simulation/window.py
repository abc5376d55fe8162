"""Whether a sender keeps to its window, counted by its messages alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.v1.ingest_service_pb2 import RecordScansResponse
from ledger.v1.raw_pb2 import RawRecordScansRequest

if TYPE_CHECKING:
    from collections.abc import Callable


class Window:
    """What one stream has on its way."""

    def __init__(self, on_broken: Callable[[str], object]) -> None:
        self._on_broken = on_broken
        self._batches: dict[int, tuple[int, int]] = {}
        self._scans = self._bytes = 0
        self._scans_most = self._bytes_most = 0

    def sent(self, message: bytes) -> None:
        request = RawRecordScansRequest.FromString(message)
        if request.WhichOneof("message") != "batch":
            return
        count, size = len(request.batch.scans), request.batch.ByteSize()
        self._batches[request.batch.batch_number] = (count, size)
        self._scans += count
        self._bytes += size
        if len(self._batches) > 1 and (
            self._scans > self._scans_most or self._bytes > self._bytes_most
        ):
            self._on_broken(f"{self._scans} scans on their way, {self._scans_most} are allowed")

    def received(self, response: object) -> None:
        assert isinstance(response, RecordScansResponse)
        kind = response.WhichOneof("message")
        if kind == "opened":
            window = response.opened.window
            self._scans_most, self._bytes_most = window.window_events, window.window_bytes
        elif kind == "credit":
            self._scans_most, self._bytes_most = (
                response.credit.window_events,
                response.credit.window_bytes,
            )
        elif kind == "result" and response.result.batch_number in self._batches:
            count, size = self._batches.pop(response.result.batch_number)
            self._scans -= count
            self._bytes -= size
