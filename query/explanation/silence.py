"""How long nobody has seen an item, against what is usual where it is.

The history of the pair of facilities goes before what the fold takes for usual: posts overseas are
silent for weeks, and a town's two depots for an hour.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from query.journey import Flag, Presence
from query.journey.rules import CLOSED, USUAL_SILENCE
from query.lanes import Section

if TYPE_CHECKING:
    from collections.abc import Callable

    from query.journey import Instance
    from query.lanes import History

    HistoryOf = Callable[[Section], History | None]
    """What is known of a section; None where that is too little."""


class Basis(StrEnum):
    """From what is known what is usual."""

    NONE = "NONE"
    """Nothing is usual here: nobody waits for a scan, or nobody has seen it."""
    STATUS = "STATUS"
    """From its status alone."""
    PAIR = "PAIR"
    """From what earlier items took on the same section."""


class Silence(NamedTuple):
    """How long nobody has seen it."""

    silent_ns: int
    """-1 where nobody ever has."""
    basis: Basis
    usual_ns: int = 0
    """By PAIR nine in ten took no longer; by STATUS it is no longer where all is well."""
    known: int = 0
    """By PAIR: so many items are known."""
    slower: int = 0
    """By PAIR: so many of them took longer than this has taken so far."""
    expected_ns: int = 0
    """By PAIR: when the next scan usually comes at the latest."""
    is_long: bool = False
    """It is silent for longer than any of the earlier ones or, by STATUS, than is usual."""


def nothing_known(_section: Section) -> None:
    """Know nothing of any section."""


def silence_of(instance: Instance, history_of: HistoryOf = nothing_known) -> Silence:
    """Hold the silence of an item against what is usual."""
    last = instance.last_scan
    silent_ns = instance.silent_ns
    if last is None or instance.milestone in CLOSED:
        return Silence(silent_ns, Basis.NONE)
    section = _section_of(instance)
    history = history_of(section) if section is not None else None
    if history is not None:
        slower = history.slower_than(silent_ns)
        return Silence(
            silent_ns,
            Basis.PAIR,
            history.usual_ns,
            history.known,
            slower,
            last.scan_time_ns + history.usual_ns,
            slower == 0 and silent_ns > history.usual_ns,
        )
    usual_ns = USUAL_SILENCE.get(instance.milestone, 0)
    if not usual_ns:
        return Silence(silent_ns, Basis.NONE)
    return Silence(
        silent_ns,
        Basis.STATUS,
        usual_ns,
        is_long=Flag.STALLED in instance.flags,
    )


def _section_of(instance: Instance) -> Section | None:
    """Give the section that it is on; None where the last scan does not say."""
    where = instance.where
    if where.seen is not instance.last_scan or not where.facility:
        return None
    if where.presence is Presence.LEFT:
        return Section(where.presence, where.facility, where.next_facility)
    if where.presence in {Presence.AT, Presence.ON_TOUR}:
        return Section(where.presence, where.facility, where.facility)
    return None
