"""What something inherits of the containers that it lay in, and of those that they lay in. Pure.

It says which trails it would have to know, and is asked again when they have been read: so reads
are shared between items, and the answer depends on events alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from query.containers.stays import STAY_NS_MAX, Ending, Stay, ended_with, is_seen, stays_of
from query.journey.rules import NOTHING, RULES, Rank

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from query.journey.told import Told

DEPTH_MAX: Final = 4
"""Containers in one another that are followed: an item in a tray, a pallet, a truck, a ship."""

STAYS_MAX: Final = 64
"""Most stays of one item that are looked at, the newest, those of its containers included: a usual
way has some ten. It bounds what one look-up reads.
"""

ALWAYS: Final = 1 << 63
"""After all times."""


class Known(NamedTuple):
    """What was read of a container's trail."""

    events: Sequence[Told]
    """Those that stand, by time."""
    begin_ns: int = 0
    end_ns: int = ALWAYS
    """Nothing is missing from the one up to the other."""


class Need(NamedTuple):
    """What has to be read: the trail of a container, at least between two times."""

    container: bytes
    begin_ns: int
    end_ns: int


class Lain(NamedTuple):
    """A time that something lay in a container."""

    path: tuple[bytes, ...]
    """What it lay in, and what that lay in: the last is the container of this stay."""
    begin_ns: int
    end_ns: int
    """As far as the containers within lay in it."""
    stay: Stay
    """Of the last but one of the path; of the item itself where the path has one."""
    into: Told
    """The item's own event, by which it came into the first."""


class Inherited(NamedTuple):
    """A scan of a container that counts for what was inside."""

    told: Told
    """With the `path` to the container that was scanned."""
    into: Told
    """As in `Lain`."""


class Carried(NamedTuple):
    """All that something inherits."""

    lain: Sequence[Lain]
    """The outermost first, then by time."""
    scans: Sequence[Inherited]
    """By scan time, then source, then the bytes of the event."""
    is_truncated: bool
    """True: it lay deeper, or oftener, than is followed, or a trail was too long to be read."""


class _Inside(NamedTuple):
    """What is followed: events of something, and between which times they matter."""

    events: Sequence[Told]
    path: tuple[bytes, ...]
    begin_ns: int
    end_ns: int
    into: Told | None


def carried(
    keys: Sequence[bytes], events: Sequence[Told], known: Mapping[bytes, Known | None]
) -> tuple[Carried, Sequence[Need]]:
    """Give what an item inherits, as far as the trails of its containers are known, and which ones
    have to be read before it is all. One that is None cannot be read.

    `keys` are the item's, `events` its own: those that stand, by time.
    """
    lain: list[Lain] = []
    scans: list[Inherited] = []
    needs: dict[Need, None] = {}
    is_truncated = False
    inside = [_Inside(events, (), 0, ALWAYS, None)]
    for depth in range(DEPTH_MAX + 1):
        found = [one for each in inside for one in _lain_in(each, keys)]
        if not found:
            break
        room = STAYS_MAX - len(lain) if depth < DEPTH_MAX else 0
        if len(found) > room:
            is_truncated = True
            found.sort(key=lambda one: (one.begin_ns, one.path), reverse=True)
            found = found[:room]
        inside = []
        for one in found:
            # What the container lay in by then began up to a whole stay earlier.
            begin_ns = max(0, one.stay.begin_ns - STAY_NS_MAX)
            need = Need(one.path[-1], begin_ns, one.stay.end_ns)
            trail = known.get(need.container, _UNREAD)
            if trail is None:
                is_truncated = True
            elif not trail.begin_ns <= need.begin_ns <= need.end_ns <= trail.end_ns:
                needs[need] = None
            else:
                ended = _ended(one, trail.events)
                if ended.begin_ns >= ended.end_ns:
                    continue  # What it lay in was out of this one before it came to lie there.
                lain.append(ended)
                scans += _scans_of(ended, trail.events)
                inside.append(
                    _Inside(trail.events, one.path, ended.begin_ns, ended.end_ns, one.into)
                )
    lain.sort(key=lambda one: (len(one.path), one.begin_ns, one.path))
    scans.sort(key=_place)
    return Carried(lain, scans, is_truncated), list(needs)


def _lain_in(inside: _Inside, keys: Sequence[bytes]) -> Iterable[Lain]:
    """Give where something lay, at times that matter; never in what lies in itself."""
    for stay in stays_of(inside.events):
        begin_ns = max(stay.begin_ns, inside.begin_ns)
        end_ns = min(stay.end_ns, inside.end_ns)
        container = stay.container
        if begin_ns < end_ns and container not in keys and container not in inside.path:
            path = (*inside.path, container)
            yield Lain(path, begin_ns, end_ns, stay, inside.into or stay.into)


def _ended(one: Lain, trail: Sequence[Told]) -> Lain:
    stay = ended_with(one.stay, trail)
    return one._replace(stay=stay, end_ns=min(one.end_ns, stay.end_ns))


def _scans_of(one: Lain, trail: Iterable[Told]) -> Iterable[Inherited]:
    """Give what happened to the container meanwhile, and to all that is inside."""
    stay = one.stay
    is_last = stay.ending is Ending.EMPTIED and one.end_ns == stay.end_ns
    for each in trail:
        time_ns = each.scan_time_ns
        if time_ns > one.end_ns:
            break
        meanwhile = one.begin_ns <= time_ns < one.end_ns
        if (meanwhile or is_last) and stay.has(each) and time_ns >= one.begin_ns and _counts(each):
            yield Inherited(each._replace(path=one.path), one.into)


def _counts(one: Told) -> bool:
    """Whether a scan of a container says something of what is inside: where it is, not that it came
    to its end.
    """
    return 0 <= RULES.get(one.type, NOTHING).rank <= Rank.TOUR and is_seen(one)


def _place(one: Inherited) -> tuple[int, str, bytes, bytes]:
    told = one.told
    return told.scan_time_ns, told.source_id, told.digest, told.key


_UNREAD: Final = Known((), ALWAYS, 0)
