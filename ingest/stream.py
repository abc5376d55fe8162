"""One stream of scans: its window, its sources, and its results in the order of its batches.

The task of the call reads; a second task writes, and exists only while there is something to
write, so that an idle stream costs little.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import grpc
from google.protobuf.message import DecodeError

from ingest.admission import check_batch
from ingest.opening import check_open, check_sources
from ingest.window import Window
from ledger.errors import Busy, LedgerError, Refused, Uncertain
from ledger.v1.ingest_service_pb2 import (
    SOURCE_STATUS_OPEN,
    SOURCE_STATUS_TAKEN_OVER,
    Credit,
    Opened,
    RecordScansResponse,
    SourceProgress,
    SourceState,
)
from ledger.v1.raw_pb2 import RawBatch, RawRecordScansRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ingest.intake import Intake, Taken
    from ingest.limits import IngestLimits
    from ingest.recent import Hint, Source

Context: TypeAlias = "grpc.aio.ServicerContext[bytes, RecordScansResponse]"

_Item: TypeAlias = "RecordScansResponse | _State | tuple[Taken, int]"

_FRAME_BYTES: Final = 5
"""What a request adds to its batch at most: a tag, and a length of up to four bytes."""


class _State(NamedTuple):
    """What became of a source. Many may wait, so the message is made when it is written."""

    source: Source
    is_open: bool

    def response(self, hint: Hint | None) -> RecordScansResponse:
        state = SourceState(
            source_id=self.source[0], spool_id=self.source[1], status=SOURCE_STATUS_OPEN
        )
        if self.is_open and hint is not None:
            for ranges, field in ((hint.durable, state.durable), (hint.refused, state.refused)):
                for first, last in ranges:
                    field.add(first=first, last=last)
            for begin, checksums in hint.contents:
                state.contents.add(first=begin, crc32=checksums)
        if not self.is_open:
            state.status = SOURCE_STATUS_TAKEN_OVER
            state.reason = "A newer stream speaks for this source and spool."
        return RecordScansResponse(source_state=state)


class Stream:
    """One call of RecordScans."""

    def __init__(
        self,
        context: Context,
        *,
        intake: Intake,
        limits: IngestLimits,
        speakers: dict[Source, Stream],
    ) -> None:
        """`speakers` tells which stream speaks for a numbered source; all streams share it."""
        self._context = context
        self._intake = intake
        self._limits = limits
        self._speakers = speakers
        self._sources: dict[Source, bool] = {}  # Whether it is open here.
        self._outbox: deque[_Item] = deque()
        self._states = 0  # Of sources, in the outbox.
        self._answering: Taken | None = None  # The batch whose result is waited for.
        self._is_writing = False
        self._next_number = 1
        self._message_bytes = 0  # Of the request that was read last.
        self._has_room = True  # Whether there was any for the request that was read last.
        self._window = Window(intake.pace.window)
        self._turn = asyncio.Lock()  # One writes at a time.
        self._less: asyncio.Future[None] | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._task: asyncio.Task[None] | None = None
        self._ending: Uncertain | None = None

    async def serve(self, opened: Callable[[], Opened]) -> None:
        """Answer until the sender closes its side, or breaks a rule: then raise it, in the end."""
        self._task = asyncio.current_task()
        error: LedgerError | None = None
        try:
            async with asyncio.TaskGroup() as self._tasks:
                try:
                    await self._read_all(opened)
                except LedgerError as broken:
                    error = broken  # The results of what came before it go out first.
        except asyncio.CancelledError:
            if self._ending is None or self._task is None:
                raise
            self._task.uncancel()
            error = self._ending
        finally:
            self._abandon()
            self._intake.sources -= len(self._sources)
            for source in self._sources:
                if self._speakers.get(source) is self:
                    del self._speakers[source]
        if error is not None:
            raise error

    def send(self, item: _Item) -> None:
        """Put a response, or what makes one, behind what waits to be written."""
        self._outbox.append(item)
        if not self._is_writing and self._tasks is not None:
            self._is_writing = True
            self._tasks.create_task(self._write_all())

    def end(self, error: Uncertain) -> None:
        """End the stream with an error, now."""
        if self._task is not None and self._ending is None:
            self._ending = error
            self._task.cancel()

    async def _write_all(self) -> None:
        """Write until there is nothing more to write, or nobody there to read it."""
        try:
            while self._outbox:
                await self._write(self._outbox.popleft())
            self._is_writing = False
        except grpc.aio.InternalError:
            # The sender is gone, and gRPC is about to end the call. What was taken is recorded all
            # the same; the sender sends it again, and the ledger knows it.
            self._abandon()
            self._states = 0

    def _abandon(self) -> None:
        """Leave what has no result yet to itself."""
        if self._answering is not None:
            self._intake.abandon(self._answering)
        for item in self._outbox:
            if not isinstance(item, RecordScansResponse | _State):
                self._intake.abandon(item[0])
        self._answering = None
        self._outbox.clear()

    async def _write(self, item: _Item) -> None:
        if isinstance(item, RecordScansResponse):
            async with self._turn:
                await self._context.write(item)
            return
        if isinstance(item, _State):
            async with self._turn:
                await self._context.write(item.response(self._intake.hint(item.source)))
            self._states -= 1
            self._signal()
            return
        taken, size = item
        self._answering = taken
        result = await self._intake.result(taken)
        self._answering = None
        async with self._turn:
            await self._context.write(RecordScansResponse(result=result))
            self._window.settle(taken.scans, size)
        self._tell_window()
        self._signal()

    def _signal(self) -> None:
        if self._less is not None and not self._less.done():
            self._less.set_result(None)

    async def _read_all(self, opened: Callable[[], Opened]) -> None:
        request = await self._read()
        if request is None:
            return
        if request.WhichOneof("message") != "open":
            raise Refused("The first message must be `open`.", reason="OPEN_REQUIRED", field="open")
        check_open(request.open)
        self._window = Window(self._intake.pace.window)
        self.send(RecordScansResponse(opened=opened()))
        self._mention_all(request.open.sources)
        while (request := await self._read()) is not None:
            kind = request.WhichOneof("message")
            if kind == "batch":
                self._take(request.batch, self._message_bytes)
            elif kind == "heartbeat":
                check_sources(request.heartbeat.sources, "heartbeat.sources")
                self._mention_all(request.heartbeat.sources)
            elif kind == "open":
                raise Refused(
                    "Only the first message is `open`.", reason="OPEN_TWICE", field="open"
                )
            else:
                raise Refused(
                    "The message is none of open, batch and heartbeat; this server knows no other.",
                    reason="MESSAGE_UNKNOWN",
                )

    async def _read(self) -> RawRecordScansRequest | None:
        """Read a request, or None at the end. Waits while too much of this stream has no result,
        and for a while where too much of all streams has none: HTTP/2 then holds the sender back.
        """
        batcher, most_s = self._intake.batcher, self._limits.room_wait_s
        while (
            self._window.batches >= self._limits.batches_per_stream_max
            or self._states >= self._limits.states_waiting_max
        ):
            self._less = asyncio.get_running_loop().create_future()
            await self._less
        if not batcher.has_room:
            await batcher.wait_for_room(most_s)
        message: object = await self._context.read()
        if not isinstance(message, bytes):
            return None  # The sender closed its side: `grpc.aio.EOF`.
        self._has_room = batcher.has_room or await batcher.wait_for_room(most_s)
        self._message_bytes = len(message)
        try:
            return RawRecordScansRequest.FromString(message)
        except DecodeError as error:
            raise Refused(
                "The message cannot be decoded: it is no RecordScansRequest, or an id in it is "
                "not UTF-8.",
                reason="MESSAGE_UNDECODABLE",
            ) from error

    def _take(self, batch: RawBatch, message_bytes: int) -> None:
        if batch.batch_number != self._next_number:
            raise Refused(
                f"The batch has the number {batch.batch_number}; the next one on this stream is "
                f"{self._next_number}.",
                reason="BATCH_NUMBER",
                field="batch.batch_number",
                metadata={"expected": str(self._next_number)},
            )
        count, size = len(batch.scans), message_bytes - _FRAME_BYTES
        check_batch(batch, message_bytes)
        self._window.take(count, size, retry_s=self._limits.busy_retry_s)
        is_open = self._mention(batch.source_id, batch.spool_id)
        taken = self._intake.take(batch, message_bytes, is_open=is_open, has_room=self._has_room)
        self._next_number += 1
        self.send((taken, size))
        self._tell_window()

    def _tell_window(self) -> None:
        """Tell the sender where its window has changed. Only who sends is told: so a change costs
        nothing for streams that are idle.
        """
        window = self._intake.pace.window
        if window is not self._window.told and self._tasks is not None:
            self._window.told = window
            self._tasks.create_task(self._write_window(window))

    async def _write_window(self, window: Credit) -> None:
        """Write a window at once: it does not wait for results that wait for a slow log."""
        with suppress(grpc.aio.InternalError):  # The sender is gone.
            async with self._turn:
                self._window.grant(window)
                await self._context.write(RecordScansResponse(credit=window))

    def _mention_all(self, sources: Sequence[SourceProgress]) -> None:
        self._intake.hear(
            [source for source in sources if self._mention(source.source_id, source.spool_id)]
        )

    def _mention(self, source_id: str, spool_id: bytes) -> bool:
        """Tell whether a source is open here; its first mention opens it."""
        source = (source_id, spool_id)
        is_open = self._sources.get(source)
        if is_open is not None:
            return is_open
        if len(self._sources) >= self._limits.sources_per_stream_max:
            raise Refused(
                f"The stream speaks for more than {self._limits.sources_per_stream_max} sources; "
                "open another stream.",
                reason="TOO_MANY_SOURCES",
                field="batch.source_id",
            )
        if self._intake.sources >= self._limits.sources_max:
            raise Busy(
                "All streams together speak for as many sources as the server takes.",
                reason="SOURCES_BUSY",
                retry_after_s=self._limits.busy_retry_s,
            )
        self._intake.sources += 1
        self._sources[source] = True
        if spool_id:  # An unnumbered source may be spoken for by any number of streams.
            older = self._speakers.get(source)
            self._speakers[source] = self
            if older is not None:
                older.lose(source)
        self._say(_State(source, is_open=True))
        return True

    def lose(self, source: Source) -> None:
        """A newer stream speaks for a source; say so. What is in flight gets its result."""
        self._sources[source] = False
        self._say(_State(source, is_open=False))

    def _say(self, state: _State) -> None:
        self._states += 1
        self.send(state)
