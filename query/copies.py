"""Copies of one event collapse while a trail is read: so a trail is as long as its events.

A device that retries madly writes one event thousands of times. Copies share scan time and event
id, so they stand side by side in the store, and no more than one such group is ever remembered.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from ledger.codec import read_record
from query.trail import GROUP_BYTES, below

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ledger.trail_store import StoredRow


class Amount(NamedTuple):
    """So many events, or so many bytes of their records."""

    rows: int
    bytes: int


ENDLESS = Amount(sys.maxsize, sys.maxsize)
"""An amount that is never reached."""

_Content = tuple[str, bytes, bytes, bytes, bytes]
"""Source id, event, sealed personal data; of an alias the other key: within a group, what makes two
rows copies. And what was replayed, since a trail has to know of it: a replay collapses when the
trail is made.
"""


class Events:
    """The events of one key below the pins, from rows as they are read, in either direction."""

    def __init__(
        self, limits: Mapping[int, int], *, most: Amount, enough: Amount = ENDLESS
    ) -> None:
        """Ends where a group ends and there is `enough`; or anywhere with more than `most`."""
        self.rows: list[StoredRow] = []
        """One row for each event: of its copies the one with the lowest position."""
        self.bytes = 0
        """Bytes of the records in `rows`."""
        self.has_enough = False
        """True: it ended where a group ends, and there are more groups."""
        self.is_cut = False
        """True: it ended with more than `most`."""
        self._limits = limits
        self._most = most
        self._enough = enough
        self._group = b""
        self._group_begins = 0
        # Filled only where a group has a second row: most have not, and no record is parsed.
        self._known: dict[_Content, int] = {}
        self._copies: dict[int, int] = {}

    @property
    def copies(self) -> dict[bytes, int]:
        """How many further copies were left out, by the order of the row that stands for them."""
        return {self.rows[at].order: count for at, count in self._copies.items()}

    def add(self, rows: Iterable[StoredRow]) -> bool:
        """Take the rows that follow. True: it has ended, and takes no more."""
        kept, enough, most = self.rows, self._enough, self._most
        for row in below(rows, self._limits):
            group = row[0][:GROUP_BYTES]
            if group == self._group:
                self._add_to_group(row)
            else:
                if len(kept) >= enough[0] or self.bytes >= enough[1]:
                    self.has_enough = True
                    return True
                self._group, self._group_begins = group, len(kept)
                if self._known:
                    self._known = {}
                kept.append(row)
                self.bytes += len(row[1])
            if len(kept) > most[0] or self.bytes > most[1]:
                self.is_cut = True
                return True
        return False

    def _add_to_group(self, row: StoredRow) -> None:
        known = self._known
        if not known:
            known[_content(self.rows[self._group_begins])] = self._group_begins
        at = known.setdefault(_content(row), len(self.rows))
        if at == len(self.rows):
            self.rows.append(row)
            self.bytes += len(row.record)
            return
        self._copies[at] = self._copies.get(at, 0) + 1
        if row.order < self.rows[at].order:  # Only where the trail is read backwards.
            self.bytes += len(row.record) - len(self.rows[at].record)
            self.rows[at] = row


def _content(row: StoredRow) -> _Content:
    record = read_record(row.record)
    replayed = b""
    if record.HasField("replayed_position"):
        replayed = record.replayed_position.SerializeToString()
    other_key = record.alias.other_key
    return record.source_id, record.event, record.sealed_personal, other_key, replayed
