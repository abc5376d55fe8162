"""The life of a gRPC server: health, reflection, and a port that is taken."""

import asyncio
import socket
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from ledger import errors
from ledger.app.rpc import RpcServer
from tests.test_rpc import SERVICE, Echo, answers, serving


async def test_health_says_serving_and_then_draining() -> None:
    """Each service is asked for by name; a draining server says so before it is gone."""
    server = RpcServer([Echo().handler()], service_names=[SERVICE])
    port = await server.start("127.0.0.1:0")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        whole = await stub.Check(health_pb2.HealthCheckRequest())
        one = await stub.Check(health_pb2.HealthCheckRequest(service=SERVICE))
        await server.say_draining()
        after = await stub.Check(health_pb2.HealthCheckRequest(service=SERVICE))
        await server.stop(0)

    status = health_pb2.HealthCheckResponse
    assert whole.status == one.status == status.SERVING
    assert after.status == status.NOT_SERVING


async def test_reflection_lists_the_services() -> None:
    """A partner with grpcurl finds what there is without a proto file."""
    async with serving(Echo()) as channel:
        make: Any = reflection_pb2_grpc.ServerReflectionStub  # As above.
        stub = make(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        listed = [answer async for answer in stub.ServerReflectionInfo(iter([request]))]

    names = {service.name for service in listed[0].list_services_response.service}
    assert {SERVICE, "grpc.health.v1.Health"} <= names


async def test_a_port_that_is_taken_is_said_in_words() -> None:
    """The address is named, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        server = RpcServer([Echo().handler()], service_names=[SERVICE])

        with pytest.raises(errors.Refused, match=address) as caught:
            await server.start(address)
        await server.stop(0)

    assert caught.value.reason == "ADDRESS_NOT_FREE"


async def test_servers_that_say_so_share_a_port() -> None:
    """Each gets calls: the kernel chooses one for each connection."""
    echoes = [Echo(), Echo(errors.Uncertain("The second.", reason="SECOND"))]
    servers = [
        RpcServer([echo.handler()], service_names=[SERVICE], share_port=True) for echo in echoes
    ]
    port = await servers[0].start("127.0.0.1:0")
    assert await servers[1].start(f"127.0.0.1:{port}") == port
    answered: set[str] = set()
    async with asyncio.timeout(20):
        while len(answered) < len(servers):
            options = [("grpc.use_local_subchannel_pool", 1)]
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) as channel:
                try:
                    await answers(channel, "Unary")
                    answered.add("first")
                except grpc.aio.AioRpcError as error:
                    answered.add(str(error.details()))
    for server in servers:
        await server.stop(0)

    assert answered == {"first", "The second."}


@pytest.mark.parametrize("first_shares", [True, False])
async def test_one_that_does_not_share_is_alone(first_shares: bool) -> None:
    """Whether it came first or second."""
    first = RpcServer([Echo().handler()], service_names=[SERVICE], share_port=first_shares)
    second = RpcServer([Echo().handler()], service_names=[SERVICE], share_port=not first_shares)
    port = await first.start("127.0.0.1:0")

    with pytest.raises(errors.Refused, match="--share-port"):
        await second.start(f"127.0.0.1:{port}")

    for server in (first, second):
        await server.stop(0)


async def test_readiness_is_of_the_services_and_life_is_of_the_server() -> None:
    """A server that is not ready lives, until it drains; then nothing makes it ready again."""
    server = RpcServer([Echo().handler()], service_names=[SERVICE])
    port = await server.start("127.0.0.1:0", ready=False)
    seen = []
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)

        async def look() -> None:
            answered = [
                await stub.Check(health_pb2.HealthCheckRequest(service=name))
                for name in ("", SERVICE)
            ]
            seen.append(tuple(answer.status for answer in answered))

        await look()
        for step in (server.say_ready(True), server.say_ready(False), server.say_draining()):
            await step
            await look()
        await server.say_ready(True)
        await look()
        await server.stop(0)

    yes, no = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
    assert seen == [(yes, no), (yes, yes), (yes, no), (no, no), (no, no)]
