"""What users of known trackers complain about, case by case, and what is answered here instead."""

from __future__ import annotations

from ledger.v1.scan_event_pb2 import (
    DeliveryMode,
    EventReason,
    ScanEvent,
    ScanEventType,
    UtcOffsetSource,
)
from ledger.vocabulary import Milestone, built_in
from query.journey import Asked, Confidence, Doubt, Flag, LegKind, Presence, Weakness, fold, told_of
from query.journey.rules import DAY_NS, HOUR_NS
from tests.tellers import (
    START_NS,
    WITHDRAWN,
    WRONG_DATA,
    correct,
    notice,
    other_content,
    read,
    say,
    usual,
)
from tests.test_trail import trail
from tests.trails import scan, timestamp

PORCH = DeliveryMode.DELIVERY_MODE_PORCH


def test_delivered_before_out_for_delivery_stays_delivered() -> None:
    """'Delivered comes before out for delivery, and the status goes back': it does not."""
    story = usual()[:-1]
    found = read([*story, say("DELIVERED", 32, "DU"), say("OUT_FOR_DELIVERY", 33, "DU")])

    assert found.milestone is Milestone.DELIVERED
    assert found.where.presence is Presence.HANDED_OVER


def test_a_later_moving_scan_does_not_flip_delivered() -> None:
    """'A late moving scan makes it in transit again': delivered stands, days later too, and it
    is said that somebody scanned it afterwards.
    """
    story = [*usual(), say("DELIVERED", 36, "DU")]
    for hour in (36.5, 60):
        found = read([*story, say("DEPARTED", hour, "SC", next_facility="DU")])
        assert found.milestone is Milestone.DELIVERED
        assert found.leg.since.at.time_ns == START_NS + 36 * HOUR_NS
        late = hour > 40
        assert (Doubt.SCANNED_AFTER_END in found.doubts) == late
        assert found.proof
        assert (Weakness.SCANNED_AFTERWARDS in found.proof.weaknesses) == late


def test_processed_and_out_for_delivery_after_delivered() -> None:
    """A sample of a post where both come after delivered: it is delivered, and a low confidence."""
    story = [*usual(), say("DELIVERED", 36, "DU", delivery_mode=PORCH)]
    found = read([*story, say("SORTED", 50, "SC"), say("OUT_FOR_DELIVERY", 57, "DU")])

    assert found.milestone is Milestone.DELIVERED
    assert found.proof
    assert found.proof.confidence is Confidence.LOW


def test_the_same_waybill_for_the_way_back() -> None:
    """'The same waybill is used for the return': that is another leg, and the status follows."""
    story = [*usual(), say("DELIVERED", 36, "DU")]
    back = [*story, say("ACCEPTED", 36 + 10 * 24, "PO2"), say("DEPARTED", 300, "PO2")]
    found = read(back)

    assert [leg.kind for leg in found.legs] == [LegKind.FORWARD, LegKind.RETURN]
    assert [leg.milestone for leg in found.legs] == [Milestone.DELIVERED, Milestone.RETURNING]
    assert Doubt.RETURN_OR_REUSE in found.doubts  # It could be another item, and that is said.

    told = read([*story, say("RETURN_STARTED", 100, "DU"), say("RETURNED", 200, "PO")])
    assert told.milestone is Milestone.RETURNED
    assert Doubt.RETURN_OR_REUSE not in told.doubts


def test_a_return_begins_on_the_way_too() -> None:
    """An item that is called back between two places goes on as one that returns, not as one that
    is still on its way to the recipient.
    """
    back = [say("RETURN_STARTED", 18, "SC"), say("DEPARTED", 20, "SC", next_facility="PO")]
    found = read([*usual()[:5], *back])

    assert [leg.kind for leg in found.legs] == [LegKind.FORWARD, LegKind.RETURN]
    assert found.milestone is Milestone.RETURNING
    assert found.leg.began.at.time_ns == START_NS + 18 * HOUR_NS


def test_an_unknown_code_is_not_guessed_and_silence_is_no_failure() -> None:
    """'A changed text is shown as in transit, then as an exception after days': what no mapping
    explains changes nothing, and silence is a flag and never a milestone.
    """
    codes = {"code_system": "acme", "source_code": "ZZZ"}
    story = [*usual(), say("UNMAPPED", 34, "DU", **codes)]
    found = read(story, hour=34)
    assert found.milestone is Milestone.OUT_FOR_DELIVERY
    assert found.last_notice
    assert found.last_notice.event.source_code == "ZZZ"

    later = read(story, hour=34 + 30 * 24)
    assert later.milestone is Milestone.OUT_FOR_DELIVERY
    assert later.flags == {Flag.STALLED}


