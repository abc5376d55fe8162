"""One item, looked up: its rows read, its revision compared, its trail folded, the answer written.

All that answers about items goes this way, so that one, many and watched items are the same. An
answer is a function of the events below the pins, of what is known of codes and facilities, and of
the moment for which it is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.codec import SAYS_IN
from ledger.v1.trail_service_pb2 import LookupStatus
from query.apart import NOT_READ
from query.containers.reading import ContainerTrails
from query.item_answers import put_containers, put_item, put_time
from query.journey import asked_of, fold, told_of
from query.journey.rules import RULES
from query.journey.standing import standing
from query.lanes import Lanes
from query.revisions import (
    digest_of,
    digest_of_carried,
    digest_of_container,
    edition_of,
    read_revision,
    write_revision,
)
from query.trail import trail_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ledger.facilities import Directory
    from ledger.trail_store import Slice
    from ledger.v1.item_service_pb2 import ItemAnswer
    from ledger.vocabulary import Mappings
    from query import journey
    from query.apart import NotRead, Patience
    from query.containers import Carried
    from query.journey import Told
    from query.progress_view import Shown
    from query.reading import Item, KeyedRows, TrailReader

_FOUND = LookupStatus.LOOKUP_STATUS_FOUND
_NOT_YET_SEEN = LookupStatus.LOOKUP_STATUS_NOT_YET_SEEN
_UNCHANGED = LookupStatus.LOOKUP_STATUS_UNCHANGED


_BEGINS: Final = [b"\x18%c\x22" % number for number, rule in sorted(RULES.items()) if rule.begins]
"""In every event with which an item begins: tag and value of `type`, and the tag of `scan_time`
behind it. One that is written in another order is none here, which costs a read, and no more.
"""

LEARN_EVERY: Final = 16
"""Of so many answers one is learned from: learning takes 35 µs for 20 events, a fold 45 µs."""


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
    went_inside: bool = False
    """Whether anything that was read may say that it went into a container."""
    may_begin: bool = True
    """Whether anything that was read may say how it began. Then nobody asks whether it is itself a
    container, which begins nowhere.
    """
    is_container: bool = False
    """Things were put into it."""
    told: tuple[Sequence[Told], int] | None = None
    """Its own events, and how many notices are beside them, where that is known already."""
    carried: Carried | None = None
    """What it inherits of containers; None where that was not read."""

    @property
    def keys(self) -> Sequence[bytes]:
        """All keys whose trails it was made from."""
        lain = self.carried.lain if self.carried else ()
        return [*self.item.keys, *dict.fromkeys(one.path[-1] for one in lain)]


class Answered(NamedTuple):
    """What is known of an answer beside what it says."""

    folded: journey.Item | None
    """What it was made of; None where nothing was folded."""
    until_ns: int
    """When time alone changes it next; 0 where it never does."""


class Items:
    """Looks items up for all requests of one process."""

    def __init__(self, reader: TrailReader, *, mappings: Mappings, facilities: Directory) -> None:
        """`mappings` explain sources' own codes; `facilities` say where deliveries were made."""
        self.lanes = Lanes()
        """What items take between facilities, learned from those that are answered."""
        self._unlearned = 0
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
        rows = item.whole.keyed_rows
        return Look(number, item, digest_of(asked, rows), *_roughly(rows))

    def trails_of_containers(
        self, shown: Shown, patience: Patience | None = None
    ) -> ContainerTrails:
        """Begin to read trails of containers, for one request."""
        return ContainerTrails(self._reader, shown, self._mappings, patience)

    async def carry(
        self, looks: Sequence[Look], containers: ContainerTrails
    ) -> Sequence[Look | NotRead]:
        """Read what items inherit of the containers that they lay in, and which of them are
        containers; why not, where that could not be read. Raises as ContainerTrails.
        """
        found = await _with_containers(looks, containers)
        bagged = [
            (at, look, self._told(look))
            for at, look in enumerate(found)
            if isinstance(look, Look) and look.went_inside
        ]
        if not bagged:
            return found
        items = [(look.item.keys, standing(its).events) for _, look, (its, _) in bagged]
        for (at, look, its), carried in zip(bagged, await containers.carried(items), strict=True):
            if isinstance(carried, NOT_READ):
                found[at] = carried
                continue
            digest = digest_of_carried(look.digest, carried)
            found[at] = look._replace(digest=digest, told=its, carried=carried)
        return found

    async def look_inside(
        self, number: str, keys: Sequence[bytes], shown: Shown, question: Question
    ) -> Look:
        """Read what there is of one number, and of the containers that it lay in."""
        own = await self.look(number, keys, shown, question)
        [look] = await self.carry([own], self.trails_of_containers(shown))
        assert isinstance(look, Look)  # Without patience it raises.
        return look

    def _told(self, look: Look) -> tuple[Sequence[Told], int]:
        """Give an item's own events, and how many notices of quarantine are beside them."""
        if look.told is not None:
            return look.told
        whole = look.item.whole
        assert whole is not None
        entries = trail_of(*whole)
        told = told_of(entries, self._mappings)
        return told, len(entries) - len(told)

    def answer(
        self,
        look: Look,
        question: Question,
        out: ItemAnswer,
        named: dict[str, None],
        *,
        revision: str = "",
        learn_every: int = LEARN_EVERY,
    ) -> Answered:
        """Write the answer, and note which facilities it names. UNCHANGED where `revision` stands
        for the same. Of so many answers for now one is learned from.
        """
        put_time(
            out.answer_time, question.now_ns if question.until_ns is None else question.until_ns
        )
        if revision and look.digest:
            known = read_revision(revision)
            if known and known.holds(look.digest, question.now_ns):
                out.status = _UNCHANGED
                out.revision = revision
                return Answered(None, known.until_ns)
        item = look.item
        out.tracking_keys.extend([key.decode() for key in item.keys])
        out.more_keys = item.has_more_keys
        if item.whole is None:
            out.status = _FOUND
            out.oversized = True
            return Answered(None, 0)
        told, out.quarantined_count = self._told(look)
        asked = asked_of(
            look.number,
            now_ns=question.now_ns,
            until_ns=question.until_ns,
            coordinates=self._coordinates,
        )
        if look.is_container:
            asked = asked._replace(is_container=True)
        carried = look.carried
        folded = fold(told, asked, carried)
        out.status = _FOUND if folded or out.quarantined_count else _NOT_YET_SEEN
        until_ns = 0
        if folded is not None:
            put_item(out, folded, named, timeline=question.timeline)
            moments = [folded.instance.next_change_ns]
            if carried is not None:
                put_containers(out.item, carried, out.answer_time.ToNanoseconds())
                moments += [at_ns for one in carried.lain for at_ns in (one.begin_ns, one.end_ns)]
            if not question.is_past:
                self._learn(folded, learn_every)
                until_ns = min((at for at in moments if at > question.now_ns), default=0)
        out.revision = write_revision(look.digest, until_ns)
        return Answered(folded, until_ns)

    def _learn(self, folded: journey.Item, every: int) -> None:
        self._unlearned += 1
        if self._unlearned >= every:
            self._unlearned = 0
            self.lanes.learn(folded.instance)

    def _coordinates(self, facility_id: str) -> tuple[float, float] | None:
        facility = self._facilities.get(facility_id)
        return None if facility is None else (facility.latitude, facility.longitude)


