"""What the engines are asked again and again: whether they are there, and how much is unread."""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from ledger.app.health import Ask
from ledger.errors import Busy, Refused, Uncertain
from ledger.marks import TRAIL_READER, marks_of
from ledger.metrics import LOG_UNREAD_RECORDS
from ledger.scan_log import Bounds, LogIdentity, ScanLog
from ledger.trail_store import TrailStore

logger = logging.getLogger(__name__)

Reached = Callable[[], Awaitable[Mapping[int, int]]]
"""Tells how far trails are: the index behind the last record that they show, by partition. One that
is missing begins at its beginning.
"""

PARTITIONS_ASKED: Final = 4
"""Partitions that are asked at once, others each time. One answer is enough: while a broker is
replaced its partitions have no leader, and the log as a whole is there all the same.
"""

UNREAD_EVERY_S: Final = 10.0
"""How often unread records are counted: a question to every partition."""


def asking_log(log: ScanLog) -> Ask:
    """Ask a log whether it is there."""
    partitions = log.identity.partitions
    places = itertools.cycle(range(partitions))

    async def ask() -> None:
        some = itertools.islice(places, min(PARTITIONS_ASKED, partitions))
        waiting = {asyncio.create_task(log.bounds(place)) for place in some}
        await _first_answer(waiting)

    return ask


def asking_store(store: TrailStore) -> Ask:
    """Ask a store whether it is there: by the marks, which every query needs."""

    async def ask() -> None:
        await store.marks(TRAIL_READER)

    return ask


class Unread:
    """The last count of what no trail shows yet."""

    def __init__(self) -> None:
        self._records: int | None = None

    def records(self) -> int | None:
        """Give it; None before the first one."""
        return self._records

    def set(self, records: int | None) -> None:
        """Take a new one; None where nobody can tell."""
        self._records = records
        LOG_UNREAD_RECORDS.set(math.nan if records is None else records)


async def count_unread(
    log: ScanLog, reached: Reached, unread: Unread, *, every_s: float = UNREAD_EVERY_S
) -> None:
    """Count again and again what no trail shows yet, until cancelled. Who does not answer leaves
    the last count as it is; without the right to ask there is none. Either is logged once.
    """
    why = ""
    while True:
        try:
            unread.set(await unread_records(log, reached))
            why = ""
        except (Busy, Uncertain, Refused) as error:
            if isinstance(error, Refused):
                # A count that nobody renews would hold senders back for ever.
                unread.set(None)
            if error.reason != why:
                why = error.reason
                logger.warning(
                    "unread records cannot be counted, so a lag is not seen",
                    extra={"error": error.message},
                )
        await asyncio.sleep(every_s)


async def unread_records(log: ScanLog, reached: Reached) -> int:
    """Count the records of all partitions that no trail shows."""
    places = await reached()
    unread = 0
    for partition in range(log.identity.partitions):
        first, end = await log.bounds(partition)
        unread += max(0, end - places.get(partition, first))
    return unread


def marked(store: TrailStore, log: LogIdentity) -> Reached:
    """Tell it by the marks in the store."""

    async def reached() -> Mapping[int, int]:
        places: dict[int, int] = {}
        # What is settled is readable, also where a store forgot the younger mark.
        for (_, partition), cell in marks_of(await store.marks(TRAIL_READER), log).items():
            places[partition] = max(cell.next_index, places.get(partition, 0))
        return places

    return reached


async def _first_answer(waiting: set[asyncio.Task[Bounds]]) -> None:
    """Return with the first answer. Raises the last error where there is none."""
    error: BaseException | None = None
    try:
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                error = task.exception()
                if not isinstance(error, Busy | Uncertain):
                    break
            else:
                continue
            break
    finally:
        for task in waiting:
            task.cancel()
    if error is not None:
        raise error
