"""The network between processes, in the place of gRPC's: calls, servers, and who reaches whom.

Within one call messages keep their order; between calls nothing does. A call may be refused, lost
(seen by both ends, or late by one), half open (seen by neither), or played again by a proxy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import grpc

from ledger.app.rpc import ErrorsToStatus
from tests.simulation.calls import ServerCall, SimCall, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from tests.simulation.faults import Faults
    from tests.simulation.loop import SimLoop
    from tests.simulation.process import Process

LATENCY_S = 0.01
"""One way's time at most, but for slow messages."""

LATE_MOST_S = 2.0
"""How much later than its sender's end a message of a lost call may still arrive."""

SILENT_S = 12.0
"""After so long both ends of a half-open call know it: their pings were not answered."""


class _Details(NamedTuple):
    method: str
    invocation_metadata: tuple[()] = ()


class Server:
    """One process that serves, by the real handlers behind the real interceptor."""

    def __init__(self, process: Process, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        self.process = process
        self._handlers = handlers
        self._interceptor = ErrorsToStatus()
        self._found: dict[str, Any] = {}

    async def handler(self, method: str) -> Any:  # noqa: ANN401 - gRPC's own.
        """Find the handler of a method, wrapped as on a real server."""
        if method not in self._found:
            details: Any = _Details(method)
            self._found[method] = await self._interceptor.intercept_service(self._look_up, details)
        return self._found[method]

    async def _look_up(self, details: Any) -> Any:  # noqa: ANN401
        for handlers in self._handlers:
            if (found := handlers.service(details)) is not None:
                return found
        raise AssertionError(f"nobody serves {details.method}")


class Network:
    """All servers and calls of one world."""

    def __init__(self, loop: SimLoop, random: Random, faults: Faults) -> None:
        self.loop = loop
        self.random = random
        self.faults = faults
        self.servers: dict[str, Server] = {}
        """By address; several processes may serve under one name, as behind a balancer."""
        self.wires: dict[Wire, None] = {}
        """Calls that are under way."""
        self.on_window: Callable[[str], object] = bool
        """Told when a sender breaks its window."""

    def listen(
        self, address: str, process: Process, handlers: Sequence[grpc.GenericRpcHandler]
    ) -> None:
        self.servers[address] = Server(process, handlers)

    def unlisten(self, address: str, *, silent: bool = False) -> None:
        """Let a server be gone. Its calls are lost; where it went silently, nobody hears it."""
        server = self.servers.pop(address, None)
        if server is not None:
            for wire in list(self.wires):
                if wire.server is server.process:
                    (self.go_silent if silent else self.lose)(wire)

    def gone(self, process: Process, *, silent: bool = False) -> None:
        """A process that called died."""
        for wire in list(self.wires):
            if wire.client is process:
                (self.go_silent if silent else self.lose)(wire)

    def channel(self, process: Process, name: str) -> SimChannel:
        """Give a process a channel to the servers of a name."""
        return SimChannel(self, process, name)

    def begin(self, client: Process, name: str, method: str) -> Wire:
        """Begin a call with one of the servers of a name, where there is one."""
        addresses = [address for address in self.servers if address.startswith(name)]
        refused = not addresses
        if self.faults.fate("net") is not None:
            refused = True
        server = None if refused else self.servers[self.random.choice(addresses)]
        wire = Wire(self, client, server.process if server else None)
        wire.call = SimCall(wire)
        if server is None:
            self.loop.later(client, self.latency_s(), wire.call.end, grpc.StatusCode.UNAVAILABLE)
            return wire
        self.wires[wire] = None
        wire.context = ServerCall(wire)
        wire.up(self._serve, server, method, wire.context)
        return wire

    def _serve(self, server: Server, method: str, context: ServerCall) -> None:
        context.task = self.loop.create_task(context.run(server, method))

    def latency_s(self) -> float:
        return LATENCY_S * (0.1 + self.random.random())

    # --- what may become of a call ----------------------------------------------------------------

    def lose(self, wire: Wire) -> None:
        """Both ends see that it is over; what was on its way is gone, or still arrives, late."""
        if self.wires.pop(wire, self) is not None:
            return
        late_s = 0.0
        if self.random.random() < 0.5:
            late_s = LATE_MOST_S * self.random.random()
        else:
            wire.is_cut = True
        wire.hold_up(late_s)
        self.loop.later(wire.client, self.latency_s(), wire.call.end, grpc.StatusCode.UNAVAILABLE)
        wire.is_lost = True
        wire.up_last(wire.context.cancel)

    def go_silent(self, wire: Wire) -> None:
        """Nothing arrives any more, and neither end is told."""
        if self.wires.pop(wire, self) is not None:
            return
        wire.is_cut = wire.is_silent = True
        code = grpc.StatusCode.UNAVAILABLE
        self.loop.later(wire.client, SILENT_S, wire.call.end, code)
        if wire.server is not None:
            self.loop.later(wire.server, SILENT_S, wire.context.cancel)

    def play_again(self, wire: Wire) -> bool:
        """Let a proxy send what a call has sent so far to one of the servers, once more. Who
        listens to the answers is nobody.
        """
        if not wire.sent or not self.servers or not wire.name:
            return False
        again = self.begin(self.loop.outside, wire.name, wire.method)
        if again.server is None:
            return False
        for message in wire.sent:
            again.up(again.context.arrive, message)
        if self.random.random() < 0.5:
            again.up(again.context.arrive_end)
        return True


class SimChannel:
    """A `grpc.aio.Channel`, as far as it is used."""

    def __init__(self, network: Network, process: Process, name: str) -> None:
        self._network = network
        self._process = process
        self._name = name

    def stream_stream(self, method: str, response_deserializer: Any = None) -> Any:  # noqa: ANN401
        """Give what begins a call of streams."""

        def begin() -> SimCall:
            wire = self._network.begin(self._process, self._name, method)
            wire.name, wire.method, wire.call.parse = self._name, method, response_deserializer
            wire.call.watch_window()
            return wire.call

        return begin

    async def unary(self, method: str, request: bytes) -> bytes:
        """Call a method with one request and one response."""
        wire = self._network.begin(self._process, self._name, method)
        try:
            await wire.call.write(request)
            await wire.call.done_writing()
            response = await wire.call.read()
            assert isinstance(response, bytes)
            return response
        finally:
            wire.call.cancel()

    async def close(self) -> None:
        """Nothing is kept."""
