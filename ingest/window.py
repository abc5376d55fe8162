"""The window of one stream, and what its sender may have on its way as far as it can know. Pure.

A smaller window reaches the sender behind results that were written before it. Until then it may
use the larger one; so what is allowed shrinks only by what has its result since.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.errors import Busy

if TYPE_CHECKING:
    from ledger.v1.ingest_service_pb2 import Credit


class Window:
    """What is on its way on a stream, and how much may be."""

    __slots__ = (
        "_bytes",
        "_bytes_allowed",
        "_bytes_max",
        "_scans",
        "_scans_allowed",
        "_scans_max",
        "batches",
        "told",
    )

    def __init__(self, window: Credit) -> None:
        """`window` is what the sender is told on opening."""
        self.told = window
        """What the sender was told last, or is about to be."""

        self.batches = 0
        """Without a result yet."""

        self._scans = self._bytes = 0
        self._scans_max = self._scans_allowed = window.window_events
        self._bytes_max = self._bytes_allowed = window.window_bytes

    def grant(self, window: Credit) -> None:
        """Note that the sender is told of a window now."""
        self._scans_max, self._bytes_max = window.window_events, window.window_bytes
        self._scans_allowed = max(self._scans_allowed, self._scans_max)
        self._bytes_allowed = max(self._bytes_allowed, self._bytes_max)

    def take(self, scans: int, size: int, *, retry_s: float) -> None:
        """Count a batch as on its way. Raises Busy where it is too much; one may always be."""
        if self.batches and (
            self._scans + scans > self._scans_allowed or self._bytes + size > self._bytes_allowed
        ):
            raise Busy(
                "More is on its way than the window allows; wait for results.",
                reason="WINDOW_EXCEEDED",
                retry_after_s=retry_s,
            )
        self.batches += 1
        self._scans += scans
        self._bytes += size

    def settle(self, scans: int, size: int) -> None:
        """Note that a batch has its result."""
        self.batches -= 1
        self._scans -= scans
        self._bytes -= size
        self._scans_allowed = max(self._scans_max, self._scans_allowed - scans)
        self._bytes_allowed = max(self._bytes_max, self._bytes_allowed - size)
