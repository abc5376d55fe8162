"""The client of a scanner, a machine or a gateway: hands scans over and learns what is durable.

    async with Scanner("127.0.0.1:50051", source_id="gate-17") as scanner:
        receipt = await scanner.record(event)

It batches, numbers, and sends again what may be sent again, over restarts of the server. A scan
stays here until it is durable or refused; what stays here is bounded, and lost with the process.
"""

from __future__ import annotations

import asyncio
import os
import random as randomness
import time
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import grpc

from ingest.scanner_batch import Outcome
from ingest.scanner_ending import ScannerStopped
from ingest.scanner_link import Link
from ingest.scanner_outgoing import Outgoing
from ingest.scanner_settings import ScannerCounts, ScannerSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from ledger.v1.ingest_service_pb2 import Durability, Refusal
    from ledger.v1.position_pb2 import Position
    from ledger.v1.scan_event_pb2 import ScanEvent

__all__ = [
    "BufferFull",
    "Outcome",
    "Receipt",
    "ScanRefused",
    "Scanner",
    "ScannerCounts",
    "ScannerSettings",
    "ScannerStopped",
    "new_event_id",
]

ID_BYTES: Final = 16
"""Length of an event id and of a spool id."""

CHANNEL_OPTIONS: Final = (
    ("grpc.keepalive_time_ms", 30_000),  # A mobile network forgets silent connections.
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    # The waits between attempts are ours, with jitter; gRPC's own grow to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.enable_retries", 0),
)


def new_event_id(random_bytes: Callable[[int], bytes] = os.urandom) -> bytes:
    """Mint an event id. Do it once for each scan, and keep it with the scan over every retry."""
    return random_bytes(ID_BYTES)


class Receipt(NamedTuple):
    """A scan was recorded."""

    durability: Durability.ValueType
    """How safe it is now."""

    sequence: int
    """Its number in the spool; 0 where the source is unnumbered."""

    positions: Sequence[Position]
    """Given to a trail request as `at_least`, they make the trail show the scan."""


class ScanRefused(Exception):
    """The ledger refused a scan, and always will. `refusal` says which field and why."""

    def __init__(self, refusal: Refusal) -> None:
        """`refusal` is as it came over the wire."""
        super().__init__(refusal.message)
        self.refusal = refusal


class BufferFull(Exception):
    """Too many scans are without an outcome. Nothing was taken: wait, then hand over again."""


