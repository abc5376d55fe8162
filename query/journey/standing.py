"""Which events stand: copies once, what is corrected out of it, conflicts with all their versions.

Nothing is lost on the way: what does not stand is given back beside its correction.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from query.journey.result import Correction

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from query.journey.told import Identity, Told

    Versions = dict[Identity, list[Told]]

_BY_TIME: Final = itemgetter(0)
_BY_TIME_AND_SOURCE: Final = itemgetter(0, 1)


class Standing(NamedTuple):
    """What stands."""

    events: Sequence[Told]
    """By scan time, then source, then SHA-256 of their bytes."""
    corrections: Sequence[Correction]
    conflicts: Sequence[Sequence[Told]]


def standing(told: Iterable[Told]) -> Standing:
    """Find what stands; in which order it is given changes nothing."""
    events = list(told)
    versions: Versions = {}
    conflicts: Sequence[Sequence[Told]] = ()
    if len({one.event.event_id for one in events}) < len(events):
        versions = _versions(events)
        events = [one for some in versions.values() for one in some]
        conflicts = _conflicts(versions)
    _sort(events)
    makers = [one for one in events if one.event.HasField("correction")]
    if not makers:
        return Standing(events, (), conflicts)
    corrections = _corrections(makers, versions or _versions(events))
    void = {id(old) for one in corrections if one.in_effect for old in one.corrected}
    return Standing([one for one in events if id(one) not in void], corrections, conflicts)


def in_order(events: Iterable[Told]) -> list[Told]:
    """Put events in the order of a trail that is folded."""
    return sorted(events, key=_with_digest)


def _versions(events: Iterable[Told]) -> Versions:
    """Give all contents of each identity, each once."""
    versions: Versions = {}
    for one in events:
        known = versions.setdefault(one.identity, [])
        if all(one.data != other.data or one.sealed != other.sealed for other in known):
            known.append(one)
    return versions


def _conflicts(versions: Versions) -> Sequence[Sequence[Told]]:
    several = [sorted(some, key=_with_digest) for some in versions.values() if len(some) > 1]
    return tuple(sorted(several, key=lambda some: _with_digest(some[0])))


def _sort(events: list[Told]) -> None:
    """Sort; sources are compared, and digests made, only where they decide."""
    if len({one.scan_time_ns for one in events}) == len(events):
        events.sort(key=_BY_TIME)
    elif len(set(map(_BY_TIME_AND_SOURCE, events))) == len(events):
        events.sort(key=_BY_TIME_AND_SOURCE)
    else:
        events.sort(key=_with_digest)


def _with_digest(one: Told) -> tuple[int, str, bytes, bytes, bytes]:
    return one.scan_time_ns, one.source_id, one.digest, one.key, one.sealed


def _corrections(makers: Sequence[Told], versions: Versions) -> Sequence[Correction]:
    """Give all corrections, in the order of the events that make them.

    A correction that is itself corrected has no effect. Where corrections go in a circle, the
    events alone decide which of them has one.
    """
    by: dict[Identity, list[Told]] = {}
    targets: list[tuple[Told, Identity]] = []
    for one in makers:
        correction = one.event.correction
        target = (one.key, correction.source_id, correction.event_id)
        if target != one.identity:  # An event cannot correct itself.
            targets.append((one, target))
            by.setdefault(target, []).append(one)
    effect: dict[int, bool] = {}
    for maker, _ in targets:
        _settle(maker, by, effect)
    return tuple(
        Correction(maker, sorted(versions.get(target, ()), key=_with_digest), effect[id(maker)])
        for maker, target in targets
    )


def _settle(first: Told, by: dict[Identity, list[Told]], effect: dict[int, bool]) -> None:
    """Find whether a correction has effect, and all that this depends on.

    A chain may be as long as a trail, so the stack is one of ours.
    """
    waiting = [first]
    begun: set[int] = set()
    while waiting:
        one = waiting[-1]
        if id(one) in effect:
            waiting.pop()
            continue
        correctors = by.get(one.identity, ())
        if id(one) not in begun:
            begun.add(id(one))
            open_ = [c for c in correctors if id(c) not in effect and id(c) not in begun]
            if open_:
                waiting += open_
                continue
        # One that waits for this one counts as without effect: that is the circle.
        effect[id(one)] = not any(effect.get(id(c), False) for c in correctors)
        waiting.pop()
