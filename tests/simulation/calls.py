"""Both ends of one call, as `grpc.aio` has them, and the wire between.

Only what the code uses: reading, writing, ending, cancelling, and how each of them fails.
"""

# ruff: noqa: ANN401 - messages and handlers are gRPC's own.

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

import grpc

from tests.simulation.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.network import Network, Server
    from tests.simulation.process import Process

UNREAD_MOST = 12
"""Messages on their way one way; then a writer waits, as HTTP/2 holds it back."""


class Wire:
    """What one call's messages go over, each way in their order."""

    call: SimCall
    context: ServerCall

    def __init__(self, network: Network, client: Process, server: Process | None) -> None:
        self.network = network
        self.client = client
        self.server = server
        self.name = self.method = ""
        self.sent: list[bytes] = []
        """What the client sent: for a proxy that sends it again."""
        self.is_cut = False
        """What is on its way does not arrive."""
        self.is_lost = False
        """The client is told that it is over; the server hears it behind all that still arrives."""
        self.is_silent = False
        self.held_until_s = 0.0
        """What is on its way to the server does not arrive before."""
        self._up_at = self._down_at = 0.0

    def up(self, deliver: Callable[..., object], *args: object) -> None:
        """Bring something to the server."""
        if self.server is None or self.is_cut or self.is_lost:
            return
        network = self.network
        now_s = network.loop.time()
        self._up_at = max(self._up_at, now_s + network.latency_s())
        network.loop.later(self.server, self._up_at - now_s, self._deliver_up, deliver, args)

    def up_last(self, deliver: Callable[..., object]) -> None:
        """Bring the server the last that it hears."""
        loop = self.network.loop
        if self.server is not None:
            self._up_at = max(self._up_at, loop.time() + self.network.latency_s())
            loop.later(self.server, self._up_at - loop.time(), deliver)

    def down(self, deliver: Callable[..., object], *args: object) -> None:
        """Bring something to the client."""
        if self.is_cut or self.is_lost:
            return
        network = self.network
        now_s = network.loop.time()
        self._down_at = max(self._down_at, now_s + network.latency_s())
        network.loop.later(self.client, self._down_at - now_s, self._deliver, deliver, args)

    def hold_up(self, seconds: float) -> None:
        """Let what is on its way to the server, and what comes next, arrive that much later."""
        self.held_until_s = self.network.loop.time() + seconds
        self._up_at = max(self._up_at, self.held_until_s)

    def hold_down(self, seconds: float) -> None:
        """Let what comes next from the server arrive that much later."""
        self._down_at = max(self._down_at, self.network.loop.time()) + seconds

    def over(self) -> None:
        """It has ended in good order."""
        self.network.wires.pop(self, None)

    def _deliver_up(self, deliver: Callable[..., object], args: tuple[object, ...]) -> None:
        loop = self.network.loop
        if self.held_until_s > loop.time():
            wait_s = self.held_until_s - loop.time()
            loop.later(self.server, wait_s, self._deliver, deliver, args)
        elif not self.is_cut:
            deliver(*args)

    def _deliver(self, deliver: Callable[..., object], args: tuple[object, ...]) -> None:
        if not self.is_cut:
            deliver(*args)


