"""Items as they go out: what the fold says, as messages of the wire.

Personal data that lies sealed beside events is never put: no caller can be allowed to see it yet.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ledger.v1 import item_pb2 as pb
from ledger.vocabulary import Milestone
from query.answers import ITEM_BYTES_MAX, ITEM_ENTRIES_MAX
from query.journey import Confidence, Doubt, Flag, LegKind, Presence, Weakness

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from google.protobuf.duration_pb2 import Duration
    from google.protobuf.internal.containers import RepeatedCompositeFieldContainer
    from google.protobuf.timestamp_pb2 import Timestamp

    from ledger.v1.item_service_pb2 import ItemAnswer
    from query.containers import Carried
    from query.journey import Beside, Correction, Instance, Item, Leg, Proof, Stages, Told

    Events = RepeatedCompositeFieldContainer[pb.ItemEvent]

W = TypeVar("W", bound=StrEnum)

LEGS_MAX: Final = 64
"""Most legs in an answer, and most other items: real ones have three."""

CARRIERS_MAX: Final = 16
"""Most carriers of one item in an answer."""

CHANGES_MAX: Final = 64
"""Most corrections in an answer, and most conflicts."""

VERSIONS_MAX: Final = 16
"""Most versions of one event in an answer."""

_EVENT_ROOM: Final = 320
"""Most bytes of an event in an answer besides the event itself, source and mapping included."""


def _numbers(words: type[W], enum: Sequence[tuple[str, Any]]) -> dict[W, Any]:
    """Give the numbers on the wire of words that have the same names there."""
    prefix = enum[0][0].removesuffix("UNSPECIFIED")
    by_name = dict(enum)
    unsaid = {"", "UNKNOWN"}
    return {word: 0 if word.value in unsaid else by_name[prefix + word.value] for word in words}


MILESTONES: Final = _numbers(Milestone, pb.Milestone.items())
FLAGS: Final = _numbers(Flag, pb.ItemFlag.items())
DOUBTS: Final = _numbers(Doubt, pb.ItemDoubt.items())
_LEGS: Final = _numbers(LegKind, pb.LegKind.items())
_PRESENCES: Final = _numbers(Presence, pb.Presence.items())
_CONFIDENCES: Final = _numbers(Confidence, pb.DeliveryConfidence.items())
_WEAKNESSES: Final = _numbers(Weakness, pb.DeliveryWeakness.items())


def put_item(out: ItemAnswer, item: Item, named: dict[str, None], *, timeline: bool) -> None:
    """Put an item, and note which facilities it names."""
    others = item.others[-LEGS_MAX:]
    for other in others:
        _put_other(out.others.add(), other)
    pen = _Pen(out.item, named)
    pen.put(item.instance)
    if timeline:
        pen.put_events(item.instance.events)


class _Pen:
    """Writes one item. Lists of events share the room that is left of an answer."""

    __slots__ = ("_left", "_named", "_out")

    def __init__(self, out: pb.Item, named: dict[str, None]) -> None:
        self._out = out
        self._named = named
        self._left = ITEM_BYTES_MAX

    def put(self, one: Instance) -> None:
        out, leg = self._out, one.legs[-1]
        out.milestone = MILESTONES[leg.milestone]
        put_moment(out.since, leg.since)
        for each in one.legs[-LEGS_MAX:]:
            _put_leg(out.legs.add(), each)
        if one.flags:
            out.flags.extend(sorted(map(FLAGS.__getitem__, one.flags)))
        if one.doubts:
            out.doubts.extend(sorted(map(DOUBTS.__getitem__, one.doubts)))
        put_duration(out.in_state, one.in_state_ns)
        if one.silent_ns >= 0:
            put_duration(out.silent, one.silent_ns)
        if one.last_scan is not None:
            self.put_event(out.last_scan, one.last_scan)
        if one.last_notice is not None:
            self.put_event(out.last_notice, one.last_notice)
        self.put_event(out.told_by, leg.by)
        self._place(one)
        self._stages(one.stages, one.proof)
        carriers = one.carriers
        out.carriers.extend(carriers[:CARRIERS_MAX])
        if len(one.legs) > LEGS_MAX or len(carriers) > CARRIERS_MAX:
            out.has_more = True
        if one.corrections:
            self._corrections(one.corrections)
        if one.conflicts:
            self._conflicts(one.conflicts)

    def put_events(self, events: Sequence[Told]) -> None:
        """Put the last events that there is room for, in order."""
        chosen: list[Told] = []
        for one in islice(reversed(events), ITEM_ENTRIES_MAX):
            if not self._has_room([one]):
                break
            chosen.append(one)
        if len(chosen) < len(events):
            self._out.has_more = True
        self._all(self._out.events, reversed(chosen))

    def put_event(self, out: pb.ItemEvent, one: Told) -> None:
        """Put one event."""
        event = one.event
        out.event.CopyFrom(event)
        out.source_id = one.source_id
        out.tracking_key = one.key.decode()
        if one.path:
            out.container_keys.extend([key.decode() for key in one.path])
        if one.mapped is not None:
            out.mapped.CopyFrom(one.mapped)
        self._name(event.facility, event.next_facility)

    def _all(self, out: Events, events: Iterable[Told]) -> None:
        for one in events:
            self.put_event(out.add(), one)

    def _name(self, *facilities: str) -> None:
        for facility in facilities:
            if facility:
                self._named[facility] = None

    def _has_room(self, events: Iterable[Told]) -> bool:
        """Take the room of some events, where there is as much."""
        size = sum(len(one.data) + _EVENT_ROOM for one in events)
        if size > self._left:
            return False
        self._left -= size
        return True

    def _place(self, one: Instance) -> None:
        where = one.where
        if where.seen is None:
            return
        out = self._out.place
        out.presence = _PRESENCES[where.presence]
        out.facility = where.facility
        out.words = where.seen.words
        out.next_facility = where.next_facility
        put_moment(out.seen, where.seen)
        self._name(where.facility, where.next_facility)

    def _stages(self, stages: Stages, proof: Proof | None) -> None:
        accepted, moving, toured, done = stages
        out = self._out
        if accepted is not None:
            put_moment(out.accepted.at, accepted.by)
            out.accepted.facility = accepted.office
            out.accepted.words = accepted.place
            self._name(accepted.office)
        if moving is not None:
            facility = moving.by.event.facility
            transit = out.in_transit
            put_moment(transit.at, moving.by)
            transit.facility = facility
            transit.words = moving.by.words
            transit.next_facility = moving.next_facility
            _put_expected(transit, moving.expected_from_ns, moving.expected_until_ns)
            self._name(facility, moving.next_facility)
        if toured is not None:
            tour = out.out_for_delivery
            put_moment(tour.at, toured.by)
            tour.facility = toured.facility
            tour.area = toured.area
            _put_expected(tour, toured.expected_from_ns, toured.expected_until_ns)
            self._name(toured.facility)
        if done is not None:
            put_moment(out.delivered.at, done.by)
            out.delivered.facility = done.facility
            out.delivered.words = done.place
            out.delivered.mode = done.mode  # type: ignore[assignment] # An open enum.
            self._name(done.facility)
            if proof is not None:
                _put_proof(out.delivered, proof)

    def _corrections(self, corrections: Sequence[Correction]) -> None:
        out = self._out
        for made in corrections[-CHANGES_MAX:]:
            versions = made.corrected[:VERSIONS_MAX]
            if not self._has_room([made.by, *versions]):
                out.has_more = True
                continue
            one = out.corrections.add()
            self.put_event(one.by, made.by)
            self._all(one.corrected, versions)
            one.in_effect = made.in_effect
            out.has_more |= len(made.corrected) > VERSIONS_MAX
        out.has_more |= len(corrections) > CHANGES_MAX

    def _conflicts(self, conflicts: Sequence[Sequence[Told]]) -> None:
        out = self._out
        for versions in conflicts[-CHANGES_MAX:]:
            shown = versions[:VERSIONS_MAX]
            if not self._has_room(shown):
                out.has_more = True
                continue
            self._all(out.conflicts.add().versions, shown)
            out.has_more |= len(versions) > VERSIONS_MAX
        out.has_more |= len(conflicts) > CHANGES_MAX


def put_event(out: pb.ItemEvent, one: Told, named: dict[str, None]) -> None:
    """Put one event, and note which facilities it names."""
    _Pen(pb.Item(), named).put_event(out, one)


def put_containers(out: pb.Item, carried: Carried, now_ns: int) -> None:
    """Put in what an item lies at a moment, the nearest first."""
    out.containers_truncated = carried.is_truncated
    for one in carried.lain:  # By depth; at one moment there is one of each.
        if one.begin_ns <= now_ns < one.end_ns:
            container = out.containers.add()
            container.tracking_key = one.path[-1].decode()
            put_moment(container.since, one.stay.into)


def put_time(out: Timestamp | Duration, time_ns: int) -> None:
    """Put nanoseconds. 0 is put too: the field exists then."""
    seconds, nanos = divmod(time_ns, 1_000_000_000)
    out.seconds = seconds
    out.nanos = nanos


def put_duration(out: Duration, time_ns: int) -> None:
    """Put a length of time, also where it is none."""
    put_time(out, time_ns)
    out.SetInParent()


def put_moment(out: pb.ItemMoment, one: Told) -> None:
    """Put when an event happened."""
    put_time(out.scan_time, one.scan_time_ns)
    event = one.event
    if event.utc_offset_minutes:
        out.utc_offset_minutes = event.utc_offset_minutes
    if event.utc_offset_source:
        out.utc_offset_source = event.utc_offset_source
    if event.date_only:
        out.date_only = True


def _put_expected(
    out: pb.InTransitStage | pb.OutForDeliveryStage, from_ns: int, until_ns: int
) -> None:
    if from_ns:
        put_time(out.expected_from_time, from_ns)
    if until_ns:
        put_time(out.expected_until_time, until_ns)


def _put_leg(out: pb.ItemLeg, leg: Leg) -> None:
    out.kind = _LEGS[leg.kind]
    out.milestone = MILESTONES[leg.milestone]
    put_moment(out.since, leg.since)
    put_moment(out.start, leg.began)
    out.scan_count = leg.scans
    out.notice_count = leg.notices
    out.missing_count = leg.missing


def _put_other(out: pb.OtherItem, other: Beside) -> None:
    out.carriers.extend(other.carriers[:CARRIERS_MAX])
    out.milestone = MILESTONES[other.milestone]
    put_time(out.first_time, other.first_ns)
    put_time(out.last_time, other.last_ns)


def _put_proof(out: pb.DeliveredStage, proof: Proof) -> None:
    out.attachments.extend(proof.by.event.attachments)
    out.has_personal = proof.has_personal
    out.confidence = _CONFIDENCES[proof.confidence]
    out.weaknesses.extend(sorted(map(_WEAKNESSES.__getitem__, proof.weaknesses)))
