"""The made-up engines on a real clock, one for each folder: for the contract suites."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING

from tests.simulation.faults import Faults
from tests.simulation.sim_log import LogCluster, SimLog
from tests.simulation.sim_store import SimStore, StoreCluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

LATENCY_S = 0.0005
"""A fast network: the suites make thousands of calls."""

_logs: dict[Path, LogCluster] = {}
_stores: dict[Path, StoreCluster] = {}


class RealTimers:
    """The running loop; there is one process."""

    outside = None

    def time(self) -> float:
        return asyncio.get_running_loop().time()

    def here(self) -> object:
        return None

    def later(
        self, where: object, delay_s: float, callback: Callable[..., object], *args: object
    ) -> None:
        asyncio.get_running_loop().call_later(delay_s, callback, *args)


@asynccontextmanager
async def opened_log(folder: Path) -> AsyncIterator[SimLog]:
    """Open the log of a folder."""
    if folder not in _logs:
        _logs[folder] = LogCluster(
            RealTimers(), Random(1), Faults(), partitions=2, latency_s=LATENCY_S, settle_s=LATENCY_S
        )
    log = SimLog(_logs[folder])
    try:
        yield log
    finally:
        log.close()


@asynccontextmanager
async def opened_store(folder: Path) -> AsyncIterator[SimStore]:
    """Open the store of a folder."""
    if folder not in _stores:
        _stores[folder] = StoreCluster(
            RealTimers(), Random(1), Faults(), nodes=2, latency_s=LATENCY_S
        )
        _stores[folder].forgets = False
    store = SimStore(_stores[folder])
    try:
        yield store
    finally:
        store.close()