class _End:
    """One end: what arrived and is not read, and who waits."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._inbox: deque[bytes] = deque()
        self._is_ended = False  # Nothing more will arrive.
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._unread = 0  # Sent by us, and not read by the other end.

    def arrive(self, message: bytes) -> None:
        self._inbox.append(message)
        self._wake()

    def arrive_end(self) -> None:
        self._is_ended = True
        self._wake()

    def was_read(self) -> None:
        """The other end read one of ours."""
        self._unread -= 1
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(None)

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def _room(self) -> None:
        """Wait until the other end reads."""
        self._unread += 1
        while self._unread > UNREAD_MOST and not self._is_ended:
            self._writer = asyncio.get_running_loop().create_future()
            await self._writer

    async def _next(self) -> bytes | None:
        """Wait for a message; None at the end."""
        while not self._inbox:
            if self._is_ended:
                return None
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        return self._inbox.popleft()


class SimCall(_End):
    """The client's end."""

    parse: Any = None

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire)
        self._status: tuple[grpc.StatusCode, str, Any] | None = None
        self._has_closed = False
        self._window: Window | None = None

    def watch_window(self) -> None:
        """Watch whether the client keeps to the window."""
        self._window = Window(self.wire.network.on_window)

    async def write(self, message: bytes) -> None:
        if self._status is not None:
            raise asyncio.InvalidStateError("RPC already finished.")
        if self._window is not None:
            self._window.sent(message)
        self.wire.sent.append(message)
        self.wire.up(self.wire.context.arrive, message) if self.wire.server else None
        try:
            await asyncio.sleep(0)
            await self._room()
        except asyncio.CancelledError:
            self.cancel()
            raise
        self._raise_where_over()

    async def done_writing(self) -> None:
        if self._status is None and not self._has_closed and self.wire.server:
            self._has_closed = True
            self.wire.up(self.wire.context.arrive_end)

    async def read(self) -> object:
        try:
            message = await self._next()
        except asyncio.CancelledError:
            self.cancel()
            raise
        if message is None:
            self._raise_for_status()
            return grpc.aio.EOF
        self.wire.up(self.wire.context.was_read)
        if self.parse is None:
            return message
        response = self.parse(message)
        if self._window is not None:
            self._window.received(response)
        return response

    def cancel(self) -> None:
        if self._status is None:
            if self.wire.server is not None and not self.wire.is_lost:
                self.wire.up(self.wire.context.cancel)
            self.end(grpc.StatusCode.CANCELLED)

    def end(self, code: grpc.StatusCode, details: str = "", metadata: Any = ()) -> None:
        """The call is over."""
        if self._status is None:
            self._status = (code, details, metadata)
            self.arrive_end()
            self.wire.over()
            if self._writer is not None and not self._writer.done():
                self._writer.set_result(None)

    async def code(self) -> grpc.StatusCode:
        assert self._status is not None
        return self._status[0]

    async def details(self) -> str:
        assert self._status is not None
        return self._status[1]

    async def trailing_metadata(self) -> Any:
        assert self._status is not None
        return self._status[2]

    def _raise_where_over(self) -> None:
        if self._status is not None:
            self._raise_for_status()

    def _raise_for_status(self) -> None:
        assert self._status is not None
        code, details, metadata = self._status
        if code is not grpc.StatusCode.OK:
            empty = grpc.aio.Metadata()
            trailing = grpc.aio.Metadata(*metadata)
            raise grpc.aio.AioRpcError(code, empty, trailing, details)


class ServerCall(_End):
    """The server's end: a servicer context."""

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire)
        self.task: asyncio.Task[None] | None = None
        self._is_gone = False
        self._serializer: Any = None
        self._status: tuple[grpc.StatusCode, str, Any] = (grpc.StatusCode.OK, "", ())

    async def run(self, server: Server, method: str) -> None:
        """Serve the call, and say how it ended."""
        handler = await server.handler(method)
        self._serializer = handler.response_serializer
        try:
            if handler.response_streaming:
                await handler.stream_stream(self, self)
            else:
                await self.write(await handler.stream_unary(self, self))
        except grpc.aio.AbortError:
            pass  # The status says it.
        except asyncio.CancelledError:
            self._status = (grpc.StatusCode.CANCELLED, "", ())
            if not self._is_gone:
                self.wire.down(self.wire.call.end, *self._status)
            raise
        except Exception as error:  # As gRPC does it.
            self._status = (grpc.StatusCode.UNKNOWN, repr(error), ())
        self.wire.down(self.wire.call.end, *self._status)

    def cancel(self) -> None:
        """The client is gone."""
        self._is_gone = True
        self.arrive_end()
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(None)
        if self.task is not None:
            self.task.cancel()

    async def read(self) -> object:
        message = await self._next()
        if message is None:
            return grpc.aio.EOF
        self.wire.down(self.wire.call.was_read)
        return message

    async def write(self, message: Any) -> None:
        if self._is_gone:
            raise grpc.aio.InternalError("the client is gone")
        data = self._serializer(message) if self._serializer else message
        self.wire.down(self.wire.call.arrive, data)
        await asyncio.sleep(0)
        await self._room()

    async def abort_with_status(self, status: Any) -> None:
        self._status = (status.code, status.details, tuple(status.trailing_metadata or ()))
        raise grpc.aio.AbortError