def test_an_alert_is_no_return_and_ready_for_pickup_is_no_delivery() -> None:
    """'Alert is shown as returned, ready for pickup as delivered': flags stand beside one axis."""
    reason = EventReason.EVENT_REASON_CUSTOMS_DUTY
    held = read([*usual()[:4], say("CUSTOMS_HELD", 15, "SC", reason=reason)])
    assert held.milestone is Milestone.CUSTOMS
    assert held.flags == {Flag.HELD, Flag.ACTION_REQUIRED}
    late = read([*usual()[:4], notice("DELAYED", 15)])
    assert late.milestone is Milestone.IN_TRANSIT
    assert late.flags == {Flag.LATE}

    waits = read([*usual(), say("READY_FOR_PICKUP", 40, "PO2")])
    assert waits.milestone is Milestone.READY_FOR_PICKUP
    assert waits.proof is None
    assert waits.stages.delivered is None
    assert waits.where.facility == "PO2"


def test_times_keep_their_offset_and_where_it_came_from() -> None:
    """'Times are hours off': each moment has its instant, offset, the offset's source, and whether
    only the date is known.
    """
    facility = UtcOffsetSource.UTC_OFFSET_SOURCE_FACILITY
    out = say("OUT_FOR_DELIVERY", 33, "DU", utc_offset_minutes=-420, utc_offset_source=facility)
    done = say("DELIVERED", 24, "DU", date_only=True)  # 00:00 of that day: before the tour.
    found = read([*usual()[:-1], out, done])

    assert found.milestone is Milestone.DELIVERED
    assert found.stages.out_for_delivery
    assert found.stages.out_for_delivery.by.at == (out.scan_time_ns, -420, facility, False)
    assert found.stages.delivered
    assert found.stages.delivered.by.at.date_only


def test_the_same_scan_twice_the_second_enriched() -> None:
    """'Checkpoints are doubled': a copy counts once; the same id with more in it is a conflict,
    with both versions shown.
    """
    story = usual()
    richer = other_content(story[-1], device="handheld-7")
    assert read([*story, *story]) == read(story)
    found = read([*story, richer])

    assert found.flags == {Flag.CONFLICT}
    assert sorted(one.event.device for one in found.conflicts[0]) == ["", "handheld-7"]
    assert found.milestone is Milestone.OUT_FOR_DELIVERY


def test_announced_and_not_yet_seen() -> None:
    """'A label exists, and nothing is found': announced is a milestone, and nobody has seen it."""
    found = read([notice("LABEL_CREATED", 0)], hour=400)

    assert found.milestone is Milestone.PRE_SHIPMENT
    assert found.last_scan is None
    assert found.silent_ns == -1
    assert found.where.presence is Presence.UNKNOWN
    assert not found.flags  # Nobody has it, so nothing of ours stalls.
    assert fold([], Asked(0)) is None


def test_a_number_that_was_used_before_hides_nothing() -> None:
    """'An old parcel with the same number hides mine': the newest is answered, and that there was
    another one is said.
    """
    old = [*usual(), say("DELIVERED", 36, "DU")]
    year = 400 * 24
    found = fold([*old, say("ACCEPTED", year, "PO9")], Asked(START_NS + year * HOUR_NS))

    assert found
    assert found.instance.milestone is Milestone.ACCEPTED
    assert found.instance.where.facility == "PO9"
    assert [one.milestone for one in found.others] == [Milestone.DELIVERED]


def test_two_carriers_with_one_number() -> None:
    """Two carriers that each took an item over have two items, unless one handed its own on, or
    they share numbers as posts do; events of a carrier that began none are of the item it got.
    """
    one = [say("ACCEPTED", 1, "A1", carrier="A"), say("DEPARTED", 30, "A1", carrier="A")]
    two = [say("ACCEPTED", 10, "B1", carrier="B"), say("ARRIVED", 20, "B2", carrier="B")]
    asked = Asked(0, shared=False)
    found = fold([*one, *two], asked)
    assert found
    assert found.instance.carriers == ["B"]
    assert [other.carriers for other in found.others] == [["A"]]
    assert read([*one, *two], asked=Asked(0)).carriers == ["A", "B"]

    handed_on = [one[0], *two]
    assert read(handed_on, asked=asked).carriers == ["A", "B"]
    guest = [*one, say("DELIVERED", 40, "B3", carrier="B")]
    assert read(guest, asked=asked).milestone is Milestone.DELIVERED


