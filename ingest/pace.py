"""How much senders may have on their way: as much as the log takes quickly, and less while trails
do not keep up. Pure.

What waits is a time, whatever the log's speed: when a batch waits too long senders get half of what
they had, down to two seconds of what the log takes, and when it does not any more, twice.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from ledger.metrics import INGEST_WINDOW_SHARE
from ledger.v1.ingest_service_pb2 import Credit

if TYPE_CHECKING:
    from ingest.limits import IngestLimits

SHARE_MIN: Final = 1 / 64
"""Least share of a full window: 300 scans. With it a stream has one batch on its way at a time."""

ENOUGH_S: Final = 2.0
"""How many seconds of its work a slow log may have before it: then its pauses cost nothing."""

LOOKS: Final = 16
"""How many looks tell how much a log takes: four seconds, longer than a slow append."""

LAG_OVER: Final = 0.9
"""Below this part of the limit a lag is over: else each record would open and close the door."""


class Pace:
    """The share of a full window that each sender gets now."""

    def __init__(self, limits: IngestLimits) -> None:
        self._limits = limits
        self._settled: deque[int] = deque(maxlen=LOOKS)
        self.share = 1.0
        self.is_held = False
        """Whether nothing more is taken until trails have caught up."""

        self._set()

    def look(self, oldest_s: float, *, settled_bytes: int, lag_records: int | None) -> None:
        """Take how long the oldest batch waits for the log, what the log took since the last look,
        and how many records no trail shows. Called each `pace_tick_s`.
        """
        self._settled.append(settled_bytes)
        limits, before = self._limits, self.share
        over = LAG_OVER if self.is_held else 1.0
        # Where nobody can tell, the door is open.
        self.is_held = (lag_records or 0) > limits.lag_records_max * over
        if self.is_held:
            self.share = max(SHARE_MIN, self.share / 2)
        elif oldest_s > limits.slow_s:
            # A log that takes long for each append, and much of them at once, keeps what it takes.
            fair = self._taken_in(ENOUGH_S) / limits.pending_bytes_max
            self.share = max(SHARE_MIN, min(self.share, max(self.share / 2, fair)))
        elif oldest_s < limits.slow_s / 2:
            self.share = min(1.0, self.share * 2)
        if self.share != before:
            self._set()

    def _taken_in(self, seconds: float) -> float:
        """Give how many bytes the log takes in so many seconds, as far as was seen lately."""
        seen_s = len(self._settled) * self._limits.pace_tick_s
        return sum(self._settled) / seen_s * seconds

    def _set(self) -> None:
        limits, share = self._limits, self.share
        self.window = Credit(
            window_events=int(limits.window_scans * share),
            window_bytes=int(limits.window_bytes * share),
        )
        """Of each stream; another object where it is another one."""

        least = min(limits.pending_bytes_min, limits.pending_bytes_max)
        self.pending_bytes_max = max(least, int(limits.pending_bytes_max * share))
        """Of all streams together."""

        INGEST_WINDOW_SHARE.set(share)
