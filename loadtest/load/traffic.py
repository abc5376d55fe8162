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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from loadtest.fleet import Upload

TEAM_SCANNERS: Final = 20
"""Scanners of one fleet: a few thousand items are on their way among them at the same time."""

SEED_STEP: Final = 1_000_000
"""Between the seeds of two workers: so many teams a worker may have."""

DAY_NS: Final = 24 * 3_600 * 1_000_000_000

PAST_DAYS: Final = 730
"""So long before today a fleet begins. Its own time runs as fast as it is asked: a team at full
speed passes some days a second, comes to the future in minutes, and to its end in hours.
"""


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
        self._start_ns = (now_ns() // DAY_NS - PAST_DAYS) * DAY_NS
        self._teams: dict[int, Fleet] = {}
        self._uploads: dict[int, Iterator[Upload]] = {}

    def next_scans(self, scanner: int, count: int) -> Sequence[Scan]:
        """Give what a scanner scans next; nothing at the end of its fleet's time."""
        if scanner not in self._uploads:
            team, member = divmod(scanner, TEAM_SCANNERS)
            self._uploads[scanner] = self._team(team).uploads(member)
        return [_scan(upload) for upload in itertools.islice(self._uploads[scanner], count)]

    def _team(self, team: int) -> Fleet:
        if team not in self._teams:
            seed = self._first_seed + team
            self._teams[team] = Fleet(seed, TEAM_SCANNERS, start_time_ns=self._start_ns)
        return self._teams[team]


def _scan(upload: Upload) -> Scan:
    try:
        item = filing_key(upload.tracking_number).decode()
    except UnfilableNumber:
        item = ""
    return Scan(item, upload.event_id, upload.event, upload.will_be_refused)
