"""The services of a process whose engines may still be away: they are opened when those answer.

Until then every call is answered with UNAVAILABLE, and a client sends it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import grpc

from ledger.errors import Uncertain

_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class Doors(grpc.GenericRpcHandler):
    """Handlers that may come later than the server."""

    def __init__(self, service_names: Iterable[str]) -> None:
        """`service_names` are the full names of the services to come."""
        self._names = frozenset(service_names)
        self._handlers: Sequence[grpc.GenericRpcHandler] = ()
        self._closed: grpc.RpcMethodHandler[Any, Any] = grpc.stream_stream_rpc_method_handler(
            _not_yet
        )

    def open(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Let calls through to these."""
        self._handlers = handlers

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> _Handler | None:
        """Find the handler of a method."""
        for handler in self._handlers:
            found = handler.service(handler_call_details)
            if found is not None:
                return found
        name = handler_call_details.method.strip("/").partition("/")[0]
        return self._closed if name in self._names and not self._handlers else None


async def _not_yet(_: object, __: object) -> None:
    raise Uncertain(
        "The server starts, and waits for what it needs. Send the same again later.",
        reason="SERVER_STARTING",
    )
