"""The life of a gRPC server: health, reflection, and a port that is taken."""

import socket
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from ledger import errors
from ledger.app.rpc import RpcServer
from tests.test_rpc import SERVICE, Echo, serving


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
