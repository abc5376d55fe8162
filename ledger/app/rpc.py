"""The gRPC side of the process: a server's life, and errors to status codes by one table.

Services raise `LedgerError`s and know nothing of status codes. Every error goes out with an
ErrorInfo; BadRequest names the field and RetryInfo the wait where there is one. Nothing else does:
an unexpected error becomes INTERNAL without a word of what happened inside.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from grpc_status import rpc_status

from ledger import errors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from google.protobuf.message import Message

logger = logging.getLogger(__name__)

ERROR_DOMAIN: Final = "parcel-ledger"
"""Domain of the reasons in every ErrorInfo."""

MESSAGE_BYTES_MAX: Final = 4 << 20
"""Most bytes of one message in: four times the largest batch. gRPC answers more with RESOURCE_EXHAUSTED."""

RESPONSE_BYTES_MAX: Final = 4 << 20
"""Most bytes of one message out: twice the largest page of a trail."""

KEEPALIVE_MIN_MS: Final = 20_000
"""How often a client may ping: scanners behind mobile networks need it every 20 s or so."""

STREAMS_PER_CONNECTION_MAX: Final = 1_000
"""Most calls at once on one connection; a gateway needs a few."""

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


def status_of(error: errors.LedgerError) -> status_pb2.Status:
    """Say an error as a google.rpc.Status. Only Busy carries a RetryInfo."""
    code = next(code for kind, code in CODE_OF if isinstance(error, kind))
    details: list[Message] = [
        error_details_pb2.ErrorInfo(
            reason=error.reason, domain=ERROR_DOMAIN, metadata=dict(error.metadata)
        )
    ]
    if error.field:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=error.field, description=error.message
        )
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if isinstance(error, errors.Busy):
        delay = Duration()
        delay.FromNanoseconds(int(error.retry_after_s * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    packed = []
    for detail in details:
        wrapper = AnyMessage()
        wrapper.Pack(detail)
        packed.append(wrapper)
    return status_pb2.Status(code=code, message=error.message, details=packed)


class ErrorsToStatus(grpc.aio.ServerInterceptor):  # type: ignore[misc] # Untyped base.
    """Turns the errors of every method into status codes."""

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Wrap one method."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        kind = (
            ("stream" if handler.request_streaming else "unary")
            + "_"
            + ("stream" if handler.response_streaming else "unary")
        )
        inner = getattr(handler, kind)
        wrap = _wrap_stream if handler.response_streaming else _wrap_unary
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        wrapped: grpc.RpcMethodHandler[Any, Any] = make(
            wrap(inner),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )
        return wrapped


def _wrap_unary(inner: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    async def call(request: Any, context: Any) -> Any:  # noqa: ANN401 - any method's messages.
        try:
            return await inner(request, context)
        except Exception as error:  # noqa: BLE001 - the last place that can answer.
            await _abort(context, error)

    return call


def _wrap_stream(inner: Callable[..., Any]) -> Callable[..., Awaitable[None]]:
    async def call(request: Any, context: Any) -> None:  # noqa: ANN401 - any method's messages.
        try:
            answer = inner(request, context)
            if hasattr(answer, "__aiter__"):
                async for response in answer:
                    await context.write(response)
            else:
                await answer
        except Exception as error:  # noqa: BLE001 - the last place that can answer.
            await _abort(context, error)

    return call


async def _abort(context: Any, error: Exception) -> None:  # noqa: ANN401 - grpc's own context.
    if isinstance(error, grpc.aio.AbortError):
        raise error
    if isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        await _abort(context, error.exceptions[0])
    if isinstance(error, errors.LedgerError):
        await context.abort_with_status(rpc_status.to_status(status_of(error)))
    logger.error("a method failed", exc_info=error)
    internal = status_pb2.Status(
        code=code_pb2.INTERNAL,
        message="The server met an error of its own. Try again later; the operator finds it in the log.",
    )
    await context.abort_with_status(rpc_status.to_status(internal))


def make_server(
    handlers: Iterable[grpc.GenericRpcHandler], *, service_names: Sequence[str]
) -> grpc.aio.Server:
    """Make a server with health and reflection. The caller binds it, starts it and stops it."""
    server = grpc.aio.server(
        interceptors=[ErrorsToStatus()],
        options=[
            ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
            ("grpc.max_send_message_length", RESPONSE_BYTES_MAX),
            ("grpc.max_concurrent_streams", STREAMS_PER_CONNECTION_MAX),
            # A client that pings as often as it may is no attacker.
            ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_MIN_MS),
            ("grpc.keepalive_permit_without_calls", 1),
            # Several processes may share a port; two of different folders never should by accident.
            ("grpc.so_reuseport", 0),
        ],
    )
    server.add_generic_rpc_handlers(tuple(handlers))
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    server.health = servicer
    names = (*service_names, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name)
    reflection.enable_server_reflection((*names, reflection.SERVICE_NAME), server)
    return server
