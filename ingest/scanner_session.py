"""One stream of a scanner, as far as it can be told without a network: what may be sent when, and
what the server's responses mean. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from ledger.v1.ingest_service_pb2 import (
    DURABILITY_REPLICATED,
    DURABILITY_SPOOLED,
    DURABILITY_SYNCED,
    DURABILITY_UNSPECIFIED,
    DURABILITY_WRITTEN,
    SOURCE_STATUS_OPEN,
    Credit,
    Heartbeat,
    Open,
)
from ledger.v1.raw_pb2 import RawRecordScansRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ingest.scanner_batch import OutBatch
    from ingest.scanner_settings import ScannerCounts, ScannerSettings
    from ledger.v1.ingest_service_pb2 import (
        BatchResult,
        Durability,
        Limits,
        Opened,
        RecordScansResponse,
        Refusal,
        SourceProgress,
        SourceState,
    )
    from ledger.v1.raw_pb2 import RawBatch

_KNOWN: Final = frozenset({
    DURABILITY_SYNCED, DURABILITY_REPLICATED, DURABILITY_WRITTEN, DURABILITY_SPOOLED
})  # fmt: skip


class Outbox(Protocol):
    """What is to be sent: of one source, or of a spool. A batch that was taken stays known to it
    until it is settled, refused or withdrawn.
    """

    batch_scans: int
    """Scans with which a batch is full."""

    @property
    def scans(self) -> int:
        """Scans without an outcome."""

    @property
    def queued(self) -> int:
        """Of these, how many are in no batch yet."""

    @property
    def speaks_for_many(self) -> bool:
        """Whether the batches of one source leave others without a word."""

    @property
    def is_stale(self) -> bool:
        """Whether only another stream can do better."""

    def lower_limits(self, limits: Limits) -> None:
        """Keep to the server's limits; 0 is not stated."""

    def take(self, now_s: float, *, fresh: bool) -> OutBatch[Any] | None:
        """Give the next batch: one that is to be sent again and due, or else, where `fresh` says
        so, a new one.
        """

    def address(self, raw: RawBatch, batch: OutBatch[Any], now_ns: int) -> None:
        """Write on a batch whose it is and when it was sent."""

    def progress(self) -> Sequence[SourceProgress]:
        """Tell how far the sources are, as far as there is something to say."""

    def send_again(self, batch: OutBatch[Any], due_s: float) -> None:
        """Keep a batch until it is due."""

    def next_due_s(self) -> float | None:
        """Tell when the next batch is to be sent again, if any is."""

    def withdraw(self, batch: OutBatch[Any]) -> None:
        """Take a batch out that was to be sent again."""

    def settle(
        self, batch: OutBatch[Any], result: BatchResult, durability: Durability.ValueType
    ) -> Sequence[tuple[OutBatch[Any], float]]:
        """Take a batch's result; return what is to be sent again, and after how many seconds."""

    def refuse(self, batch: OutBatch[Any], refusals: Sequence[Refusal]) -> None:
        """Give all events of a batch up: one refusal for each, in order."""

    def hear(self, state: SourceState) -> None:
        """Take what the server says that it has of a source that is open."""

    def not_open(self, state: SourceState) -> str:
        """Take note that a source is not open; say why nothing can be sent, if that is so."""


