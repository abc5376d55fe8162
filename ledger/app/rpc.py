"""The gRPC side of the process: a server's life, and errors to status codes by one table.

Services raise `LedgerError`s and know nothing of status codes. Every error goes out with an
ErrorInfo; BadRequest names the field and RetryInfo the wait where there is one. Nothing else does:
an unexpected error becomes INTERNAL without a word of what happened inside.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from typing import Any, Final, NoReturn, TypeAlias

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from grpc_status import rpc_status

from ledger import errors
from ledger.app.message_gate import MessageGate

logger = logging.getLogger(__name__)

_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
_Read: TypeAlias = Callable[[Any, Any], Awaitable[Any]]

ERROR_DOMAIN: Final = "parcel-ledger"
"""Domain of the reasons in every ErrorInfo."""

MESSAGE_BYTES_MAX: Final = 4 << 20
"""Most bytes of one message in: four times the largest batch. gRPC answers more with
RESOURCE_EXHAUSTED.
"""

RESPONSE_BYTES_MAX: Final = 4 << 20
"""Most bytes of one message out: twice the largest page of a trail."""

STATUS_BYTES_MAX: Final = 5 << 10
"""Most bytes of an encoded status: base64 makes 7 KiB of it, and gRPC clients take 8 KiB of
trailers. A larger one would reach them as another error.
"""

ERROR_TEXT_MAX: Final = 1_000
"""Most characters of an error's message: it goes out twice or three times."""

KEEPALIVE_MIN_MS: Final = 20_000
"""How often a client may ping: scanners behind mobile networks need it every 20 s or so."""

STREAMS_PER_CONNECTION_MAX: Final = 1_000
"""Most calls at once on one connection. A client's library holds back what is over without a word,
so it has to be more than all scanners of a facility that share a connection, each with a stream.
"""

PENDING_CALLS_MAX: Final = 3_000
"""Calls that have begun and that no task serves yet; gRPC cancels more, without a word. It keeps up
to a window of each: 64 KiB, and mostly a few hundred bytes.
"""

PENDING_S: Final = 120
"""Seconds after which gRPC cancels such a call, without a word: longer than any deadline."""

CODE_OF: Final[Sequence[tuple[type[errors.LedgerError], int]]] = (
    (errors.TooLarge, code_pb2.RESOURCE_EXHAUSTED),
    (errors.NotPossibleNow, code_pb2.FAILED_PRECONDITION),
    (errors.Refused, code_pb2.INVALID_ARGUMENT),
    (errors.Busy, code_pb2.RESOURCE_EXHAUSTED),
    (errors.Uncertain, code_pb2.UNAVAILABLE),
    (errors.DeadlinePassed, code_pb2.DEADLINE_EXCEEDED),
    (errors.Diverged, code_pb2.DATA_LOSS),
    (errors.Closed, code_pb2.UNAVAILABLE),
)
"""The first class that fits decides."""


