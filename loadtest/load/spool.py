"""What one scanner has scanned and knows no outcome of: in numbered batches, over any number of
streams. Pure: a second reading of the wire's contract, beside the one of `ingest.scanner`.

A scan leaves only when it is durable or refused. Until then it is sent again, with the same id.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.v1.ingest_service_pb2 import (
    DURABILITY_UNSPECIFIED,
    SOURCE_STATUS_OPEN,
    BatchResult,
    Credit,
    Durability,
    Open,
    ResendReason,
    SourceProgress,
)
from ledger.v1.raw_pb2 import RawRecordScansRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ledger.v1.ingest_service_pb2 import RecordScansResponse, Refusal
    from ledger.v1.position_pb2 import Position
    from loadtest.load.traffic import Scan

AGAIN_FIRST_S: Final = 0.1
"""Longest jitter before a second attempt; it doubles with each further one."""

AGAIN_MAX_S: Final = 2.0
"""Longest jitter at all: a load that waits longer is no load."""

_HEADER_BYTES: Final = 256
_FRAME_BYTES: Final = 6
_KNOWN: Final = frozenset(Durability.values()) - {DURABILITY_UNSPECIFIED}


class Broken(Exception):
    """The server does what the contract does not allow, or will never take this source's scans."""


class Settled(NamedTuple):
    """What one result said."""

    durable: Sequence[Scan]
    refused: Sequence[tuple[Scan, Refusal]]
    again: int
    """How many are to be sent again, and why the first of them is."""

    reason: str
    positions: Sequence[Position]
    waited_s: float
    """Since the batch was sent."""


class Batch:
    """A run of scans with numbers that follow each other."""

    __slots__ = ("bytes", "due_s", "first_sequence", "scans", "sent_s", "tries")

    def __init__(self, first_sequence: int, scans: Sequence[Scan], tries: int = 0) -> None:
        self.first_sequence = first_sequence
        self.scans = scans
        self.tries = tries
        self.bytes = _HEADER_BYTES + sum(len(scan.event) + _FRAME_BYTES for scan in scans)
        self.due_s = 0.0
        self.sent_s = 0.0

    def __lt__(self, other: Batch) -> bool:
        """Oldest first among those that are due."""
        return (self.due_s, self.first_sequence) < (other.due_s, other.first_sequence)


