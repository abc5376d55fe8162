"""Bounds the memory of requests: few calls of a service read their message at once, others wait.

gRPC keeps no more of a message than a window until it is asked for it. So a call with one request
is served as if it sent a stream, and its message is asked for when there is a place for it. Calls
that find too many waiting are told that the server is busy, before anything is read.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from ledger.errors import Busy, Refused

READS_AT_ONCE_MAX: Final = 8
"""Calls of one service whose message is read at once. With messages of 4 MiB they are 32 MiB."""

READS_WAITING_MAX: Final = 400
"""Calls of one service that wait for a place. gRPC keeps up to a window of each: 64 KiB, 25 MiB."""

PLACE_WAIT_S: Final = 5.0
"""Seconds that a call waits for a place: a burst is over by then, and a deadline mostly is not."""

READ_S: Final = 20.0
"""Seconds within which a message must be here: the largest batch over a line of half a megabit."""

LARGE_BYTES: Final = 64 << 10
"""A message from this size on takes the loop long enough that others must get their turn first."""

PAUSES: Final = 5
"""Turns of the loop before a large message is handled. gRPC begins one call per turn, and those it
has not begun can neither be told to wait nor be refused.
"""

PAUSE_S: Final = 0.001
"""Seconds of such a turn: the time gRPC needs to give the next call. A mebibyte of scans costs
twenty times as much as all turns before it.
"""

BUSY_RETRY_S: Final = 0.5
"""Seconds after which a call that found no place may try again: places are free much sooner."""


class MessageGate:
    """The places of one service."""

    def __init__(
        self,
        *,
        at_once_max: int = READS_AT_ONCE_MAX,
        waiting_max: int = READS_WAITING_MAX,
        place_wait_s: float = PLACE_WAIT_S,
        read_s: float = READ_S,
    ) -> None:
        """See the limits above."""
        self._places = asyncio.Semaphore(at_once_max)
        self._one_large = asyncio.Lock()
        self._waiting = 0
        self._waiting_max = waiting_max
        self._place_wait_s = place_wait_s
        self._read_s = read_s

    async def read(self, context: Any) -> bytes:  # noqa: ANN401 - grpc's own.
        """Read the one message of a call. Raises Busy where it found no place in time."""
        if self._places.locked():
            await self._wait()
        else:
            await self._places.acquire()
        try:
            message = await self._message(context)
            if len(message) >= LARGE_BYTES:
                async with self._one_large:
                    for _ in range(PAUSES):
                        await asyncio.sleep(PAUSE_S)
            return message
        finally:
            self._places.release()

    async def _message(self, context: Any) -> bytes:  # noqa: ANN401 - grpc's own.
        try:
            async with asyncio.timeout(self._read_s):
                message: object = await context.read()
        except TimeoutError:
            raise _busy("The message did not arrive in time; send it again.") from None
        if not isinstance(message, bytes):
            raise Refused("The call has no message.", reason="MESSAGE_MISSING")
        return message

    async def _wait(self) -> None:
        if self._waiting >= self._waiting_max:
            raise _busy("Too many calls wait; send again later.")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._place_wait_s):
                await self._places.acquire()
        except TimeoutError:
            raise _busy("Too many calls are being read; send again later.") from None
        finally:
            self._waiting -= 1


def _busy(message: str) -> Busy:
    return Busy(message, reason="SERVER_BUSY", retry_after_s=BUSY_RETRY_S)
