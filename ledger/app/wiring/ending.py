"""How a process is told to end, and which error it ends with."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final

from ledger.app.exits import FAILED
from ledger.errors import LedgerError

logger = logging.getLogger(__name__)

CLOSING_S: Final = 30.0
"""Seconds after the drain within which engines are closed: those that are away are waited for, some
five seconds here and there. A driver that hangs must not keep the process.
"""


@contextmanager
def told_to_end(drain_s: float) -> Iterator[asyncio.Event]:
    """Give an event that SIGTERM and SIGINT set. A second signal ends the process at once, and so
    does an end that takes much longer than the drain.

    That loses nothing: what is acknowledged is in the log.
    """
    loop = asyncio.get_running_loop()
    ends = asyncio.Event()
    signals = (signal.SIGTERM, signal.SIGINT)
    # In a thread of its own: a loop that is stuck has to end too.
    last_resort = threading.Timer(drain_s + CLOSING_S, _break_off, [loop])
    last_resort.daemon = True

    def end(number: signal.Signals) -> None:
        if not ends.is_set():
            ends.set()
            last_resort.start()
        loop.remove_signal_handler(number)

    for number in signals:
        loop.add_signal_handler(number, end, number)
    try:
        yield ends
    finally:
        last_resort.cancel()
        for number in signals:
            loop.remove_signal_handler(number)


def _break_off(loop: asyncio.AbstractEventLoop) -> None:
    """End the process as it is, and say what it was about."""
    going_on = [
        f"{task.get_name()} at {frame.f_code.co_filename}:{frame.f_lineno}"
        for task in asyncio.all_tasks(loop)
        for frame in task.get_stack(limit=1)
    ]
    logger.error("the end takes too long and is broken off", extra={"tasks": going_on})
    os._exit(FAILED)


class unless_told:  # noqa: N801 - it is used like asyncio.timeout.
    """Breaks off what is within when the process is told to end, by TimeoutError, until `over`.

    Attributes:
        told: whether it was.
    """

    def __init__(self, ends: asyncio.Event) -> None:
        self.told = False
        self._ends = ends
        self._limit = asyncio.timeout(None)
        self._waiting: asyncio.Task[None] | None = None

    def over(self) -> None:
        """Let what is within go on from here, whatever is told."""
        if self._waiting is not None:
            self._waiting.cancel()

    async def __aenter__(self) -> None:
        await self._limit.__aenter__()
        self._waiting = asyncio.create_task(self._break_off())

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.over()
        await self._limit.__aexit__(kind, error, trace)

    async def _break_off(self) -> None:
        await self._ends.wait()
        self.told = True
        self._limit.reschedule(asyncio.get_running_loop().time())


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Give the error that ended a task group: a ledger's error before any other."""
    errors: list[BaseException] = []
    waiting: list[BaseException] = [group]
    while waiting:
        error = waiting.pop(0)
        if isinstance(error, BaseExceptionGroup):
            waiting += error.exceptions
        else:
            errors.append(error)
    return next((error for error in errors if isinstance(error, LedgerError)), errors[0])