class RpcServer:
    """One server with its services, health and reflection. `start` it once, then `stop` it once."""

    def __init__(
        self,
        handlers: Iterable[grpc.GenericRpcHandler],
        *,
        service_names: Sequence[str],
        share_port: bool = False,
    ) -> None:
        """`service_names` are the full names of what the handlers serve; `share_port` lets other
        processes that say so too listen on the same port.
        """
        self._service_names = service_names
        self._server = grpc.aio.server(
            interceptors=[ErrorsToStatus()],
            options=[
                ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
                ("grpc.max_send_message_length", RESPONSE_BYTES_MAX),
                ("grpc.max_concurrent_streams", STREAMS_PER_CONNECTION_MAX),
                ("grpc.server.max_pending_requests", PENDING_CALLS_MAX),
                ("grpc.server.max_pending_requests_hard_limit", PENDING_CALLS_MAX),
                ("grpc.server_max_unrequested_time_in_server", PENDING_S),
                # It counts calls that are answered and not yet taken apart, and refuses good ones.
                ("grpc.http.overload_protection", 0),
                # With the probe a window grows to megabytes, also of calls that wait to be read.
                ("grpc.http2.bdp_probe", 0),
                # A client that pings as often as it may is no attacker.
                ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_MIN_MS),
                ("grpc.keepalive_permit_without_calls", 1),
                # gRPC shares by default; a second process that nobody asked for is a mistake.
                ("grpc.so_reuseport", int(share_port)),
            ],
        )
        self._server.add_generic_rpc_handlers(tuple(handlers))
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        served = (*service_names, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(served, self._server)

    async def start(self, listen: str, *, ready: bool = True) -> int:
        """Listen on an address, and say by health whether the services serve. Returns the port.

        Raises Refused where the address is not free or not this machine's.
        """
        try:
            port = self._server.add_insecure_port(listen)
        except RuntimeError as error:
            raise errors.Refused(
                f"Cannot listen on {listen}: another program holds the port, or the address is not "
                f"this machine's. Choose another one with --listen; ingest or query processes "
                f"share one where each says --share-port.",
                reason="ADDRESS_NOT_FREE",
                metadata={"address": listen},
            ) from error
        await self._server.start()
        await self.say_ready(ready)
        return port

    async def say_ready(self, ready: bool) -> None:
        """Say by health whether the services serve. The server itself, "", lives until it ends."""
        status = health_pb2.HealthCheckResponse
        for name in self._service_names:
            await self._health.set(name, status.SERVING if ready else status.NOT_SERVING)

    async def say_draining(self) -> None:
        """Tell balancers by health that the server is about to end."""
        await self._health.enter_graceful_shutdown()

    async def stop(self, grace_s: float) -> None:
        """Take no further calls, and end those that run after `grace_s` seconds at the latest."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_s)


class ErrorsToStatus(grpc.aio.ServerInterceptor):
    """Turns the errors of every method into status codes, and reads requests through a gate."""

    def __init__(self) -> None:
        self._gates: dict[str, MessageGate] = {}  # By service.
        self._wrapped: dict[str, tuple[_Handler, _Handler]] = {}  # By method: bare, and wrapped.

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler | None:
        """Wrap one method, once."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        known = self._wrapped.get(method)
        if known is not None and known[0] is handler:
            return known[1]
        wrapped = self._wrap(handler, method.rpartition("/")[0])
        self._wrapped[method] = (handler, wrapped)
        return wrapped

    def _wrap(self, handler: _Handler, service: str) -> _Handler:
        kind = "_".join(
            "stream" if streams else "unary"
            for streams in (handler.request_streaming, handler.response_streaming)
        )
        parse = handler.request_deserializer
        read: _Read = _as_it_comes
        if not handler.request_streaming:
            gate = self._gates.setdefault(service, MessageGate())
            read, parse = _gated(gate, parse), None
        wrap, make = (
            (_wrap_stream, grpc.stream_stream_rpc_method_handler)
            if handler.response_streaming
            else (_wrap_unary, grpc.stream_unary_rpc_method_handler)
        )
        wrapped: _Handler = make(
            wrap(getattr(handler, kind), read),
            request_deserializer=parse,
            response_serializer=handler.response_serializer,
        )
        return wrapped


def status_of(error: errors.LedgerError) -> status_pb2.Status:
    """Say an error as a google.rpc.Status. Only Busy carries a RetryInfo."""
    code = next(code for kind, code in CODE_OF if isinstance(error, kind))
    message = error.message
    if len(message) > ERROR_TEXT_MAX:
        message = message[:ERROR_TEXT_MAX] + "…"
    info = error_details_pb2.ErrorInfo(
        reason=error.reason, domain=ERROR_DOMAIN, metadata=dict(error.metadata)
    )
    details: list[Message] = [info]
    if error.field:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=error.field, description=message
        )
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if isinstance(error, errors.Busy):
        delay = Duration()
        delay.FromNanoseconds(int(error.retry_after_s * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    status = _status(code, message, details)
    if status.ByteSize() > STATUS_BYTES_MAX:
        # What a program acts on (reason, field, wait) stays; the values can be read in the message.
        info.metadata.clear()
        status = _status(code, message, details)
    return status


def _status(code: int, message: str, details: Iterable[Message] = ()) -> status_pb2.Status:
    status = status_pb2.Status(code=code, message=message)
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def _gated(gate: MessageGate, parse: Callable[[bytes], Any] | None) -> _Read:
    async def read(_: object, context: Any) -> Any:  # noqa: ANN401 - any method's messages.
        message = await gate.read(context)
        if parse is None:
            return message
        try:
            return parse(message)
        except DecodeError as error:
            raise errors.Refused(
                "The message cannot be decoded.", reason="MESSAGE_UNDECODABLE"
            ) from error

    return read


async def _as_it_comes(requests: object, _: object) -> object:
    return requests


def _wrap_unary(inner: Callable[..., Any], read: _Read) -> Callable[..., Awaitable[Any]]:
    async def call(requests: Any, context: Any) -> Any:  # noqa: ANN401 - any method's messages.
        try:
            # No name here keeps the request: the method alone decides how long it lives.
            return await inner(await read(requests, context), context)
        except Exception as error:
            await _abort(context, error)

    return call


def _wrap_stream(inner: Callable[..., Any], read: _Read) -> Callable[..., Awaitable[None]]:
    async def call(requests: Any, context: Any) -> None:  # noqa: ANN401 - any method's messages.
        try:
            answer = inner(await read(requests, context), context)
            if hasattr(answer, "__aiter__"):
                async with aclosing(answer) as responses:
                    async for response in responses:
                        await context.write(response)
            else:
                await answer
        except Exception as error:
            await _abort(context, error)

    return call


async def _abort(context: Any, error: BaseException) -> NoReturn:  # noqa: ANN401 - grpc's own.
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, grpc.aio.AbortError):
        raise error
    if isinstance(error, errors.LedgerError):
        status = status_of(error)
    else:
        logger.error("a method failed", exc_info=error)
        status = _status(
            code_pb2.INTERNAL,
            "The server met an error of its own. Try again later; the operator finds it in the "
            "server's log.",
        )
    # gRPC keeps what it aborts with in a cycle, and with it the frames that the error came through:
    # a request of megabytes would live until the garbage collector comes by.
    error.__traceback__ = error.__cause__ = error.__context__ = None
    await context.abort_with_status(rpc_status.to_status(status))
    raise AssertionError("abort_with_status returned")
