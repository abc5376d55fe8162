"""A writer that kills itself with -9 at a durable step: `dying_writer CONFIG STEP NTH`."""

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

from ledger.app.settings import load
from ledger.app.wiring.distributed import STEPS_AT_ONCE
from ledger.app.wiring.engines import log_opener, store_opener
from ledger.app.wiring.operating import keeper_of
from ledger.position import QUARANTINE_LOG
from ledger.writer import Writer
from tests.faulty_store import FaultyStore

STEPS = (
    "before the rows are kept",
    "after the rows are kept, before they are marked",
    "after they are marked",
)


async def write(config: Path, step: str, nth: int) -> None:
    """Write until that step comes for the nth time."""
    settings = load(config=config).settings
    calls: Counter[str] = Counter()

    def die_at(method: str) -> None:
        calls[method] += 1
        if calls[method] == nth:
            os.kill(os.getpid(), signal.SIGKILL)

    async with (
        log_opener(settings)() as log,
        log_opener(settings, name=QUARANTINE_LOG)() as quarantine,
        store_opener(settings)() as real,
    ):
        store = FaultyStore(real)
        if step == STEPS[0]:
            store.fails_unwritten = lambda method: die_at(method) if method == "put" else None
        elif step == STEPS[1]:
            store.fails_unwritten = lambda method: die_at(method) if method == "put_marks" else None
        else:
            store.fails_written = lambda method: die_at(method) if method == "put_marks" else None
        await Writer(
            log,
            store,
            keeper_of(settings, log, quarantine, store),
            monotonic=time.monotonic,
            now_ns=time.time_ns,
            steps_at_once=STEPS_AT_ONCE,
        ).run()


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