async def _with_containers(looks: Sequence[Look], trails: ContainerTrails) -> list[Look | NotRead]:
    """Find which are containers among what has no beginning: all others are items anyway."""
    found: list[Look | NotRead] = list(looks)
    keys = [key for look in looks if not look.may_begin for key in look.item.keys]
    holding = await trails.holding(keys) if keys else {}
    for at, look in enumerate(looks):
        if look.may_begin:
            continue
        said = [holding[key] for key in look.item.keys]
        if (why_not := next((one for one in said if isinstance(one, NOT_READ)), None)) is not None:
            found[at] = why_not
        elif any(said):
            digest = digest_of_container(look.digest)
            found[at] = look._replace(digest=digest, is_container=True)
    return found


def _roughly(keyed_rows: KeyedRows) -> tuple[bool, bool]:
    """Say whether a record may say that the item went into a container, and whether one may be its
    beginning: some 2 µs for all of them, and nothing is parsed. Few others have these bytes by
    chance.
    """
    went_inside = may_begin = False
    for _, rows in keyed_rows:
        data = b"".join([row[1] for row in rows])
        went_inside = went_inside or SAYS_IN in data
        may_begin = may_begin or any(begins in data for begins in _BEGINS)
    return went_inside, may_begin or not any(rows for _, rows in keyed_rows)
