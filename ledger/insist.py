"""Repeats a call until it goes through: how a role waits for an engine that is away."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, TypeVar

from ledger import metrics
from ledger.errors import Busy, Uncertain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)
T = TypeVar("T")

RETRY_FIRST_S = 0.05
"""First wait before a call that failed is repeated; it doubles each time."""

RETRY_MOST_S = 5.0
"""Longest wait before a call is repeated: an engine that comes back is in use again within it."""


async def insist(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat a call that is safe to repeat until it goes through. Diverged and Closed pass."""
    wait_s = RETRY_FIRST_S
    while True:
        try:
            return await call()
        except (Busy, Uncertain) as error:
            metrics.WRITER_RETRIES.labels(type(error).__name__).inc()
            logger.warning("the writer waits", extra={"error": str(error), "wait_s": wait_s})
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, RETRY_MOST_S)