class Session:
    """What is known of one stream, from its opening to its end. Times are monotonic seconds."""

    def __init__(
        self,
        outgoing: Outbox,
        *,
        settings: ScannerSettings,
        counts: ScannerCounts,
        random: Callable[[], float],
        now_s: float,
        is_careful: bool = False,
    ) -> None:
        """`is_careful`: until the first result came only one batch is on its way. Then whatever
        ends the stream is known: a message that is being written at that moment would hide it.
        """
        self.is_closing = False
        """Whether nothing more is to be sent on it."""

        self.is_proven = False
        """Whether a result came: then the server is well."""

        self.stop_reason = ""
        """Why no other stream can do better, where that is so."""

        self._outgoing = outgoing
        self._settings = settings
        self._counts = counts
        self._random = random
        self._is_careful = is_careful
        self._is_open = False
        self._durability: Durability.ValueType = DURABILITY_UNSPECIFIED
        self._window = Credit()
        self._next_number = 1
        self._in_flight: dict[int, OutBatch[Any]] = {}
        self._scans = self._bytes = 0  # In flight.
        self._held: OutBatch[Any] | None = None  # Made, and waits for the window.
        self._sent_s = self._said_s = now_s
        self._hold_until_s = 0.0

    def open_message(self, client: str, version: str) -> bytes:
        """Encode the first message."""
        message = Open(client=client, version=version, sources=self._outgoing.progress())
        return RawRecordScansRequest(open=message).SerializeToString()

    def next_message(self, now_s: float, now_ns: int) -> bytes | None:
        """Encode the next message, if one may be sent now: a batch, or a sign of life."""
        message = None
        if self._outgoing.is_stale:
            self.is_closing = True
        is_due = now_s >= self._heartbeat_due_s()
        if is_due and self._outgoing.speaks_for_many:
            message = self._heartbeat()
            self._said_s = now_s
        elif batch := self._next_batch(now_s):
            message = self._batch_message(batch, now_s, now_ns)
        elif is_due:
            message = self._heartbeat()
        if message is not None:
            self._sent_s = now_s
        return message

    def due_s(self) -> float:
        """Tell when to look again, unless something happens before."""
        due_s = [self._heartbeat_due_s()]
        if self._owes():
            due_s.append(self._waiting_since_s() + self._settings.result_deadline_s)
        if self._is_open and not self.is_closing:
            # A batch that has no room waits for a response; no other one is made meanwhile.
            if self._held is not None:
                if self._has_room(self._held):
                    due_s.append(self._hold_until_s)
                return min(due_s)
            if (again_s := self._outgoing.next_due_s()) is not None:
                due_s.append(max(again_s, self._hold_until_s))
            if self._outgoing.queued:
                due_s.append(max(self._sent_s + self._settings.linger_s, self._hold_until_s))
        return min(due_s)

    def _heartbeat_due_s(self) -> float:
        last_s = self._said_s if self._outgoing.speaks_for_many else self._sent_s
        return last_s + self._settings.heartbeat_s

    def is_dead(self, now_s: float) -> bool:
        """Tell whether the server owes an answer for too long."""
        waited_s = now_s - self._waiting_since_s()
        return self._owes() and waited_s >= self._settings.result_deadline_s

    def take(self, response: RecordScansResponse, now_s: float) -> None:
        """Do what a response says. One that is not known is passed over."""
        kind = response.WhichOneof("message")
        if kind == "result":
            self._settle(response.result, now_s)
        elif kind == "credit":
            self._window = response.credit
        elif kind == "draining":
            self.is_closing = True
        elif kind == "opened":
            self._take_opened(response.opened)
        elif kind == "source_state":
            self._take_state(response.source_state)

    def take_back(self) -> list[OutBatch[Any]]:
        """Put what has no result back, as the stream is over; give of it what was sent on it, in
        order: only that can have broken a rule.
        """
        sent = list(self._in_flight.values())
        for batch in (*sent, *filter(None, [self._held])):
            self._outgoing.send_again(batch, 0.0)
        self._in_flight.clear()
        self._held = None
        return sent

    def _owes(self) -> bool:
        return not self._is_open or bool(self._in_flight)

    def _waiting_since_s(self) -> float:
        """Tell since when the server owes the oldest answer."""
        return next(iter(self._in_flight.values())).sent_s if self._in_flight else self._sent_s

    def _next_batch(self, now_s: float) -> OutBatch[Any] | None:
        if not self._is_open or self.is_closing or now_s < self._hold_until_s:
            return None
        outgoing = self._outgoing
        if self._held is None:
            # While nothing is in flight there is nothing to wait for.
            fresh = (
                not self._in_flight
                or outgoing.queued >= outgoing.batch_scans
                or now_s - self._sent_s >= self._settings.linger_s
            )
            self._held = outgoing.take(now_s, fresh=fresh)
        batch = self._held
        if batch is None or not self._has_room(batch):
            return None
        self._held = None
        return batch

    def _has_room(self, batch: OutBatch[Any]) -> bool:
        """Tell whether a batch may be on its way, too. One always may."""
        if not self._in_flight:
            return True
        if self._is_careful and not self.is_proven:
            return False
        return (
            self._scans + len(batch.events) <= self._window.window_events
            and self._bytes + batch.bytes <= self._window.window_bytes
        )

    def _batch_message(self, batch: OutBatch[Any], now_s: float, now_ns: int) -> bytes:
        """Encode a batch, its events as they are, and count it as sent."""
        request = RawRecordScansRequest()
        raw = request.batch
        raw.batch_number = self._next_number
        self._outgoing.address(raw, batch, now_ns)
        add = raw.scans.add
        for event in batch.events:
            add().event = event
        self._in_flight[self._next_number] = batch
        self._next_number += 1
        self._scans += len(batch.events)
        self._bytes += batch.bytes
        self._counts.sent += len(batch.events)
        self._counts.sent_again += len(batch.events) if batch.tries else 0
        batch.tries += 1
        batch.sent_s = now_s
        return request.SerializeToString()

    def _heartbeat(self) -> bytes:
        return RawRecordScansRequest(
            heartbeat=Heartbeat(sources=self._outgoing.progress())
        ).SerializeToString()

    def _take_opened(self, opened: Opened) -> None:
        self._is_open = True
        self._window = opened.window
        self._durability = opened.durability
        self._counts.streams += 1
        self._counts.is_open = True
        self._outgoing.lower_limits(opened.limits)
        if opened.durability not in _KNOWN:
            self._stop(
                f"the server acknowledges with a durability ({opened.durability}) that this "
                "version does not know; update it"
            )

    def _take_state(self, state: SourceState) -> None:
        if state.status == SOURCE_STATUS_OPEN:
            self._outgoing.hear(state)
        elif why := self._outgoing.not_open(state):
            self._stop(why)

    def _settle(self, result: BatchResult, now_s: float) -> None:
        batch = self._in_flight.pop(result.batch_number, None)
        if batch is None:
            return  # A number that was never sent here; what has no result is sent again.
        self.is_proven = True
        self._scans -= len(batch.events)
        self._bytes -= batch.bytes
        again = self._outgoing.settle(batch, result, self._durability)
        for piece, delay_s in again:
            jitter_s = self._settings.jittered_s(piece.tries - 1, self._random)
            self._outgoing.send_again(piece, now_s + delay_s + jitter_s)
            # Slowing down means all: no other scans are sent in the meantime.
            self._hold_until_s = max(self._hold_until_s, now_s + delay_s)

    def _stop(self, reason: str) -> None:
        self.is_closing = True
        self.stop_reason = reason
