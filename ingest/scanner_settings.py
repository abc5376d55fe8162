"""What a scanner's client can be told, and what it counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannerSettings:
    """How a scanner sends."""

    batch_scans: int = 500
    """Scans in a batch; more gain nothing, fewer cost more a scan. A server may allow fewer."""

    batch_bytes: int = 256 << 10
    """Bytes in a batch: 500 scans of three times the usual size."""

    linger_s: float = 0.002
    """Seconds that a scan may wait for others, while another batch is on its way."""

    backoff_first_s: float = 0.1
    """Longest wait before a second attempt; it doubles with each further one."""

    backoff_max_s: float = 5.0
    """Longest wait before any attempt: what a restart may cost a scanner at worst."""

    result_deadline_s: float = 30.0
    """Seconds after which a batch without a result means that the stream is dead."""

    heartbeat_s: float = 30.0
    """Seconds without a batch after which a sign of life is sent."""

    buffer_scans: int = 20_000
    """Most scans handed over and without an outcome; beyond it `record` and `submit` wait."""

    buffer_bytes: int = 16 << 20
    """Most bytes of their events."""

    def jittered_s(self, tries: int, random: Callable[[], float]) -> float:
        """Give a wait between nothing and a bound that doubles with each attempt: senders that were
        turned away together do not come back together.
        """
        bound = self.backoff_first_s * 2.0 ** min(tries, 30)
        return random() * min(bound, self.backoff_max_s)


@dataclass(slots=True)
class ScannerCounts:
    """What a scanner did so far."""

    durable: int = 0
    refused: int = 0
    sent: int = 0
    """Scans sent, each as often as it was sent; `sent_again` are those beyond the first time."""

    sent_again: int = 0
    streams: int = 0
    """Streams that the server opened."""

    known: int = 0
    """Of the durable ones, those that were not sent again, as the server said that it has them."""

    is_open: bool = False
    """Whether the server has opened the last of them, and it has not ended."""
