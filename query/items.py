"""One item, looked up: its rows read, its revision compared, its trail folded, the answer written.

All that answers about items goes this way, so that one, many and watched items are the same. An
answer is a function of the events below the pins, of what is known of codes and facilities, and of
the moment for which it is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ledger.v1.trail_service_pb2 import LookupStatus
from query.item_answers import put_item, put_time
from query.journey import asked_of, fold, told_of
from query.revisions import digest_of, edition_of, read_revision, write_revision
from query.trail import trail_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ledger.facilities import Directory
    from ledger.trail_store import Slice
    from ledger.v1.item_service_pb2 import ItemAnswer
    from ledger.vocabulary import Mappings
    from query import journey
    from query.progress_view import Shown
    from query.reading import Item, TrailReader

_FOUND = LookupStatus.LOOKUP_STATUS_FOUND
_NOT_YET_SEEN = LookupStatus.LOOKUP_STATUS_NOT_YET_SEEN
_UNCHANGED = LookupStatus.LOOKUP_STATUS_UNCHANGED


class Question(NamedTuple):
    """What is asked about items, beside their numbers."""

    now_ns: int
    """The moment for which it is asked."""
    until_ns: int | None = None
    """Set where what happened later is left out."""
    is_past: bool = False
    """Whether it is asked for a moment of its own: then no time goes by."""
    timeline: bool = False
    identity: bytes = b""
    """What makes it this question: an answer to another one is no answer to it."""


class Look(NamedTuple):
    """What was read for one number."""

    number: str
    item: Item
    digest: bytes
    """Of the question and of all that was read; empty where the trail is oversized."""


class Items:
    """Looks items up for all requests of one process."""

    def __init__(self, reader: TrailReader, *, mappings: Mappings, facilities: Directory) -> None:
        """`mappings` explain sources' own codes; `facilities` say where deliveries were made."""
        self._reader = reader
        self._mappings = mappings
        self._facilities = facilities
        self._edition = edition_of(mappings, facilities)

    async def look(
        self,
        number: str,
        keys: Sequence[bytes],
        shown: Shown,
        question: Question,
        begun: Mapping[bytes, Slice] | None = None,
    ) -> Look:
        """Read what there is of a number. Raises Busy as TrailReader does."""
        item = await self._reader.item(keys, shown, begun)
        if item.whole is None:
            return Look(number, item, b"")
        asked = b"%s%s\0%s" % (self._edition, question.identity, number.encode())
        return Look(number, item, digest_of(asked, item.whole.keyed_rows))

    def answer(
        self,
        look: Look,
        question: Question,
        out: ItemAnswer,
        named: dict[str, None],
        *,
        revision: str = "",
    ) -> journey.Item | None:
        """Write the answer, and note which facilities it names. UNCHANGED where `revision` stands
        for the same. Returns what was folded, where anything was.
        """
        put_time(
            out.answer_time, question.now_ns if question.until_ns is None else question.until_ns
        )
        if revision and look.digest:
            known = read_revision(revision)
            if known and known.holds(look.digest, question.now_ns):
                out.status = _UNCHANGED
                out.revision = revision
                return None
        item = look.item
        out.tracking_keys.extend([key.decode() for key in item.keys])
        out.more_keys = item.has_more_keys
        if item.whole is None:
            out.status = _FOUND
            out.oversized = True
            return None
        entries = trail_of(*item.whole)
        told = told_of(entries, self._mappings)
        asked = asked_of(
            look.number,
            now_ns=question.now_ns,
            until_ns=question.until_ns,
            coordinates=self._coordinates,
        )
        folded = fold(told, asked)
        out.quarantined_count = len(entries) - len(told)
        out.status = _FOUND if folded or out.quarantined_count else _NOT_YET_SEEN
        until_ns = 0
        if folded is not None:
            put_item(out, folded, named, timeline=question.timeline)
            until_ns = 0 if question.is_past else folded.instance.next_change_ns
        out.revision = write_revision(look.digest, until_ns)
        return folded

    def _coordinates(self, facility_id: str) -> tuple[float, float] | None:
        facility = self._facilities.get(facility_id)
        return None if facility is None else (facility.latitude, facility.longitude)
