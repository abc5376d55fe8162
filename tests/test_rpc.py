"""The gRPC side of the process, over real connections: errors as status codes, health, limits."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from ledger import errors
from ledger.app.rpc import MESSAGE_BYTES_MAX, RpcServer, status_of

SERVICE = "ledger.test.Echo"
CODES = {
    errors.TooLarge("m", reason="R"): grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.NotPossibleNow("m", reason="R"): grpc.StatusCode.FAILED_PRECONDITION,
    errors.Refused("m", reason="R", field="batch.scans"): grpc.StatusCode.INVALID_ARGUMENT,
    errors.Busy("m", reason="R", retry_after_s=0.25): grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Uncertain("m", reason="R"): grpc.StatusCode.UNAVAILABLE,
    errors.DeadlinePassed("m", reason="R"): grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.Diverged("m", reason="R"): grpc.StatusCode.DATA_LOSS,
    errors.Closed("m", reason="R"): grpc.StatusCode.UNAVAILABLE,
}


class Echo:
    """Answers with what it is asked, unless it has an error to raise."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.closed = asyncio.Event()

    async def unary(self, request: bytes, _context: object) -> bytes:
        """Return the request."""
        if self.error:
            raise self.error
        return request

    async def stream(self, request: bytes, _context: object) -> AsyncIterator[bytes]:
        """Yield the request; asked to `wait`, never end."""
        try:
            yield request
            if self.error:
                raise self.error
            if request == b"wait":
                await asyncio.Event().wait()
        finally:
            self.closed.set()

    async def written(
        self, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]
    ) -> None:
        """Write the request, the other way a method may answer with a stream."""
        await context.write(request)
        if self.error:
            raise self.error

    async def abort(self, _request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        """End with a status of its own."""
        await context.abort(grpc.StatusCode.ABORTED, "said by the method itself")

    def handler(self) -> grpc.GenericRpcHandler:
        """Give what a server serves."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
                "Stream": grpc.unary_stream_rpc_method_handler(self.stream),
                "Written": grpc.unary_stream_rpc_method_handler(self.written),
                "Abort": grpc.unary_unary_rpc_method_handler(self.abort),
            },
        )


@asynccontextmanager
async def serving(echo: Echo) -> AsyncIterator[grpc.aio.Channel]:
    """Run a server with that service on a free port."""
    server = RpcServer([echo.handler()], service_names=[SERVICE])
    port = await server.start("127.0.0.1:0")
    try:
        async with grpc.aio.insecure_channel(
            f"127.0.0.1:{port}", options=[("grpc.max_send_message_length", -1)]
        ) as channel:
            yield channel
    finally:
        await server.stop(0)


async def answers(channel: grpc.aio.Channel, method: str, request: bytes = b"x") -> list[bytes]:
    """Call a method, whatever its kind, and give all it answers."""
    if method in {"Unary", "Abort"}:
        return [await channel.unary_unary(f"/{SERVICE}/{method}", bytes, bytes)(request)]
    stream = channel.unary_stream(f"/{SERVICE}/{method}", bytes, bytes)
    return [answer async for answer in stream(request)]


def details(error: grpc.aio.AioRpcError) -> dict[type, Message]:
    """Unpack the details of a status, by kind."""
    from_call: Any = rpc_status.from_call  # Its stub knows the other kind of call alone.
    status = from_call(error)
    found: dict[type, Message] = {}
    for packed in status.details:
        for kind in (
            error_details_pb2.ErrorInfo,
            error_details_pb2.BadRequest,
            error_details_pb2.RetryInfo,
        ):
            if packed.Is(kind.DESCRIPTOR):
                found[kind] = kind.FromString(packed.value)
    return found


@pytest.mark.parametrize("method", ["Unary", "Stream", "Written"])
async def test_a_method_answers_as_if_nothing_stood_around_it(method: str) -> None:
    """The wrapping changes no answer, whichever way a method gives it."""
    async with serving(Echo()) as channel:
        assert await answers(channel, method) == [b"x"]


@pytest.mark.parametrize("method", ["Unary", "Stream", "Written"])
@pytest.mark.parametrize("error", CODES, ids=lambda error: type(error).__name__)
async def test_every_error_has_its_status_code(method: str, error: errors.LedgerError) -> None:
    """The code says what the sender does next, and ErrorInfo says why; only Busy names a wait."""
    async with serving(Echo(error)) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await answers(channel, method)

    found = details(caught.value)
    info = found[error_details_pb2.ErrorInfo]
    assert caught.value.code() is CODES[error]
    assert caught.value.details() == "m"
    assert isinstance(info, error_details_pb2.ErrorInfo)
    assert (info.reason, info.domain) == ("R", "parcel-ledger")
    assert (error_details_pb2.RetryInfo in found) == isinstance(error, errors.Busy)
    assert (error_details_pb2.BadRequest in found) == bool(error.field)


@pytest.mark.parametrize("method", ["Unary", "Stream"])
async def test_an_error_of_ours_tells_nothing_of_the_inside(method: str) -> None:
    """What happened is for the log alone."""
    async with serving(Echo(KeyError("secret"))) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await answers(channel, method)

    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in str(caught.value)
    assert "Try again later" in (caught.value.details() or "")


async def test_an_error_within_a_group_of_one_is_that_error() -> None:
    """A task group inside a method does not hide what its task said."""
    group = ExceptionGroup("tasks", [ExceptionGroup("more", [errors.Refused("m", reason="R")])])
    async with serving(Echo(group)) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await answers(channel, "Unary")

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_what_a_method_aborts_with_stands() -> None:
    """A status that a method chose itself is not made INTERNAL."""
    async with serving(Echo()) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await answers(channel, "Abort")

    assert caught.value.code() is grpc.StatusCode.ABORTED


async def test_a_status_always_fits_into_trailers() -> None:
    """However much an error has to say, its reason and field arrive; its values may be left out."""
    error = errors.Refused(
        "long " * 10_000,
        reason="R",
        field="batch",
        metadata={f"partition-{index}": "0" * 100 for index in range(64)},
    )
    async with serving(Echo(error)) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await answers(channel, "Unary")

    found = details(caught.value)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert set(found) == {error_details_pb2.ErrorInfo, error_details_pb2.BadRequest}
    assert status_of(errors.Refused("m", reason="R", metadata={"a": "b"})).details[0].value


async def test_a_message_over_the_limit_is_refused_for_good() -> None:
    """RESOURCE_EXHAUSTED without RetryInfo means: never send it again as it is."""
    async with serving(Echo()) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await answers(channel, "Unary", b"x" * (MESSAGE_BYTES_MAX + 1))

        assert await answers(channel, "Unary", b"x" * (MESSAGE_BYTES_MAX - 1))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert not caught.value.trailing_metadata()


async def test_a_request_that_cannot_be_parsed_is_the_callers_mistake() -> None:
    """Also where gRPC was given the parser: it is no error of the server."""
    async with serving(Echo()) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/grpc.health.v1.Health/Check", bytes, bytes)(b"\xff")

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_call_that_sends_nothing_is_refused() -> None:
    """Every method takes one request, and says so where it is missing."""
    async with serving(Echo()) as channel:
        call: Any = channel.stream_unary(f"/{SERVICE}/Unary", bytes, bytes)(iter(()))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("method", ["Unary", "Stream"])
async def test_an_error_lets_go_of_the_request(method: str) -> None:
    """Else requests of megabytes pile up until the garbage collector comes by."""
    alive: list[weakref.ref[object]] = []

    class Failing(Echo):
        async def unary(self, request: bytes, _context: object) -> bytes:
            self.fail()
            return request

        async def stream(self, request: bytes, _context: object) -> AsyncIterator[bytes]:
            self.fail()
            yield request

        def fail(self) -> None:
            class Parsed: ...

            parsed = Parsed()
            alive.append(weakref.ref(parsed))
            try:
                int("x")
            except ValueError as error:
                raise errors.Refused("m", reason="R") from error

    gc.collect()
    gc.disable()
    try:
        async with serving(Failing()) as channel:
            with pytest.raises(grpc.aio.AioRpcError):
                await answers(channel, method)
            assert [parsed() for parsed in alive] == [None]
    finally:
        gc.enable()


@pytest.mark.slow
async def test_1500_quick_calls_at_once_are_all_answered() -> None:
    """Neither gRPC's own limits cancel some of them nor ours turn them away."""
    async with serving(Echo()) as channel:
        await channel.channel_ready()
        done = await asyncio.gather(*(answers(channel, "Unary") for _ in range(1_500)))

    assert done == [[b"x"]] * 1_500


async def test_a_method_is_told_when_its_caller_is_gone() -> None:
    """What a method holds for a stream is released at once, not when memory runs short."""
    echo = Echo()
    async with serving(echo) as channel:
        call = channel.unary_stream(f"/{SERVICE}/Stream", bytes, bytes)(b"wait")
        await call.read()
        call.cancel()

        await asyncio.wait_for(echo.closed.wait(), 5)
