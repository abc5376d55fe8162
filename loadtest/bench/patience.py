"""Asking again where the ledger says that it is busy: as any client does, and the time counts.

A machine that is overloaded answers slowly, and now and then not at all. That is no loss.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, TypeVar

import grpc

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

BUSY: Final = (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE)
"""Answers after which asking again is right: nothing happened."""

PATIENCE_S: Final = 60.0
"""Seconds after which a ledger that is busy all the time has failed."""

AGAIN_AFTER_S: Final = 0.1

Q = TypeVar("Q")
T = TypeVar("T")


def patient(call: Callable[[Q], T], request: Q) -> T:
    """Call until there is an answer. Raises what was answered last where there is none."""
    until_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            return call(request)
        except grpc.RpcError as error:
            if not _is_busy(error) or time.monotonic() > until_s:
                raise
        time.sleep(AGAIN_AFTER_S)


async def patient_aio(call: Callable[[Q], Awaitable[T]], request: Q) -> T:
    """Call until there is an answer. Raises what was answered last where there is none."""
    until_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            return await call(request)
        except grpc.RpcError as error:
            if not _is_busy(error) or time.monotonic() > until_s:
                raise
        await asyncio.sleep(AGAIN_AFTER_S)


def _is_busy(error: grpc.RpcError) -> bool:
    code = getattr(error, "code", None)
    return code is not None and code() in BUSY
