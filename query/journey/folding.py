"""The fold: the events of one trail, made into what a number stands for at a moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.v1.scan_event_pb2 import ContainmentDirection
from query.journey.delivery import proof_of
from query.journey.instances import instances
from query.journey.legs import Walk
from query.journey.result import (
    Beside,
    Doubt,
    Flag,
    Instance,
    Item,
    LegKind,
    Whereabouts,
    carriers_of,
)
from query.journey.rules import (
    AHEAD_NS,
    ASKING_ACTIONS,
    ASKING_REASONS,
    CLOCK_DOUBT_NS,
    CLOSED,
    CUSTOMS_ENDS,
    CUSTOMS_HELD,
    ENDINGS,
    NOTHING,
    PAST_CUSTOMS,
    RULES,
    UNDATED_NS,
    USUAL_SILENCE,
    Rank,
    Types,
)
from query.journey.stages import expected_of, stages_of
from query.journey.standing import Standing, in_order, standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ledger.vocabulary import Milestone
    from query.containers.inheriting import Carried, Inherited
    from query.journey.delivery import Coordinates
    from query.journey.result import Correction
    from query.journey.told import Told

_EMPTIED: Final = int(ContainmentDirection.CONTAINMENT_DIRECTION_EMPTIED)
_NO_DOUBTS: Final[frozenset[Doubt]] = frozenset()


def _nowhere(_facility: str) -> None:
    return None


class Asked(NamedTuple):
    """What the fold is to know beside the events."""

    now_ns: int
    until_ns: int | None = None
    """Leave out what happened later, and answer as of then: the status at a past moment, with what
    was corrected since. (As it was known then: fold the trail as of then.)
    """
    shared: bool = True
    """All carriers share the number and hand one item on, as posts do."""
    bad_number: bool = False
    """No format has the number with a right check digit."""
    is_container: bool = False
    """It is known that things are put into it: nobody hands it in, as an item is."""
    coordinates: Coordinates = _nowhere
    usual_silence: Mapping[Milestone, int] = USUAL_SILENCE
    """By milestone, how long in nanoseconds nobody sees an item where all is well."""
    containers_known: bool = False
    """All scans of the containers that it lay in are among its events: the fold sets it."""


def fold(told: Iterable[Told], asked: Asked, carried: Carried | None = None) -> Item | None:
    """Say what a number stands for; None where nothing was told of it, or nothing until then.

    `carried` is what it inherits of containers; without it, or where that is truncated, a place in
    a container is a doubt.
    The same events give the same answer in whatever order, and however often, they come.
    """
    stands = standing(told)
    events = stands.events
    if asked.until_ns is not None:
        until_ns = asked.until_ns
        asked = asked._replace(now_ns=until_ns)
        events = [one for one in events if one.scan_time_ns <= until_ns]
    if stands.corrections:
        # A withdrawal is nothing that happens to an item, and ends no silence.
        events = [one for one in events if one.type != Types.CORRECTION]
        events = events or _withdrawals(stands, asked)
    if not events:
        return None
    groups, undated = instances(events, shared=asked.shared)
    newest: Sequence[Told] = groups[-1]
    others = [_beside(group) for group in groups[:-1]]
    stands = _part(stands, groups)
    if carried is not None:
        asked = asked._replace(containers_known=not carried.is_truncated)
        newest = _with_inherited(newest, carried.scans, asked)
    instance = _instance(newest, stands, asked)
    if undated:
        doubts = instance.doubts | {Doubt.UNDATED_LEFT_OUT, Doubt.CLOCK_NEVER_SET}
        instance = instance._replace(doubts=doubts)
    return Item(instance, others)


def _with_inherited(
    group: Sequence[Told], inherited: Iterable[Inherited], asked: Asked
) -> Sequence[Told]:
    """Put what an item inherits among its own events. Those without a time stay where they are."""
    mine = {one.identity for one in group}
    more = [
        one.told
        for one in inherited
        if one.into.identity in mine
        and (asked.until_ns is None or one.told.scan_time_ns <= asked.until_ns)
    ]
    if not more:
        return group
    dated = [at for at, one in enumerate(group) if one.scan_time_ns >= UNDATED_NS]
    first, end = dated[0], dated[-1] + 1
    return [*group[:first], *in_order([*group[first:end], *more]), *group[end:]]


def _withdrawals(stands: Standing, asked: Asked) -> list[Told]:
    """Give all that is left where everything else was withdrawn."""
    return [
        one.by
        for one in stands.corrections
        if one.in_effect
        and one.by.type == Types.CORRECTION
        and (asked.until_ns is None or one.by.scan_time_ns <= asked.until_ns)
    ]


def _part(stands: Standing, groups: Sequence[Sequence[Told]]) -> Standing:
    """Keep the corrections and conflicts of the newest item."""
    if len(groups) == 1:
        return stands
    mine = {id(one) for one in groups[-1]}
    begin_ns = groups[-1][0].scan_time_ns

    def of_newest(correction: Correction) -> bool:
        if id(correction.by) in mine:
            return True
        about = correction.corrected[0] if correction.corrected else correction.by
        return about.scan_time_ns >= begin_ns

    return Standing(
        groups[-1],
        tuple(one for one in stands.corrections if of_newest(one)),
        tuple(some for some in stands.conflicts if any(id(one) in mine for one in some)),
    )


def _beside(group: Sequence[Told]) -> Beside:
    walk = Walk(group)
    return Beside(
        carriers_of(group),
        walk.way.milestone,
        group[0].scan_time_ns,
        group[-1].scan_time_ns,
    )


def _instance(group: Sequence[Told], stands: Standing, asked: Asked) -> Instance:
    walk = Walk(group)
    flags = _flags(walk, stands, asked)
    last, places = walk.last_scan, walk.places
    return Instance(
        events=group,
        legs=[way.leg() for way in walk.ways],
        flags=frozenset(flags),
        doubts=_doubts(walk, group, asked),
        in_state_ns=max(0, asked.now_ns - walk.way.since.scan_time_ns),
        silent_ns=-1 if last is None else max(0, asked.now_ns - last.scan_time_ns),
        last_scan=last,
        last_notice=walk.last_notice,
        where=Whereabouts(places.presence, places.facility, places.next_facility, places.seen),
        proof=proof_of(
            walk,
            flags,
            stands.corrections,
            coordinates=asked.coordinates,
        ),
        stages=stages_of(walk, group),
        corrections=stands.corrections,
        conflicts=stands.conflicts,
        next_change_ns=_next_change_ns(walk, group, asked),
    )


def _flags(walk: Walk, stands: Standing, asked: Asked) -> set[Flag]:
    flags: set[Flag] = set()
    milestone = walk.way.milestone
    if stands.corrections:
        flags.add(Flag.CORRECTED)
    if stands.conflicts:
        flags.add(Flag.CONFLICT)
    if asked.bad_number:
        flags.add(Flag.BAD_NUMBER)
    if walk.undone:
        flags.add(Flag.DISPUTED)
    if milestone in ENDINGS:
        return flags
    by = walk.way.by
    if RULES.get(by.type, NOTHING).flag == "held":
        flags.add(Flag.HELD)
    if walk.missent is not None:
        flags.add(Flag.MISSENT)
    if milestone not in CLOSED:
        if walk.late is not None or any(late_ns < asked.now_ns for late_ns in _overdue_ns(walk)):
            flags.add(Flag.LATE)
        if 0 < _usual_until_ns(walk, asked) < asked.now_ns:
            flags.add(Flag.STALLED)
        if asks(by) or (walk.late is not None and asks(walk.late)):
            flags.add(Flag.ACTION_REQUIRED)
    return flags


def _overdue_ns(walk: Walk) -> Iterator[int]:
    """Give until when the next step was announced, where nobody came since."""
    last = walk.last_scan
    for one in (last, walk.last_notice):
        if one is None or (last is not None and one.scan_time_ns < last.scan_time_ns):
            continue
        until_ns = expected_of(one)[1]
        if until_ns > 0:
            yield until_ns


def _usual_until_ns(walk: Walk, asked: Asked) -> int:
    """Give until when silence is usual; 0 where nobody has seen it, or nothing is usual."""
    usual_ns = asked.usual_silence.get(walk.way.milestone)
    last = walk.last_scan
    if usual_ns is None or last is None:
        return 0
    return max(last.scan_time_ns, walk.way.by.scan_time_ns) + usual_ns


def _next_change_ns(walk: Walk, group: Sequence[Told], asked: Asked) -> int:
    """Give when time alone changes a flag or a doubt next; 0 where it never does."""
    moments = [group[-1].scan_time_ns - AHEAD_NS]
    if walk.way.milestone not in CLOSED:
        moments.append(_usual_until_ns(walk, asked) + 1)
        moments += [until_ns + 1 for until_ns in _overdue_ns(walk)]
    return min((moment for moment in moments if moment > asked.now_ns), default=0)


def asks(one: Told) -> bool:
    """Whether an event asks somebody outside to act."""
    if one.mapped is not None and one.mapped.action_required:
        return True
    if one.type == Types.READY_FOR_PICKUP:
        return True
    says = one.says
    return says.action in ASKING_ACTIONS or says.reason in ASKING_REASONS


def _doubts(walk: Walk, group: Sequence[Told], asked: Asked) -> frozenset[Doubt]:
    doubts = walk.doubts | walk.places.doubts
    known = asked.containers_known
    if walk.places.is_inside and not known and walk.way.milestone not in ENDINGS:
        doubts.add(Doubt.IN_CONTAINER)
    if _is_close(walk.way.by, group):
        doubts.add(Doubt.CLOCKS_DISAGREE)
    if walk.way.is_unclear or (walk.places.is_astray and walk.way.kind is not LegKind.RETURN):
        doubts.add(Doubt.WAY_NOT_SEEN)
    if (
        not RULES.get(group[0].type, NOTHING).begins
        and walk.accepted is None
        and not asked.is_container
        and not any(one.event.containment.direction == _EMPTIED for one in group if not one.path)
    ):
        doubts.add(Doubt.BEGINNING_NOT_SEEN)
    if _is_customs_end_missing(group):
        doubts.add(Doubt.CUSTOMS_END_NOT_SEEN)
    if min(group[0].scan_time_ns, group[-1].scan_time_ns) < UNDATED_NS:
        doubts.add(Doubt.CLOCK_NEVER_SET)
    if group[-1].scan_time_ns > asked.now_ns + AHEAD_NS:
        doubts.add(Doubt.CLOCK_AHEAD)
    return frozenset(doubts) if doubts else _NO_DOUBTS


def _is_customs_end_missing(group: Sequence[Told]) -> bool:
    """Whether customs held it, and it was seen further on before anybody saw them give it back."""
    is_held = False
    for one in group:
        if one.type == CUSTOMS_HELD:
            is_held = True
        elif is_held:  # Seldom: an event costs one comparison.
            if one.type in PAST_CUSTOMS:
                return True
            is_held = one.type not in CUSTOMS_ENDS
    return False


def _is_close(by: Told, group: Sequence[Told]) -> bool:
    """Whether two scans on the way say different things closer in time than clocks are right, so
    that either may have been the last.
    """
    rule = RULES.get(by.type, NOTHING)
    if rule.rank != Rank.MOVING:
        return False
    for one in reversed(group):
        if by.scan_time_ns - one.scan_time_ns > CLOCK_DOUBT_NS:
            return False
        other = RULES.get(one.type, NOTHING)
        if (
            other.rank == Rank.MOVING
            and other.milestone is not rule.milestone
            and one.event.device != by.event.device
        ):
            return True
    return False
