"""How many bytes a second a Kafka takes of each client: a log as slow as a test wants it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Float64, Int16, Int32, Schema, String

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_TEXT = String("utf-8")
_ENTITY = Array(("entity_type", _TEXT), ("entity_name", _TEXT))


class _Altered(Response):  # type: ignore[misc] # aiokafka has no types.
    API_KEY = 49
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("entries", Array(("code", Int16), ("message", _TEXT), ("entity", _ENTITY))),
    )


class _Alter(RequestStruct):  # type: ignore[misc]
    API_KEY = 49
    API_VERSION = 0
    RESPONSE_TYPE = _Altered
    SCHEMA = Schema(
        (
            "entries",
            Array(
                ("entity", _ENTITY),
                ("ops", Array(("key", _TEXT), ("value", Float64), ("remove", Boolean))),
            ),
        ),
        ("validate_only", Boolean),
    )


class AlterQuotas(Request[_Alter]):  # type: ignore[misc]
    """Sets, or lifts, the bytes a second of every client that produces."""

    API_KEY = 49

    def __init__(self, bytes_s: float | None) -> None:
        self._op = ("producer_byte_rate", bytes_s or 0.0, bytes_s is None)

    def build(self, struct: type[_Alter]) -> _Alter:
        """Give the request: the default of all clients, which has no name."""
        return struct([([("client-id", None)], [self._op])], False)


async def set_quota(bootstrap: str, bytes_s: float | None) -> None:
    """Set the quota, or lift it."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        answer = await admin._send_request(AlterQuotas(bytes_s))
        assert [(code, message) for code, message, _ in answer.entries] == [(0, None)]
    finally:
        await admin.close()


@asynccontextmanager
async def quota(bootstrap: str, bytes_s: float) -> AsyncIterator[None]:
    """Have Kafka take no more than that, for as long as this is entered."""
    await set_quota(bootstrap, bytes_s)
    try:
        yield
    finally:
        await set_quota(bootstrap, None)
