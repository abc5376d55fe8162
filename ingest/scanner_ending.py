"""How a scanner's stream ended, and what follows from that."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.any_pb2 import Any as AnyMessage

STATUS_KEY = "grpc-status-details-bin"
"""Where gRPC carries a google.rpc.Status."""


class ScannerStopped(Exception):
    """The scanner cannot go on, and sends nothing more. The message says why, and how many scans
    have no outcome. These may be durable or not, and none of them counts as refused: a later
    scanner may send them again with the same event ids.
    """


class Next(Enum):
    """What to do after a stream has ended."""

    CONNECT = auto()
    """It ended as it should: connect again."""

    WAIT = auto()
    """Connect again, after a wait."""

    SPLIT_BATCH = auto()
    """A batch was too large."""

    STOP = auto()
    """No later attempt can do better."""


class Ending(NamedTuple):
    """How a stream ended."""

    next: Next
    message: str
    field: str = ""
    retry_after_s: float = 0.0


# What is not listed may pass by itself: the network, a restart, an overload.
_NEXT = {
    grpc.StatusCode.OK: Next.CONNECT,
    # A rule of batches, not of scans: the scans are good, and the next batch would break it, too.
    grpc.StatusCode.INVALID_ARGUMENT: Next.STOP,
    grpc.StatusCode.UNIMPLEMENTED: Next.STOP,
    grpc.StatusCode.UNAUTHENTICATED: Next.STOP,
    grpc.StatusCode.PERMISSION_DENIED: Next.STOP,
    grpc.StatusCode.FAILED_PRECONDITION: Next.STOP,
    grpc.StatusCode.NOT_FOUND: Next.STOP,
}


def ending_of(
    code: grpc.StatusCode, message: str | None, metadata: Iterable[tuple[str, str | bytes]] | None
) -> Ending:
    """Read a status: its code, and the details that it carries."""
    field, reason, retry_after_s = "", "", None
    for detail in _details(metadata or ()):
        violations, retry = error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(violations) and violations.field_violations:
            field = violations.field_violations[0].field
        elif detail.Unpack(info):
            reason = info.reason
        elif detail.Unpack(retry):
            retry_after_s = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
    following = _NEXT.get(code, Next.WAIT)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and retry_after_s is None:
        following = Next.SPLIT_BATCH
    where = f" ({' at '.join(filter(None, (reason, field)))})" if reason or field else ""
    text = f"{code.name}: {message or ''}{where}"
    return Ending(following, text, field, retry_after_s or 0.0)


def _details(metadata: Iterable[tuple[str, str | bytes]]) -> Iterable[AnyMessage]:
    """Read the details of a google.rpc.Status, if there is one."""
    for key, value in metadata:
        if key == STATUS_KEY and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value).details
            except DecodeError:
                return ()
    return ()
