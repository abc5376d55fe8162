"""What the scanners of a load scan: the seeded fleet, in batches that are ready to be sent.

Scanners stand in teams, each with a fleet of its own: items come through a small team quickly, and
there are as many scanners as anyone asks for. This is the one file here that knows the fleet.
"""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.numbers import UnfilableNumber, filing_key
from loadtest.fleet import Fleet
from loadtest.journeys import DAY_NS, SPAN_NS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ledger.v1.scan_event_pb2 import ScanEvent

TEAM_SCANNERS: Final = 20
"""Scanners of one fleet: they see a round of its items within about 640 scans."""

SEED_STEP: Final = 1_000_000
"""Between the seeds of two workers: so many teams a worker may have."""


class Scan(NamedTuple):
    """One scan as it is sent."""

    item: str
    """The key it is filed under; empty where its number makes none, and it will be refused."""

    event_id: bytes
    event: bytes
    """The encoded event."""

    is_bad: bool = False
    """Whether it breaks a rule of the wire: such a scan, and no other, is to be refused."""


class Traffic:
    """All scanners of one process, numbered from 0. The same seed and day give the same scans."""

    def __init__(
        self, seed: int, *, worker: int = 0, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        """No two workers scan the same items."""
        self._first_seed = seed + worker * SEED_STEP
        # All journeys lie in the past, and begin on a full day.
        self._start_ns = (now_ns() - SPAN_NS) // DAY_NS * DAY_NS - DAY_NS
        self._teams: dict[int, Fleet] = {}
        self._events: dict[int, Iterator[ScanEvent]] = {}

    def next_scans(self, scanner: int, count: int) -> Sequence[Scan]:
        """Give what a scanner scans next."""
        if scanner not in self._events:
            team, member = divmod(scanner, TEAM_SCANNERS)
            self._events[scanner] = self._team(team).scanner(member)
        return [_scan(event) for event in itertools.islice(self._events[scanner], count)]

    def _team(self, team: int) -> Fleet:
        if team not in self._teams:
            seed = self._first_seed + team
            self._teams[team] = Fleet(seed, TEAM_SCANNERS, start_time_ns=self._start_ns)
        return self._teams[team]


def _scan(event: ScanEvent) -> Scan:
    encoded = event.SerializeToString()
    try:
        item = filing_key(event.tracking_number).decode()
    except UnfilableNumber:
        return Scan("", event.event_id, encoded, is_bad=True)
    return Scan(item, event.event_id, encoded)
