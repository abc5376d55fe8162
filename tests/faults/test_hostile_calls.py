"""Hostile bytes at every method of every service of a whole `up` process: each gets an answer that
says what is wrong, and none of them a stack trace, or another caller's trouble.
"""

from __future__ import annotations

import asyncio
import random
import urllib.error
import urllib.request
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf import descriptor_pool
from grpc_status import rpc_status

from tests.ingest_server import durable, record_batch
from tests.ingest_traffic import a_batch, an_encoded_event
from tests.scale import scaled
from tests.test_cli_up import Up

if TYPE_CHECKING:
    from pathlib import Path

    from google.protobuf.descriptor import MethodDescriptor

SERVICES = ("Ingest", "Trail", "Item", "Progress", "Facility", "Operator")

RANDOM_MESSAGES = scaled(100, soak=5_000)
"""For each method."""

CALL_S = 20
WATCH_S = 2
"""After so long a call that watches may be waiting for news; any other has answered before."""

HUGE_BYTES = 100 << 20
MEGABYTE = 1 << 20

REFUSED = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.UNIMPLEMENTED,
}

TOO_MUCH = {grpc.StatusCode.RESOURCE_EXHAUSTED}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(scaled(180, soak=3_600))]


def methods() -> list[MethodDescriptor]:
    """Every method of every service that is on the wire."""
    found: list[MethodDescriptor] = []
    for name in SERVICES:
        import_module(f"ledger.v1.{name.lower()}_service_pb2")
        service = descriptor_pool.Default().FindServiceByName(f"ledger.v1.{name}Service")
        found += service.methods
    return found


def field(number: int, content: bytes) -> bytes:
    """Encode a field of bytes."""
    size, length = len(content), b""
    while size > 0x7F:
        length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def nested(depth: int) -> bytes:
    """A message in a message in a message, in fields that nobody knows."""
    return b"\x7b" * depth + b"\x7c" * depth


HOSTILE = {
    "no message": b"\xff" * 64,
    "lone surrogate": b"".join(field(number, b"\xed\xa0\x80") for number in (1, 2, 3)),
    "NUL": b"".join(field(number, b"\0") for number in (1, 2, 3)),
    "text of a megabyte": field(1, b"A" * MEGABYTE),
    "one megabyte of empty fields": b"\x0a\x00" * (MEGABYTE // 2),
    "groups without an end": b"\x7b" * 100_000,
    "nested unknown fields": nested(100_000),
    "nested known fields": b"\x0a\xff\xff\x3f" * 1_000,
    "wrong enums": b"".join(
        bytes([number << 3]) + b"\xff" * 9 + b"\x01" for number in range(1, 16)
    ),
}


async def answer(
    channel: grpc.aio.Channel, method: MethodDescriptor, message: bytes
) -> grpc.aio.AioRpcError | None:
    """Send bytes to a method; give its error, or None where it takes them."""
    watches = method.name.startswith("Watch")
    path = f"/{method.containing_service.full_name}/{method.name}"
    call: Any = channel.stream_stream(path)()
    try:
        async with asyncio.timeout(WATCH_S if watches else CALL_S):
            with suppress(asyncio.InvalidStateError):  # It is over before all of this was written.
                await call.write(message)
                await call.done_writing()
            while await call.read() is not grpc.aio.EOF:
                pass
    except TimeoutError:
        call.cancel()
        assert watches, f"{method.full_name} does not answer"
    except grpc.aio.AioRpcError as error:
        return error
    return None


def said_by(up: Up) -> str:
    """What stands in the process's log."""
    return up.log.read_text(encoding="utf-8")


def asked(url: str, body: bytes | None = None) -> bytes:
    """What a page says, or its error."""
    try:
        with urllib.request.urlopen(url, data=body, timeout=CALL_S) as page:  # noqa: S310 - ours.
            return bytes(page.read())
    except urllib.error.HTTPError as error:
        return error.read()
    except (urllib.error.URLError, ConnectionError):
        return b""


def check(method: MethodDescriptor, name: str, error: grpc.aio.AioRpcError | None) -> None:
    """An error is named, has words for a person, and nothing of our insides."""
    if error is None:
        return
    where = f"{method.full_name}, {name}: {error.code()} {error.details()}"
    assert error.code() in REFUSED, where
    assert error.details(), where
    assert "Traceback" not in (error.details() or ""), where
    status = rpc_status.from_call(error)  # type: ignore[arg-type] # It takes any call.
    is_ours = error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert not is_ours or (status is not None and status.details), where


@pytest.mark.parametrize("name", ["hostile", "random", "huge"])
async def test_no_bytes_break_a_method(tmp_path: Path, name: str) -> None:
    """What cannot be parsed, is too much, or means nothing is refused with a reason; afterwards a
    scan is recorded as ever, and nothing in the log says that a call broke.
    """
    dice = random.Random(7)
    messages = {
        "hostile": HOSTILE,
        "random": {str(n): dice.randbytes(dice.randrange(1, 200)) for n in range(RANDOM_MESSAGES)},
        "huge": {"100 MB": bytes(HUGE_BYTES)},
    }[name]
    up = Up(tmp_path, "--partitions", "4")
    try:
        up.said()
        options = [("grpc.max_send_message_length", -1)]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{up.port}", options=options) as channel:
            for method in methods():
                for kind, message in messages.items():
                    error = await answer(channel, method, message)
                    check(method, kind, error)
                    too_much = error is not None and error.code() in TOO_MUCH
                    assert name != "huge" or too_much, method.full_name
            result = (await record_batch(channel, a_batch([an_encoded_event(1)]))).result
    finally:
        up.end()

    assert durable(result) == [(0, 0)]
    assert "Traceback" not in said_by(up)


def test_no_request_breaks_the_page_of_metrics(tmp_path: Path) -> None:
    """Long paths, odd methods and large bodies get an HTTP error or a page, and it goes on."""
    up = Up(tmp_path, "--partitions", "4")
    try:
        up.said()
        base = f"http://127.0.0.1:{up.metrics_port}"
        for path in (
            "/" + "a" * 10_000,
            "/%00",
            "/..%2f..%2fetc/passwd",
            "/metrics?" + "x=1&" * 999,
        ):
            for body in (None, bytes(MEGABYTE)):
                said = asked(base + path, body)
                assert b"Traceback" not in said
                assert b"root:" not in said
        assert b"ledger_" in asked(base + "/metrics")
    finally:
        up.end()
    assert "Traceback" not in said_by(up)
