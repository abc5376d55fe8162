"""The client of a scanner that has a disk: what it has recorded outlives it.

    async with (
        open_spool(folder, source_id="gate-17") as spool,
        SpooledScanner("127.0.0.1:50731", source_id="gate-17", spool=spool) as scanner,
    ):
        receipt = await scanner.record(event)  # SPOOLED: on this disk; the ledger has it soon.

Like `Scanner`, but a scan is taken when its own spool has synced it, also while no ledger is there.
"""

from __future__ import annotations

import asyncio
import random as randomness
import time
from typing import TYPE_CHECKING, Self

import grpc

from ingest.forwarder import Forwarder
from ingest.scanner import CHANNEL_OPTIONS, Receipt
from ingest.spool_lanes import Outbound
from ledger.v1.ingest_service_pb2 import DURABILITY_SPOOLED, SourceProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from ingest.scanner_settings import ScannerCounts, ScannerSettings
    from ingest.spool import Spool
    from ledger.v1.scan_event_pb2 import ScanEvent


class SpooledScanner:
    """One source with its spool. Use it as an async context manager, from one event loop.

    Leaving it waits for results that are on their way, for `leave_s` at most; what has none stays
    in the spool, and the next one sends it, with the same event ids, sequences and bytes.
    """

    def __init__(
        self,
        target: str,
        *,
        source_id: str,
        spool: Spool,
        client: str = "parcel-ledger-scanner",
        version: str = "1",
        settings: ScannerSettings | None = None,
        channel: grpc.aio.Channel | None = None,
        leave_s: float = 5.0,
        now_ns: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = randomness.random,
    ) -> None:
        """Speak for `source_id` to the ledger at `target` (host and port). A scan's sequence is its
        place in the spool. A `channel` that is given is shared, and not closed.
        """
        self._target = target
        self._source_id = source_id
        self._spool = spool
        self._client = client
        self._version = version
        self._settings = settings
        self._channel = channel
        self._owns_channel = channel is None
        self._leave_s = leave_s
        self._now_ns = now_ns
        self._monotonic = monotonic
        self._random = random
        self._forwarder: Forwarder | None = None
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to connect, and to send what is in the spool; nothing is waited for."""
        if self._channel is None:
            self._channel = grpc.aio.insecure_channel(self._target, options=CHANNEL_OPTIONS)
        self._forwarder = Forwarder(
            self._channel,
            self._spool,
            read=self._read,
            progress=self._progress,
            minted_through=lambda _: self._spool.next_place - 1,
            speaks_for_many=False,
            client=self._client,
            version=self._version,
            settings=self._settings,
            now_ns=self._now_ns,
            monotonic=self._monotonic,
            random=self._random,
        )
        self._running = asyncio.create_task(self._forwarder.run(), name="forwarder")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave it to the spool. Raises Diverged where that was found damaged."""
        assert self._forwarder is not None
        assert self._channel is not None
        assert self._running is not None
        try:
            if error is None:
                self._forwarder.end()
                await asyncio.wait([self._running], timeout=self._leave_s)
            self._running.cancel()
            await asyncio.wait([self._running])
        finally:
            if self._owns_channel:
                await self._channel.close()
        if error is None and not self._running.cancelled():
            self._running.result()

    @property
    def counts(self) -> ScannerCounts:
        """What it did so far."""
        assert self._forwarder is not None
        return self._forwarder.counts

    @property
    def unsettled(self) -> int:
        """How many scans are in the spool and neither durable in the ledger nor refused."""
        return self._spool.unsettled

    async def record(self, event: bytes | ScanEvent) -> Receipt:
        """Record one scan, and return when it is on this machine's disk. As `Spool.append`."""
        return Receipt(DURABILITY_SPOOLED, await self.submit([event]), ())

    async def submit(self, events: Sequence[bytes | ScanEvent]) -> int:
        """Record scans, and return the first one's sequence when they are on this machine's disk;
        the others' follow. As `Spool.append`.
        """
        return await self._spool.append(
            [event if isinstance(event, bytes) else event.SerializeToString() for event in events]
        )

    async def flush(self) -> None:
        """Wait until every scan in the spool is durable in the ledger, or refused. Raises Diverged
        where the spool was found damaged.
        """
        assert self._running is not None
        less = asyncio.Event()
        self._spool.listeners.append(less.set)
        try:
            while self._spool.unsettled:
                less.clear()
                waiting = asyncio.ensure_future(less.wait())
                await asyncio.wait([waiting, self._running], return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                if self._running.done():
                    self._running.result()
        finally:
            self._spool.listeners.remove(less.set)

    def _read(self, event: bytes, place: int) -> Outbound:
        return Outbound(self._source_id, self._spool.spool_id, place, 0, event)

    def _progress(self) -> Sequence[SourceProgress]:
        return [
            SourceProgress(
                source_id=self._source_id,
                spool_id=self._spool.spool_id,
                minted_through=self._spool.next_place - 1,
                acked_through=self._spool.settled_through,
            )
        ]
