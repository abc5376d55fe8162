"""Which item an event is about: a number may be used again, and two carriers may both have it.

A trail is cut where another item begins. Where nobody saw the beginning, only a year of silence or
a scan long after an end is taken for one.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from query.journey.rules import (
    ENDINGS,
    NOTHING,
    REUSE_NS,
    RULES,
    SILENT_REUSE_NS,
    UNDATED_NS,
    Types,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from query.journey.rules import Rule
    from query.journey.told import Told

    Group = list[Told]

_HOME = frozenset({Types.RETURN_STARTED, Types.RETURNED})
_ENDS = frozenset(number for number, rule in RULES.items() if rule.milestone in ENDINGS)


def instances(events: Sequence[Told], *, shared: bool) -> tuple[list[Group], Group]:
    """Cut a trail (by time) into items, and give them by the time of their first event; and what
    has no time and could be of any of several.

    `shared`: all carriers share the number, as posts do with S10: they hand one item on.
    """
    undated: Group = []
    if events and events[0].scan_time_ns < UNDATED_NS:
        undated = [one for one in events if one.scan_time_ns < UNDATED_NS]
        events = events[len(undated) :]
        if not events:
            return [undated], []
    groups = [list(events)] if shared else _by_carrier(events)
    found = [part for group in groups for part in _by_use(group)]
    if len(found) == 1:
        return [_around(undated, found[0])] if undated else found, []
    found.sort(key=lambda group: (group[0].scan_time_ns, group[0].source_id, group[0].digest))
    return found, undated


def _around(undated: Group, group: Group) -> Group:
    """Put events without a time where they cannot mislead: an end is one whenever it was, and what
    was before it came before.
    """
    ends = [one for one in undated if one.type in _ENDS]
    return [one for one in undated if one.type not in _ENDS] + group + ends


def _by_use(events: Group) -> list[Group]:
    """Cut where the number is used again. What nobody saw (a claim, a notice) ends no silence."""
    if events[-1].scan_time_ns - events[0].scan_time_ns < REUSE_NS:
        return [events]
    cuts = [0]
    seen_ns = events[0].scan_time_ns
    was_seen = ended = False
    for at, one in enumerate(events):
        rule = RULES.get(one.type, NOTHING)
        if not (rule.is_physical or rule.begins):
            continue
        silence_ns = one.scan_time_ns - seen_ns
        if silence_ns >= REUSE_NS and _is_another(one, rule, silence_ns, was_seen, ended):
            cuts.append(at)
            was_seen = ended = False
        seen_ns = one.scan_time_ns
        was_seen = was_seen or rule.is_physical
        ended = ended or one.type in _ENDS
    return [events[begin:end] for begin, end in pairwise([*cuts, len(events)])]


def _is_another(one: Told, rule: Rule, silence_ns: int, was_seen: bool, ended: bool) -> bool:
    """Whether an event after months of silence is about another item."""
    if silence_ns >= SILENT_REUSE_NS:
        return one.type not in _HOME
    if rule.begins:
        return was_seen  # Else it was announced long ago, and is handed in now.
    return ended and one.type not in _HOME


def _by_carrier(events: Sequence[Told]) -> list[Group]:
    """Part what carriers say of items of their own. A carrier that did not begin its item, or
    begins it where another one has handed on its own, has the same item as the others.
    """
    first = events[0].event.carrier
    for one in events:  # Nearly all trails have one carrier, and are not looked at twice.
        if one.event.carrier != first:
            break
    else:
        return [list(events)]
    of: dict[str, Group] = {}
    for one in events:
        of.setdefault(one.event.carrier, []).append(one)
    groups: list[Group] = []
    guests: Group = []
    for carrier in sorted(of, key=lambda name: (_begins_ns(of[name]) or 0, name)):
        group = of[carrier]
        begins_ns = _begins_ns(group)
        if begins_ns is None:
            guests += group
            continue
        host = next((one for one in groups if _hands_on(one, begins_ns)), None)
        if host is None:
            groups.append(group)
        else:
            host += group
    if not groups:
        return [list(events)]
    for one in guests:  # To the item that had begun by then; what nobody began, to the first.
        begun = [group for group in groups if (_begins_ns(group) or 0) <= one.scan_time_ns]
        (begun[-1] if begun else groups[0]).append(one)
    rank = {id(one): at for at, one in enumerate(events)}
    for group in groups:
        group.sort(key=lambda one: rank[id(one)])
    return groups


def _begins_ns(group: Group) -> int | None:
    """Give when a carrier took an item over, or heard of it."""
    return next(
        (one.scan_time_ns for one in group if RULES.get(one.type, NOTHING).begins),
        None,
    )


def _hands_on(group: Group, begins_ns: int) -> bool:
    """Whether an item was on its way, without an end, when another carrier began one, and nobody
    of its own had it in hand after that.
    """
    scans = [one for one in group if RULES.get(one.type, NOTHING).is_physical]
    return (
        bool(scans)
        and scans[-1].scan_time_ns <= begins_ns
        and begins_ns - scans[-1].scan_time_ns < REUSE_NS
        and all(one.type not in _ENDS for one in scans)
    )