class Scanner:
    """One source. Use it as an async context manager, from one event loop.

    Leaving it without an error waits until every scan is durable or refused, and raises
    ScannerStopped where that cannot be and no call has said so. Leaving it with an error ends at
    once: what has no outcome then may be durable or not.
    """

    def __init__(
        self,
        target: str,
        *,
        source_id: str,
        spool_id: bytes | None = None,
        next_sequence: int = 1,
        acked_through: int = 0,
        client: str = "parcel-ledger-scanner",
        version: str = "1",
        settings: ScannerSettings | None = None,
        on_refused: Callable[[bytes, Refusal], None] | None = None,
        channel: grpc.aio.Channel | None = None,
        now_ns: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = randomness.random,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Speak for `source_id` to the ledger at `target` (host and port).

        `spool_id` None makes a new spool; a program that keeps its spool over restarts gives it
        with the `next_sequence`, and with the `acked_through` up to which it knows all to be
        durable or refused; empty is unnumbered. `on_refused` is told each refused event.
        A `channel` that is given is shared, and not closed.
        """
        self.spool_id = random_bytes(ID_BYTES) if spool_id is None else spool_id
        self.counts = ScannerCounts()
        self._target = target
        self._settings = settings or ScannerSettings()
        self._channel = channel
        self._owns_channel = channel is None
        self._outgoing = Outgoing(
            source_id=source_id,
            spool_id=self.spool_id,
            next_sequence=next_sequence if self.spool_id else 0,
            acked_through=acked_through if self.spool_id else 0,
            batch_scans=self._settings.batch_scans,
            batch_bytes=self._settings.batch_bytes,
            counts=self.counts,
            on_left=self._on_left,
            on_refused=on_refused or _ignore,
        )
        self._make_link = partial(
            Link,
            outgoing=self._outgoing,
            client=client,
            version=version,
            settings=self._settings,
            counts=self.counts,
            now_ns=now_ns,
            monotonic=monotonic,
            random=random,
        )
        self._link: Link | None = None
        self._running: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._left = asyncio.Event()  # Something got its outcome.
        self._stopped: ScannerStopped | None = None
        self._is_untold = False  # Whether scans had no outcome when it stopped, and nobody knows.

    async def __aenter__(self) -> Self:
        """Begin to connect; nothing is waited for."""
        if self._channel is None:
            self._channel = grpc.aio.insecure_channel(self._target, options=CHANNEL_OPTIONS)
        self._link = self._make_link(self._channel)
        # One task, and no group: a group would wrap the body's errors.
        self._running = asyncio.create_task(self._run(self._link))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish, or give up where the body failed."""
        assert self._link is not None
        assert self._channel is not None
        assert self._running is not None
        if error is None:
            self._link.finish()
        else:
            self._running.cancel()
        try:
            await self._running
        except asyncio.CancelledError:
            if error is None:
                raise
        finally:
            self._running.cancel()
            self._stop(ScannerStopped("the scanner was closed"))
            if self._owns_channel:
                await self._channel.close()
        if error is None and self._stopped is not None and self._is_untold:
            raise self._stopped

    @property
    def next_sequence(self) -> int:
        """The number of the next scan: what a program keeps with its spool id over restarts."""
        return self._outgoing.next_sequence

    @property
    def acked_through(self) -> int:
        """The number up to which every scan is known to be durable or refused; 0 is none. A program
        keeps it, too.
        """
        return self._outgoing.acked_through()

    @property
    def unsettled(self) -> int:
        """How many scans were handed over and are neither durable nor refused, as far as is known.
        When the scanner has stopped they stay so.
        """
        return self._outgoing.scans

    async def record(self, event: bytes | ScanEvent) -> Receipt:
        """Record one scan, and return when it is durable.

        Raises ScanRefused, or ScannerStopped. Cancelling it does not take the scan back.
        """
        future = await self.submit([event])
        try:
            outcome = await future
        except ScannerStopped:
            self._is_untold = False
            raise
        if outcome.refusals:
            raise ScanRefused(outcome.refusals[0])
        return Receipt(outcome.durability, outcome.first_sequence, outcome.positions)

    async def submit(self, events: Sequence[bytes | ScanEvent]) -> asyncio.Future[Outcome]:
        """Hand scans over, and return as soon as there is room for them. The future says what
        became of them; it fails with ScannerStopped. Encoded events go out as they are.
        """
        encoded = _encode(events)
        async with self._turn:  # First come, first served.
            while not self._has_room(encoded):
                self._left.clear()
                await self._left.wait()
            return self._submit(encoded)

    def submit_nowait(self, events: Sequence[bytes | ScanEvent]) -> asyncio.Future[Outcome]:
        """Hand scans over, or raise BufferFull. Raises ScannerStopped, too."""
        encoded = _encode(events)
        if self._turn.locked() or not self._has_room(encoded):
            raise BufferFull(f"{self._outgoing.scans} scans have no outcome yet; wait for some.")
        return self._submit(encoded)

    async def flush(self) -> None:
        """Wait until every scan that was handed over is durable or refused."""
        while self._outgoing.scans and self._stopped is None:
            self._left.clear()
            await self._left.wait()
        if self._stopped is not None:
            self._is_untold = False
            raise self._stopped

    def _has_room(self, events: Sequence[bytes]) -> bool:
        """Tell whether they fit; alone they always do. None waits for room when it stopped."""
        outgoing, settings = self._outgoing, self._settings
        if self._stopped is not None or not outgoing.scans:
            return True
        return (
            outgoing.scans + len(events) <= settings.buffer_scans
            and outgoing.bytes + sum(map(len, events)) <= settings.buffer_bytes
        )

    def _submit(self, events: Sequence[bytes]) -> asyncio.Future[Outcome]:
        if self._stopped is not None:
            self._is_untold = False
            raise self._stopped
        if self._link is None:
            raise RuntimeError("use the scanner within `async with`")
        if not events:
            raise ValueError("there is no event to submit")
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._outgoing.submit(events, future)
        self._link.wake()
        return future

    async def _run(self, link: Link) -> None:
        try:
            await link.run()
        except ScannerStopped as stopped:
            self._stop(stopped)
        except Exception as error:
            self._stop(ScannerStopped(f"the scanner met an error of its own: {error!r}"))
            raise

    def _stop(self, stopped: ScannerStopped) -> None:
        if self._stopped is None:
            self._stopped = stopped
            self._is_untold = bool(self._outgoing.scans)
            self._outgoing.give_up(stopped)
            self._left.set()

    def _on_left(self) -> None:
        self._left.set()


def _encode(events: Sequence[bytes | ScanEvent]) -> list[bytes]:
    return [event if isinstance(event, bytes) else event.SerializeToString() for event in events]


def _ignore(_: bytes, __: Refusal) -> None:
    """Do nothing: who records learns it by the outcome."""
