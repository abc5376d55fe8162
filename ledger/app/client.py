"""How commands talk to a ledger: one connection, and each error as one line: what to do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

# gRPC's own log would stand between the lines for the person.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from ledger.app.exits import DIVERGED, FAILED, REFUSED, CommandFailed

CONNECT_S: Final = 5.0
"""How long a command waits for a connection: a server that starts needs a second or two."""

ANSWER_S: Final = 30.0
"""How long a command waits for one answer."""

MESSAGE_BYTES_MAX: Final = 8 << 20
"""Most bytes of one answer: twice what a server sends."""

_RETRIABLE: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
        # What a server that ends, or a proxy on the way, makes of a call that it drops.
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.ABORTED,
    }
)
"""What may or may not have happened: with the same event ids, sending again is safe."""


def open_channel(server: str) -> grpc.Channel:
    """Make a channel to a ledger. It connects at its first call, and again when it was cut."""
    return grpc.insecure_channel(
        server,
        options=[
            ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
            ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
            # A person waits: a server that comes back is found within a second.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1_000),
        ],
    )


@contextmanager
def ledger_at(server: str) -> Iterator[grpc.Channel]:
    """Connect to a ledger. Within, an error of a call ends the command with one line."""
    with open_channel(server) as channel:
        try:
            grpc.channel_ready_future(channel).result(CONNECT_S)
        except grpc.FutureTimeoutError:
            raise CommandFailed(not_there(server)) from None
        try:
            yield channel
        except grpc.RpcError as error:
            raise CommandFailed(explain(error, server), exit_code(error)) from None


def not_there(server: str) -> str:
    """Say that no ledger answers, and what to do."""
    return (
        f"No ledger answers at {server}. Start one with `parcel-ledger up`, or name another one "
        f"with --server."
    )


def explain(error: Any, server: str) -> str:  # noqa: ANN401 - grpc's errors are calls, too.
    """Say an error as one line."""
    if error.code() is grpc.StatusCode.UNAVAILABLE and not reason_of(error):
        return not_there(server)
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:
        return f"The ledger at {server} does not know this yet; it may be older than this program."
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and not reason_of(error):
        return f"The ledger at {server} did not answer in time. Asking again is safe."
    return str(error.details() or error.code().name)


def exit_code(error: Any) -> int:  # noqa: ANN401 - as above.
    """Give the exit code that an error ends a command with."""
    codes = {
        grpc.StatusCode.INVALID_ARGUMENT: REFUSED,
        grpc.StatusCode.FAILED_PRECONDITION: REFUSED,
        grpc.StatusCode.DATA_LOSS: DIVERGED,
    }
    return codes.get(error.code(), FAILED)


def reason_of(error: Any) -> str:  # noqa: ANN401 - as above.
    """Give the reason in an error's ErrorInfo; empty where it has none, as when nobody answered."""
    for packed in _details(error):
        if packed.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            return error_details_pb2.ErrorInfo.FromString(packed.value).reason
    return ""


def retry_wait_s(error: Any) -> float | None:  # noqa: ANN401 - as above.
    """Give the seconds to wait before the same is sent again; None where it never should be.

    RESOURCE_EXHAUSTED is busy with a RetryInfo, and too large without.
    """
    if error.code() in _RETRIABLE:
        return 0.0
    for packed in _details(error):
        if packed.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            delay = error_details_pb2.RetryInfo.FromString(packed.value).retry_delay
            return delay.seconds + delay.nanos / 1e9
    return None


def _details(error: Any) -> Any:  # noqa: ANN401 - as above.
    status = rpc_status.from_call(error)
    return status.details if status else ()
