"""A scanner's stream on the network: opened again whenever it ends, until all is settled.

What was in flight when a stream ended may be durable or not; it is sent again with the same event
ids, by which the ledger knows it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import grpc

from ingest.scanner_ending import Ending, Next, ScannerStopped, ending_of
from ingest.scanner_session import Session
from ledger.v1.ingest_service_pb2 import (
    REFUSAL_REASON_TOO_LARGE,
    RecordScansResponse,
    Refusal,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ingest.scanner_batch import OutBatch
    from ingest.scanner_session import Outbox
    from ingest.scanner_settings import ScannerCounts, ScannerSettings

RECORD_SCANS: Final = "/ledger.v1.IngestService/RecordScans"


class Link:
    """Sends what is in an outbox. `run` does the work."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        *,
        outgoing: Outbox,
        client: str,
        version: str,
        settings: ScannerSettings,
        counts: ScannerCounts,
        now_ns: Callable[[], int],
        monotonic: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        self._record_scans: Callable[[], Any] = channel.stream_stream(
            RECORD_SCANS, response_deserializer=RecordScansResponse.FromString
        )
        self._outgoing = outgoing
        self._client = client
        self._version = version
        self._settings = settings
        self._counts = counts
        self._now_ns = now_ns
        self._monotonic = monotonic
        self._random = random
        self._wake = asyncio.Event()
        self._is_finishing = False
        self._is_over = False  # The stream.
        self._failures = 0  # In a row.

    def wake(self) -> None:
        """Say that there is more to send."""
        self._wake.set()

    def finish(self) -> None:
        """Let `run` end as soon as everything is settled."""
        self._is_finishing = True
        self._wake.set()

    async def run(self) -> None:
        """Send until `finish` was called and everything is settled. Raises ScannerStopped."""
        while not self._is_done():
            session = Session(
                self._outgoing,
                settings=self._settings,
                counts=self._counts,
                random=self._random,
                now_s=self._monotonic(),
                is_careful=self._failures > 0,
            )
            try:
                ending = await self._one_stream(session)
            finally:
                self._counts.is_open = False
                left = session.take_back()
            if session.stop_reason:
                raise self._stopped(session.stop_reason)
            self._recover(ending, left)
            if session.is_proven:
                self._failures = 0
            if not self._is_done():
                await asyncio.sleep(self._wait_s(ending))

    def _is_done(self) -> bool:
        return self._is_finishing and not self._outgoing.scans

    async def _one_stream(self, session: Session) -> Ending:
        """Open a stream, and use it until it ends."""
        self._is_over = False
        call = self._record_scans()
        try:
            async with asyncio.TaskGroup() as tasks:
                reader = tasks.create_task(self._read_all(call, session))
                await self._send_all(call, session)
                is_dead = not self._is_over
                reader.cancel()
            if is_dead:
                return Ending(Next.WAIT, "the server gave no answer in time")
            return ending_of(
                await call.code(), await call.details(), await call.trailing_metadata()
            )
        finally:
            call.cancel()

    async def _read_all(self, call: Any, session: Session) -> None:  # noqa: ANN401 - grpc's own.
        """Take responses until the stream ends."""
        try:
            while isinstance(response := await call.read(), RecordScansResponse):
                session.take(response, self._monotonic())
                self._wake.set()
        except grpc.aio.AioRpcError:
            pass  # `_one_stream` reads the status.
        self._is_over = True
        self._wake.set()

    async def _send_all(self, call: Any, session: Session) -> None:  # noqa: ANN401
        """Send until the stream is over, or is to be given up because it is dead."""
        await self._try(call.write(session.open_message(self._client, self._version)))
        while not self._is_over and not session.is_closing and not self._is_done():
            self._wake.clear()
            now_s = self._monotonic()
            if session.is_dead(now_s):
                return
            if message := session.next_message(now_s, self._now_ns()):
                await self._try(call.write(message))
            elif not session.is_closing:
                await self._sleep(session.due_s() - now_s)
        await self._finish_stream(call)

    async def _finish_stream(self, call: Any) -> None:  # noqa: ANN401
        """Say that nothing more will come, and wait for the results of what was sent."""
        if not self._is_over:
            await self._try(call.done_writing())
        end_s = self._monotonic() + self._settings.result_deadline_s
        while not self._is_over and (left_s := end_s - self._monotonic()) > 0:
            self._wake.clear()
            await self._sleep(left_s)

    async def _try(self, sending: Any) -> None:  # noqa: ANN401
        """Send something. What goes wrong with it shows in the status of the stream."""
        try:
            async with asyncio.timeout(self._settings.result_deadline_s):
                await sending
        except (TimeoutError, grpc.aio.AioRpcError, asyncio.InvalidStateError):
            self._is_over = True

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(max(seconds, 0.0)):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _recover(self, ending: Ending, left: list[OutBatch[Any]]) -> None:
        """Do with what had no result what the ending says; as a rule it is sent again as it is."""
        is_size = ending.next is Next.SPLIT_BATCH
        if ending.next is Next.STOP or (is_size and not left):
            raise self._stopped(ending.message)
        if not is_size:
            return
        guilty = max(left, key=lambda batch: batch.bytes)
        self._outgoing.withdraw(guilty)
        last = len(guilty.events) - 1
        if last:
            for piece in (guilty.cut(0, last // 2), guilty.cut(last // 2 + 1, last)):
                self._outgoing.send_again(piece, 0.0)
            return
        # A scan that is too large alone: no other batch can carry it.
        refusal = Refusal(
            field=ending.field or "batch", reason=REFUSAL_REASON_TOO_LARGE, message=ending.message
        )
        self._outgoing.refuse(guilty, [refusal])

    def _stopped(self, reason: str) -> ScannerStopped:
        """Say why it stops, and what that leaves open."""
        return ScannerStopped(f"{reason}; scans that have no outcome: {self._outgoing.scans}")

    def _wait_s(self, ending: Ending) -> float:
        """Tell how long to wait before the next stream."""
        if ending.next is not Next.WAIT:
            return self._settings.jittered_s(0, self._random)
        self._failures += 1
        return ending.retry_after_s + self._settings.jittered_s(self._failures - 1, self._random)