class Spool:
    """One source. Times are monotonic seconds."""

    def __init__(
        self, source_id: str, spool_id: bytes, *, window_batches: int, random: Callable[[], float]
    ) -> None:
        """`window_batches` is how many may be without an outcome; the server may allow less."""
        self.source_id = source_id
        self.is_open = False
        """Whether the server has opened the stream."""

        self.is_closing = False
        """Whether nothing more is to be sent on it."""

        self.batch_scans_max = 0
        """What the server allows in a batch; 0 is not told yet."""

        self._spool_id = spool_id
        self._window_batches = window_batches
        self._random = random
        self._next_sequence = 1
        self._next_number = 1
        self._waiting: list[Batch] = []
        self._in_flight: dict[int, Batch] = {}
        self._scans = self._bytes = 0  # In flight.
        self._window = Credit()
        self._hold_until_s = 0.0

    @property
    def unsettled(self) -> int:
        """How many scans have no outcome."""
        return self._scans + sum(len(batch.scans) for batch in self._waiting)

    def has_room(self) -> bool:
        """Tell whether another batch may be minted."""
        return len(self._waiting) + len(self._in_flight) < self._window_batches

    def mint(self, scans: Sequence[Scan]) -> None:
        """Number scans; from now on they have to get an outcome."""
        heapq.heappush(self._waiting, Batch(self._next_sequence, scans))
        self._next_sequence += len(scans)

    def open_message(self, client: str, version: str) -> bytes:
        """Begin a stream: encode its first message."""
        self._next_number = 1
        self.is_open = self.is_closing = False
        unsettled = [batch.first_sequence for batch in self._waiting]
        progress = SourceProgress(
            source_id=self.source_id,
            spool_id=self._spool_id,
            minted_through=self._next_sequence - 1,
            acked_through=min(unsettled, default=self._next_sequence) - 1,
        )
        return RawRecordScansRequest(
            open=Open(client=client, version=version, sources=[progress])
        ).SerializeToString()

    def next_message(self, now_s: float, now_ns: int) -> bytes | None:
        """Encode the next batch, where one is due and has room in the server's window."""
        if not self.is_open or self.is_closing or now_s < self._hold_until_s:
            return None
        if not self._waiting or self._waiting[0].due_s > now_s or not self._fits(self._waiting[0]):
            return None
        batch = heapq.heappop(self._waiting)
        batch.tries += 1
        batch.sent_s = now_s
        self._in_flight[self._next_number] = batch
        self._scans += len(batch.scans)
        self._bytes += batch.bytes
        request = RawRecordScansRequest()
        raw = request.batch
        raw.batch_number = self._next_number
        raw.source_id = self.source_id
        raw.spool_id = self._spool_id
        raw.first_sequence = batch.first_sequence
        raw.minted_through = self._next_sequence - 1
        raw.send_time.FromNanoseconds(now_ns)
        add = raw.scans.add
        for scan in batch.scans:
            add().event = scan.event
        self._next_number += 1
        return request.SerializeToString()

    def due_s(self) -> float | None:
        """Tell when to look again, unless a response comes before; None is never."""
        if not self._waiting or not self.is_open or self.is_closing:
            return None
        return max(self._waiting[0].due_s, self._hold_until_s)

    def take(self, response: RecordScansResponse, now_s: float) -> Settled | None:
        """Do what a response says. Raises Broken."""
        kind = response.WhichOneof("message")
        if kind == "result":
            return self._settle(response.result, now_s)
        if kind == "opened":
            self.is_open = True
            self._window = response.opened.window
            self.batch_scans_max = response.opened.limits.batch_scans_max
            if response.opened.durability not in _KNOWN:
                raise Broken(f"the durability {response.opened.durability} is not known")
        elif kind == "credit":
            self._window = response.credit
        elif kind == "draining":
            self.is_closing = True
        elif kind == "source_state" and response.source_state.status != SOURCE_STATUS_OPEN:
            raise Broken(f"the source is not open: {response.source_state.reason}")
        return None

    def stream_ended(self) -> None:
        """Take back what has no result: it may be durable or not, and is sent again."""
        for batch in self._in_flight.values():
            batch.due_s = 0.0
            heapq.heappush(self._waiting, batch)
        self._in_flight.clear()
        self._scans = self._bytes = 0
        self.is_open = False

    def _fits(self, batch: Batch) -> bool:
        """Tell whether a batch may be on its way, too. One always may."""
        return not self._in_flight or (
            self._scans + len(batch.scans) <= self._window.window_events
            and self._bytes + batch.bytes <= self._window.window_bytes
        )

    def _settle(self, result: BatchResult, now_s: float) -> Settled:
        oldest = next(iter(self._in_flight), 0)
        if result.batch_number != oldest:
            raise Broken(f"a result for batch {result.batch_number}, where {oldest} is next")
        batch = self._in_flight.pop(oldest, None)
        if batch is None:
            raise Broken("a result where no batch is in flight")
        self._scans -= len(batch.scans)
        self._bytes -= batch.bytes
        # What becomes of each index: seconds until it is sent again, durable, or refused.
        fates: list[float | Refusal | None] = [0.0] * len(batch.scans)
        for resend in result.resend:
            delay_s = resend.delay.seconds + resend.delay.nanos / 1e9
            for index in _indexes(resend.range.first, resend.range.last, batch):
                fates[index] = delay_s
        for refusal in result.refusals:
            for index in _indexes(refusal.index, refusal.index, batch):
                fates[index] = refusal
        for run in result.durable:
            for index in _indexes(run.first, run.last, batch):
                fates[index] = None
        again = self._send_again(batch, fates, now_s)
        reason = ResendReason.Name(result.resend[0].reason) if result.resend else "NOT_NAMED"
        return Settled(
            durable=[scan for scan, fate in zip(batch.scans, fates, strict=True) if fate is None],
            refused=[
                (scan, fate)
                for scan, fate in zip(batch.scans, fates, strict=True)
                if fate is not None and not isinstance(fate, float)
            ],
            again=again,
            reason=reason.removeprefix("RESEND_REASON_") if again else "",
            positions=result.highest_positions,
            waited_s=now_s - batch.sent_s,
        )

    def _send_again(
        self, batch: Batch, fates: Sequence[float | Refusal | None], now_s: float
    ) -> int:
        """Keep each run of scans that is to be sent again; return how many scans these are."""
        count, index = 0, 0
        while index < len(fates):
            fate, first = fates[index], index
            index += 1
            if not isinstance(fate, float):
                continue
            while index < len(fates) and fates[index] == fate:
                index += 1
            piece = Batch(batch.first_sequence + first, batch.scans[first:index], batch.tries)
            most_s = min(AGAIN_FIRST_S * 2.0 ** min(batch.tries - 1, 30), AGAIN_MAX_S)
            piece.due_s = now_s + fate + self._random() * most_s
            # Slowing down means all: no other scans are sent in the meantime.
            self._hold_until_s = max(self._hold_until_s, now_s + fate)
            heapq.heappush(self._waiting, piece)
            count += len(piece.scans)
        return count


def _indexes(first: int, last: int, batch: Batch) -> range:
    if last >= len(batch.scans) or first > last:
        raise Broken(f"a result for the scans {first} to {last} of {len(batch.scans)}")
    return range(first, last + 1)
