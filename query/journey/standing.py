"""Which events stand: copies once, what is corrected out of it, conflicts with all their versions.

Nothing is lost on the way: what does not stand is given back beside its correction.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from query.journey.result import Correction

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from query.journey.told import Identity, Told

_CORRECTION_TAG: Final = b"\x8a"
"""First byte of the tag of `ScanEvent.correction`: without it there is none."""

_BY_TIME = itemgetter(0, 1)
"""Scan time, then source."""


class Standing(NamedTuple):
    """What stands."""

    events: Sequence[Told]
    """By scan time, then source, then SHA-256 of their bytes."""
    corrections: Sequence[Correction]
    conflicts: Sequence[Sequence[Told]]


def standing(told: Iterable[Told]) -> Standing:
    """Find what stands; in which order it is given changes nothing."""
    versions: dict[Identity, Told | list[Told]] = {}
    several: list[list[Told]] = []
    correcting = False
    for one in told:
        data = one.data
        identity = (one.key, one.source_id, one.event.event_id)
        known = versions.setdefault(identity, one)
        if known is not one:
            if not isinstance(known, list):
                known = [known]
            if all(data != other.data or one.sealed != other.sealed for other in known):
                known.append(one)
                if len(known) == 2:
                    versions[identity] = known
                    several.append(known)
        if not correcting and _CORRECTION_TAG in data:
            correcting = True
    events = _flat(versions) if several else cast("list[Told]", list(versions.values()))
    _sort(events)
    corrections: Sequence[Correction] = ()
    if correcting:
        corrections = _corrections(events, versions)
        if corrections:
            void = {id(old) for one in corrections if one.in_effect for old in one.corrected}
            events = [one for one in events if id(one) not in void]
    conflicts = _sorted_conflicts(several) if several else ()
    return Standing(events, corrections, conflicts)


def _flat(versions: dict[Identity, Told | list[Told]]) -> list[Told]:
    flat: list[Told] = []
    for one in versions.values():
        if isinstance(one, list):
            flat += one
        else:
            flat.append(one)
    return flat


def _sort(events: list[Told]) -> None:
    """Sort; a digest is made only where it decides."""
    events.sort(key=_BY_TIME)
    last: Told | None = None
    for one in events:
        if last is not None and one[0] == last[0] and one[1] == last[1]:
            events.sort(key=_with_digest)
            break
        last = one


def _with_digest(one: Told) -> tuple[int, str, bytes, bytes, bytes]:
    return one.scan_time_ns, one.source_id, one.digest, one.key, one.sealed


def _sorted_conflicts(several: list[list[Told]]) -> Sequence[Sequence[Told]]:
    return sorted(
        (sorted(versions, key=_with_digest) for versions in several),
        key=lambda versions: _with_digest(versions[0]),
    )


def _corrections(
    events: Sequence[Told], versions: dict[Identity, Told | list[Told]]
) -> Sequence[Correction]:
    """Give all corrections, in the order of the events that make them.

    A correction that is itself corrected has no effect. Where corrections go in a circle, the
    events alone decide which of them has one.
    """
    by: dict[Identity, list[Told]] = {}
    makers: list[tuple[Told, Identity]] = []
    for one in events:
        if _CORRECTION_TAG in one.data and one.event.HasField("correction"):
            correction = one.event.correction
            target = (one.key, correction.source_id, correction.event_id)
            if target != one.identity:
                makers.append((one, target))
                by.setdefault(target, []).append(one)
    effect: dict[int, bool] = {}
    for maker, _ in makers:
        _settle(maker, by, effect)
    found = []
    for maker, target in makers:
        old = versions.get(target, [])
        corrected = sorted(old, key=_with_digest) if isinstance(old, list) else [old]
        found.append(Correction(maker, corrected, effect[id(maker)]))
    return found


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
