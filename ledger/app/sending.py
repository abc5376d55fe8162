"""Sends lines as unnumbered batches, some at a time, until each is durable or refused.

What may be retried is sent again with the same event ids, so nothing is doubled. When the ledger
answers nothing for `give_up_s`, the sending ends and says how far it came.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import grpc

from ledger.app.client import ANSWER_S, explain, reason_of, retry_wait_s
from ledger.app.exits import CommandFailed
from ledger.app.lines import Line
from ledger.app.scan_file import Refusal
from ledger.v1.ingest_service_pb2 import (
    Batch,
    BatchResult,
    Durability,
    RecordScanBatchRequest,
    RefusalReason,
)
from ledger.v1.ingest_service_pb2_grpc import IngestServiceStub
from ledger.v1.scan_event_pb2 import Scan, ScanEvent

IN_FLIGHT: Final = 4
"""Batches on their way at once: enough to hide the time of a commit."""

RETRY_FIRST_S: Final = 0.1
"""First wait before a batch is sent again; it doubles each time."""

RETRY_MOST_S: Final = 2.0
"""Longest wait before a batch is sent again, unless the ledger asks for more."""


class Item(NamedTuple):
    """A line that has become an event."""

    line: Line
    event: ScanEvent


class _Flight(NamedTuple):
    source: str
    items: Sequence[Item]
    tries: int
    call: Any


class Sender:
    """Sends to one ledger. `send` as often as there is something, then `finish`."""

    def __init__(
        self,
        channel: grpc.Channel,
        *,
        server: str,
        give_up_s: float,
        on_refused: Callable[[Refusal], None],
    ) -> None:
        """`on_refused` is told each refused line, in the order of their results."""
        self.durable = 0
        self.durability = Durability.DURABILITY_UNSPECIFIED
        self._stub = IngestServiceStub(channel)
        self._server = server
        self._give_up_s = give_up_s
        self._on_refused = on_refused
        self._flights: deque[_Flight] = deque()
        self._heard_s = time.monotonic()

    def send(self, source: str, items: Sequence[Item]) -> None:
        """Send one batch; waits while too many are on their way. Raises CommandFailed."""
        while len(self._flights) >= IN_FLIGHT:
            self._land()
        self._start(source, items, tries=0)

    def finish(self) -> None:
        """Wait for everything that is on its way. Raises CommandFailed."""
        while self._flights:
            self._land()

    def _start(self, source: str, items: Sequence[Item], *, tries: int) -> None:
        batch = Batch(source_id=source, scans=[Scan(event=item.event) for item in items])
        batch.send_time.GetCurrentTime()
        request = RecordScanBatchRequest(batch=batch)
        call = self._stub.RecordScanBatch.future(request, timeout=ANSWER_S)
        self._flights.append(_Flight(source, items, tries, call))

    def _land(self) -> None:
        """Wait for the oldest batch, and do with each of its lines what the ledger said."""
        flight = self._flights.popleft()
        try:
            answer = flight.call.result()
        except grpc.RpcError as error:
            self._failed(flight, error)
            return
        self._heard_s = time.monotonic()
        self.durability = answer.durability
        self._told(flight, answer.result)

    def _failed(self, flight: _Flight, error: grpc.RpcError) -> None:
        wait_s = retry_wait_s(error)
        if wait_s is not None:
            if time.monotonic() - self._heard_s > self._give_up_s:
                raise CommandFailed(explain(error, self._server))
            self._again(flight, flight.items, wait_s)
        elif error.code() is grpc.StatusCode.INVALID_ARGUMENT:
            self._heard_s = time.monotonic()
            for item in flight.items:
                why = explain(error, self._server)
                self._on_refused(Refusal(item.line, "", reason_of(error), why))
        else:
            raise CommandFailed(explain(error, self._server))

    def _told(self, flight: _Flight, result: BatchResult) -> None:
        for refusal in result.refusals:
            field = refusal.field.removeprefix("event.")
            reason = RefusalReason.Name(refusal.reason).removeprefix("REFUSAL_REASON_")
            line = flight.items[refusal.index].line
            self._on_refused(Refusal(line, field, reason, refusal.message))
        self.durable += sum(part.last - part.first + 1 for part in result.durable)
        again = [
            item
            for part in result.resend
            for item in flight.items[part.range.first : part.range.last + 1]
        ]
        if again:
            wait_s = max(part.delay.seconds + part.delay.nanos / 1e9 for part in result.resend)
            self._again(flight, again, wait_s)

    def _again(self, flight: _Flight, items: Sequence[Item], wait_s: float) -> None:
        time.sleep(max(wait_s, min(RETRY_FIRST_S * 2**flight.tries, RETRY_MOST_S)))
        self._start(flight.source, items, tries=flight.tries + 1)
