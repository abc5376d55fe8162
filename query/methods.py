"""A service's methods as gRPC handlers: bytes in, bytes out, each call counted and timed.

Requests are parsed by the method itself, so that bytes which are no request are answered as such,
and not as an error of the server.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import grpc

from ledger import metrics
from ledger.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping

    Unary = Callable[[bytes], Awaitable[bytes]]
    Stream = Callable[[bytes], AsyncGenerator[bytes, None]]

OK = "OK"
"""Status of an answered request; others have the name of the error."""


def generic_handler(
    service: str,
    *,
    unary: Mapping[str, Unary],
    streams: Mapping[str, Stream],
    monotonic: Callable[[], float],
) -> grpc.GenericRpcHandler:
    """Make the handler of a service, by its full name, from its methods by their names."""
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        name: grpc.unary_unary_rpc_method_handler(_unary(name, method, monotonic))
        for name, method in unary.items()
    }
    for name, method in streams.items():
        handlers[name] = grpc.unary_stream_rpc_method_handler(_stream(name, method))
    return grpc.method_handlers_generic_handler(service, handlers)


def _unary(name: str, method: Unary, monotonic: Callable[[], float]) -> Any:  # noqa: ANN401
    answered = metrics.QUERY_REQUESTS.labels(name, OK)
    seconds = metrics.QUERY_SECONDS.labels(name)

    async def call(request: bytes, _context: object) -> bytes:
        started_s = monotonic()
        try:
            response = await method(request)
        except LedgerError as error:
            metrics.QUERY_REQUESTS.labels(name, type(error).__name__).inc()
            raise
        answered.inc()
        seconds.observe(monotonic() - started_s)
        return response

    return call


def _stream(name: str, method: Stream) -> Any:  # noqa: ANN401 - what grpc takes has no good type.
    answered = metrics.QUERY_REQUESTS.labels(name, OK)

    async def call(request: bytes, _context: object) -> AsyncIterator[bytes]:
        try:
            async with aclosing(method(request)) as responses:
                async for response in responses:
                    yield response
        except LedgerError as error:
            metrics.QUERY_REQUESTS.labels(name, type(error).__name__).inc()
            raise
        answered.inc()

    return call
