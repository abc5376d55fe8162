"""An item explained: what its status means and what to do, since when nobody has seen it and why
that is, and what the trail does not tell. Pure: the fold's answer in, words out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.vocabulary import Milestone, canonical
from query.explanation.cause import Cause, Found, cause_of, reason_of
from query.explanation.silence import Basis, Silence, nothing_known, silence_of
from query.explanation.words import (
    UNKNOWN,
    Words,
    event_words,
    inherited,
    lies_in,
    values_of,
    with_reason,
    words_of,
)
from query.journey import Doubt, Flag, LegKind, Presence
from query.journey.rules import CLOSED
from query.journey.stages import expected_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from query.explanation.silence import HistoryOf
    from query.explanation.speaking import Speaker
    from query.journey import Instance, Item, Told

NOT_YET_SEEN: Final = "NOT_YET_SEEN"
"""The status of a number of which nothing was told."""

OTHERS_MAX: Final = 8
"""Most earlier items that are put into words: more of them help nobody."""

_MOVING: Final = frozenset({
    Milestone.ACCEPTED, Milestone.IN_TRANSIT, Milestone.OUT_FOR_DELIVERY, Milestone.RETURNING,
})  # fmt: skip
"""Where an item goes on by itself, also when it is late or went wrong."""

_BY_REASON: Final = frozenset({
    Milestone.ACCEPTED,
    Milestone.IN_TRANSIT,
    Milestone.CUSTOMS,
    Milestone.HELD,
    Milestone.OUT_FOR_DELIVERY,
    Milestone.ATTEMPTED,
    Milestone.EXCEPTION,
})  # fmt: skip
"""Where a reason says more of what comes next than the status does."""


_KEPT: Final = frozenset({Milestone.CUSTOMS, Milestone.HELD, Milestone.READY_FOR_PICKUP})
"""Where it lies still: only a place in which somebody saw it is one where it is kept."""


class EventSaid(NamedTuple):
    """One event in words."""

    told: Told
    words: Words
    place: str
    time: str


class Explanation(NamedTuple):
    """An item in words."""

    language: str
    """Tag of the language in which it is said."""
    status: Words
    """The item as a whole: its status, with the reason and the gravest flag put into it."""
    beside: Sequence[Words]
    """The leg where it is not the usual one, and every flag."""
    doubts: Sequence[Words]
    delivery: Sequence[str]
    """What speaks against the scan of the delivery."""
    silence: Silence
    cause: Cause
    cause_words: str
    sentences: Sequence[str]
    """The last scan, the silence and what is expected, each in a sentence."""
    others: Sequence[str]
    """Earlier items that had the number, each in a sentence."""
    events: Sequence[EventSaid]
    """The events that stand, in order."""


def explain_item(
    speaker: Speaker,
    item: Item,
    *,
    now_ns: int,
    history_of: HistoryOf = nothing_known,
    events_max: int | None = None,
    containers: Sequence[str] = (),
) -> Explanation:
    """Explain the newest item with a number. `now_ns` is the moment for which it was folded;
    `events_max` leaves out all but the last events; `containers` are those that it lies in then.
    """
    instance = item.instance
    silence = silence_of(instance, history_of)
    found = cause_of(instance, silence)
    flags = _flags(instance, silence)
    first = 0 if events_max is None else max(0, len(instance.events) - events_max)
    return Explanation(
        speaker.language.tag,
        _status(speaker, instance, flags),
        [*_leg(speaker, instance), *(_plain(speaker, instance, "flag", flag) for flag in flags)],
        [_plain(speaker, instance, "doubt", one) for one in Doubt if one in instance.doubts],
        _delivery(speaker, instance),
        silence,
        found.cause,
        _cause_words(speaker, instance, found),
        list(_sentences(speaker, instance, silence, now_ns, containers)),
        list(_others(speaker, item)),
        [_event(speaker, one) for one in instance.events[first:]],
    )


def explain_nothing(speaker: Speaker, number: str, *, bad_number: bool = False) -> Explanation:
    """Explain that nothing was told of a number; where a digit of it is wrong, that too."""
    cause = Cause.NOTHING_KNOWN
    return Explanation(
        speaker.language.tag,
        words_of(speaker, "status", NOT_YET_SEEN, {}),
        [words_of(speaker, "flag", Flag.BAD_NUMBER, {})] if bad_number else [],
        *([], []),
        Silence(-1, Basis.NONE),
        cause,
        speaker.language.say(f"cause {cause}", "meaning"),
        [speaker.language.say("sentence", "not_seen", number=number)],
        *([], []),
    )


def _event(speaker: Speaker, one: Told) -> EventSaid:
    values = values_of(speaker, one)
    return EventSaid(one, event_words(speaker, one, values), values["place"], values["time"])


def _flags(instance: Instance, silence: Silence) -> Sequence[Flag]:
    """Give the flags that are put into words, in their order. What the pair's own history knows to
    be usual alarms nobody.
    """
    usual = silence.basis is Basis.PAIR and not silence.is_long
    return [
        flag for flag in Flag if flag in instance.flags and not (usual and flag is Flag.STALLED)
    ]


def _status(speaker: Speaker, instance: Instance, flags: Sequence[Flag]) -> Words:
    """Say the status, and put into it what says more of how it goes on."""
    milestone = instance.milestone
    values = _values(speaker, instance)
    words = words_of(speaker, "status", milestone.name, values)
    flag = _leading(milestone, flags)
    if flag is not None:
        said = words_of(speaker, "flag", flag, values)
        words = words._replace(
            meaning=f"{words.meaning} {said.meaning}",
            next=said.next,
            do=said.do,
            ask=said.ask,
            party=said.party,
        )
    why = reason_of(instance) or instance.leg.by
    leads = milestone in _BY_REASON and instance.leg.kind is not LegKind.RETURN
    leads = leads and flag is not Flag.STALLED  # Then it is not the reason that keeps it.
    words = with_reason(speaker, words, why, values, leads=leads)
    return words._replace(action_required=Flag.ACTION_REQUIRED in instance.flags)


def _leading(milestone: Milestone, flags: Sequence[Flag]) -> Flag | None:
    """Give the flag that says more of how it goes on than the milestone does. Where somebody is
    to act, that comes first: an item that waits on a shelf need not be looked for.
    """
    if Flag.DISPUTED in flags:
        return Flag.DISPUTED
    if Flag.ACTION_REQUIRED in flags:
        return None
    among = (Flag.STALLED, Flag.MISSENT, Flag.LATE) if milestone in _MOVING else (Flag.STALLED,)
    return next((flag for flag in among if flag in flags), None)


def _leg(speaker: Speaker, instance: Instance) -> Iterator[Words]:
    if instance.leg.kind is not LegKind.FORWARD:
        yield _plain(speaker, instance, "leg", instance.leg.kind)


def _plain(speaker: Speaker, instance: Instance, kind: str, name: str) -> Words:
    words = words_of(speaker, kind, name, _values(speaker, instance))
    return words._replace(action_required=name == Flag.ACTION_REQUIRED)


def _values(speaker: Speaker, instance: Instance) -> dict[str, str]:
    """Give what is known of an item, as texts name it."""
    values = values_of(speaker, instance.leg.by)
    values["place"] = _place(speaker, instance)
    values["next_place"] = speaker.place(instance.where.next_facility)
    values["time"] = speaker.time_of(instance.leg.since)
    values["expected"] = _expected(speaker, instance)
    return values


def _place(speaker: Speaker, instance: Instance) -> str:
    """Say where an item is as the fold has it, so that nobody is told two places. A notice of
    another place moves nothing, but leaves no place to be said: it stands among the facts.
    """
    where, by = instance.where, instance.leg.by
    if where.seen is None:
        return ""
    if instance.milestone in _KEPT:
        named = by.event.facility or by.words
        is_there = named in {"", where.facility or where.seen.words}
        if where.presence is not Presence.AT or not is_there:
            return ""
    return speaker.place(where.facility, where.seen.words)


def _expected(speaker: Speaker, instance: Instance) -> str:
    """Say what was announced last for the next step, by a scan or a notice since."""
    if instance.milestone in CLOSED:
        return ""
    last, notice = instance.last_scan, instance.last_notice
    if notice is not None and (last is None or notice.scan_time_ns >= last.scan_time_ns):
        from_ns, until_ns = expected_of(notice)
        if from_ns or until_ns:
            return speaker.window(from_ns, until_ns, notice.event.next_facility)
    from_ns, until_ns = expected_of(last)
    if last is None or not (from_ns or until_ns):
        return ""
    return speaker.window(from_ns, until_ns, last.event.next_facility or last.event.facility)


def _delivery(speaker: Speaker, instance: Instance) -> Sequence[str]:
    proof = instance.proof
    if proof is None:
        return []
    return [speaker.language.say(f"weakness {one}", "meaning") for one in proof.weaknesses]


def _cause_words(speaker: Speaker, instance: Instance, found: Found) -> str:
    values = _values(speaker, instance)
    said = speaker.language.fill(f"cause {found.cause}", "meaning", values)
    if found.by is None:
        return said
    empty = Words("", "", "", said, "", "", "", "")
    return with_reason(speaker, empty, found.by, values, leads=False).meaning


def _sentences(
    speaker: Speaker, instance: Instance, silence: Silence, now_ns: int, containers: Sequence[str]
) -> Iterator[str]:
    say = speaker.language.say
    last, notice = instance.last_scan, instance.last_notice
    if last is None:
        yield say("sentence", "no_scan")
    else:
        place, time = speaker.place_of(last), speaker.time_of(last)
        yield say("sentence", "last_scan", what=headline(speaker, last), place=place, time=time)
        if last.path:
            yield inherited(speaker, last)
        if not time:
            yield say("sentence", "time_unknown")
    yield from filter(None, [lies_in(speaker.language, containers)])
    if notice is not None and (last is None or notice.scan_time_ns > last.scan_time_ns):
        what, place = headline(speaker, notice), speaker.place_of(notice)
        time = speaker.time_of(notice)
        yield say("sentence", "last_notice", what=what, place=place, time=time)
    if instance.milestone not in CLOSED and last is not None:
        yield say("sentence", "silence", silence=speaker.duration(silence.silent_ns))
        yield from _usual(speaker, silence)
        if silence.expected_ns:
            name = "expected_passed" if silence.expected_ns < now_ns else "expected_scan"
            where = instance.where.next_facility or instance.where.facility
            yield say("sentence", name, time=speaker.instant(silence.expected_ns, where))
    expected = _expected(speaker, instance)
    if expected:
        yield say("sentence", "expected_step", expected=expected)


def _usual(speaker: Speaker, silence: Silence) -> Iterator[str]:
    say, usual = speaker.language.say, speaker.duration(silence.usual_ns)
    if silence.basis is Basis.PAIR:
        count = f"{silence.known}"
        yield say("sentence", "silence_by_pair", usual=usual, count=count)
        yield say("sentence", "silence_slower", slower=f"{silence.slower}", count=count)
    elif silence.basis is Basis.STATUS:
        yield say("sentence", "silence_by_status", usual=usual)


def headline(speaker: Speaker, one: Told) -> str:
    """Say an event in a few words, without its place."""
    known = canonical(one.type)
    return speaker.language.say(f"event {known.name if known else UNKNOWN}", "headline")


def _others(speaker: Speaker, item: Item) -> Iterator[str]:
    for other in item.others[-OTHERS_MAX:]:
        what = speaker.language.say(f"status {other.milestone.name}", "headline")
        window = speaker.window(other.first_ns, other.last_ns, "")
        yield speaker.language.say("sentence", "another_item", what=what, time=window)
