"""How a call ended: whether it may pass by itself, and what the server said to wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, cast

import grpc
from google.rpc import error_details_pb2, status_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

_KEY: Final = "grpc-status-details-bin"

# The network, a restart, an overload: nothing is wrong with what was asked.
_MAY_PASS: Final = frozenset({
    grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.ABORTED,
    grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED,
})  # fmt: skip


class Status(NamedTuple):
    """How a call ended."""

    code: grpc.StatusCode
    words: str
    may_pass: bool
    """False: the same call will never do better, and a load that meets it has found a fault."""

    retry_after_s: float = 0.0


def status_of(error: grpc.RpcError) -> Status:
    """Read a call's error, which is a call itself."""
    call = cast("grpc.Call", error)
    code = call.code()
    retry_after_s = _retry_after_s(call.trailing_metadata() or ())
    may_pass = code in _MAY_PASS
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and retry_after_s is None:
        may_pass = False  # Too large, and not too much.
    return Status(code, f"{code.name}: {call.details() or ''}", may_pass, retry_after_s or 0.0)


def _retry_after_s(metadata: Iterable[tuple[str, str | bytes]]) -> float | None:
    for key, value in metadata:
        if key == _KEY and isinstance(value, bytes):
            for detail in status_pb2.Status.FromString(value).details:
                retry = error_details_pb2.RetryInfo()
                if detail.Unpack(retry):
                    return retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
    return None
