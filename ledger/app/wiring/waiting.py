"""How a role waits for an engine that is away when it starts: it lives, and is not ready."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Final, TypeVar

from ledger.app.health import Health
from ledger.errors import Busy, Uncertain

logger = logging.getLogger(__name__)
Engine = TypeVar("Engine")

RETRY_FIRST_S: Final = 0.5
"""First wait before an engine that is away is opened again; it doubles each time."""

RETRY_MOST_S: Final = 10.0
"""Longest wait before that: an engine that comes back is in use again within it."""


@asynccontextmanager
async def opened(
    name: str,
    open_engine: Callable[[], AbstractAsyncContextManager[Engine]],
    health: Health,
    *,
    retry_first_s: float = RETRY_FIRST_S,
) -> AsyncIterator[Engine]:
    """Open an engine, and wait for it where it is away. `name` is what `health` calls it.

    What is wrong and not away comes out: Refused, where the engine is not what the settings say,
    and Diverged.
    """
    async with AsyncExitStack() as stack:
        engine = await _insist(name, open_engine, health, stack, retry_first_s)
        health.found(name)
        yield engine


async def _insist(
    name: str,
    open_engine: Callable[[], AbstractAsyncContextManager[Engine]],
    health: Health,
    stack: AsyncExitStack,
    wait_s: float,
) -> Engine:
    while True:
        try:
            return await stack.enter_async_context(open_engine())
        except (Busy, Uncertain) as error:
            health.lost(name, error.message)
            logger.warning(
                "waiting for an engine",
                extra={"engine": name, "error": error.message, "again_in_s": wait_s},
            )
        await asyncio.sleep(wait_s)
        wait_s = min(2 * wait_s, RETRY_MOST_S)