def test_a_notice_is_not_a_scan() -> None:
    """'In transit to the next facility, for days': the last physical scan is told apart from
    what a clock says, and silence counts from it.
    """
    story = [*usual()[:6], notice("IN_TRANSIT_NOTICE", 60, next_facility="XX")]
    found = read([*story, notice("IN_TRANSIT_NOTICE", 250)], hour=260)

    assert found.last_scan is story[5]
    assert found.silent_ns == 240 * HOUR_NS
    assert found.last_notice
    assert found.last_notice.at.time_ns == START_NS + 250 * HOUR_NS
    assert found.flags == {Flag.STALLED}
    assert found.where[:3] == (Presence.LEFT, "SC", "DU")


def test_a_wrong_delivery_is_withdrawn_and_both_are_shown() -> None:
    """'Nobody can put a wrong scan right': what did not occur does not count, what was wrong is
    replaced, and both versions stay; a correction may be corrected.
    """
    wrong = say("DELIVERED", 36, "DU")
    withdrawal = correct(wrong, WITHDRAWN, "CORRECTION", 40)
    found = read([*usual(), wrong, withdrawal])
    assert found.milestone is Milestone.OUT_FOR_DELIVERY
    assert found.flags == {Flag.CORRECTED}
    assert [(c.by, c.corrected, c.in_effect) for c in found.corrections] == [
        (withdrawal, [wrong], True)
    ]

    again = correct(withdrawal, WITHDRAWN, "CORRECTION", 50)
    found = read([*usual(), wrong, withdrawal, again])
    assert found.milestone is Milestone.DELIVERED
    assert [c.in_effect for c in found.corrections] == [False, True]

    right = correct(wrong, WRONG_DATA, "DELIVERED", 39, facility="DU", delivery_mode=PORCH)
    found = read([*usual(), wrong, right])
    assert found.stages.delivered
    assert found.stages.delivered.by is right
    assert found.proof
    assert Weakness.TAKEN_BACK in found.proof.weaknesses


def test_the_status_at_a_past_moment() -> None:
    """'What did it say on Tuesday?': any moment can be asked, with what was corrected since."""
    wrong = say("DELIVERED", 34, "DU")
    story = [*usual(), wrong, correct(wrong, WITHDRAWN, "CORRECTION", 90)]
    then = Asked(START_NS + 1_000 * HOUR_NS, until_ns=START_NS + 17 * HOUR_NS)
    found = fold(story, then)
    assert found
    assert found.instance.milestone is Milestone.IN_TRANSIT
    assert found.instance.where.facility == "SC"
    assert found.instance.silent_ns == HOUR_NS
    later = fold(story, then._replace(until_ns=START_NS + 35 * HOUR_NS))
    assert later
    assert later.instance.milestone is Milestone.OUT_FOR_DELIVERY
    assert fold(story, then._replace(until_ns=START_NS - 1)) is None


def test_a_clock_that_was_never_set() -> None:
    """A delivery by a clock that shows 1970 is one, and that its time is not known is said; where
    it could be of two items, it is counted for none.
    """
    unset = say("DELIVERED", 0, "DU", scan_time=timestamp(5))
    unset = unset._replace(scan_time_ns=0)
    found = read([*usual(), unset])
    assert found.milestone is Milestone.DELIVERED
    assert Doubt.CLOCK_NEVER_SET in found.doubts
    second = say("ACCEPTED", 400 * 24, "PO9")
    both = read([*usual(), unset, second])
    assert both.milestone is Milestone.ACCEPTED
    assert Doubt.UNDATED_LEFT_OUT in both.doubts


def test_a_source_s_own_code_counts_as_what_it_means() -> None:
    """A partner's code is folded as the event that a mapping makes of it, from real rows."""
    event = scan(
        1, type=ScanEventType.SCAN_EVENT_TYPE_UNMAPPED, code_system="usps", source_code="01"
    )
    told = told_of(trail(event), built_in())
    found = fold(told, Asked(START_NS + DAY_NS))

    assert found
    assert found.instance.milestone is Milestone.DELIVERED
    assert isinstance(found.instance.leg.by.event, ScanEvent)
    assert found.instance.leg.by.mapped
    assert found.instance.leg.by.mapped.mapping == "usps"
