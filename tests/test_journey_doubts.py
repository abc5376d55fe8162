"""What a trail cannot tell is said: scans that were missed, clocks that are off, ways not begun."""

from __future__ import annotations

from ledger.v1.scan_event_pb2 import Containment, ContainmentDirection
from ledger.vocabulary import Milestone
from query.journey import Doubt, LegKind, Presence
from tests.tellers import notice, read, say, usual


def test_a_way_back_whose_beginning_was_missed() -> None:
    """An item that could not be delivered and moves on may be on its way back: that nobody
    scanned it is said, until a scan tells.
    """
    story = [*usual(), say("UNDELIVERABLE", 40, "DU")]
    assert read(story).milestone is Milestone.EXCEPTION
    moved = [*story, say("DEPARTED", 60, "DU", next_facility="SC")]
    assert Doubt.WAY_NOT_SEEN in read(moved).doubts
    assert Doubt.WAY_NOT_SEEN in read([*story, say("ARRIVED", 62, "XX")]).doubts

    home = read([*moved, say("RETURNED", 90, "PO")])
    assert home.leg.kind is LegKind.RETURN
    assert home.milestone is Milestone.RETURNED
    assert Doubt.WAY_NOT_SEEN not in home.doubts


def test_another_address_that_nobody_scanned() -> None:
    """An item that goes back where it was is on a way whose beginning is missing; one that was
    missent goes back because of that.
    """
    story = usual()[:-1]
    back = read([*story, say("DEPARTED", 50, "DU", next_facility="SC")])
    assert Doubt.WAY_NOT_SEEN in back.doubts
    arrived = read([*story, say("ARRIVED", 55, "SC")])
    assert Doubt.WAY_NOT_SEEN in arrived.doubts

    missent = [*story, say("MISSENT", 45, "DU"), say("DEPARTED", 50, "DU", next_facility="SC")]
    assert not read(missent).doubts
    assert not read([*missent, say("ARRIVED", 55, "SC")]).doubts
    told = [*story, say("REDIRECTED", 45), say("DEPARTED", 50, "DU", next_facility="SC")]
    assert not read(told).doubts


def test_a_tour_that_is_lower_in_rank_and_only_minutes_later() -> None:
    """Out for delivery minutes after an attempt may be of a clock that is wrong, or true: the
    attempt stands, in doubt, until the next scan.
    """
    story = [*usual(), say("DELIVERY_ATTEMPTED", 40, "DU"), say("OUT_FOR_DELIVERY", 40.2, "DU")]
    found = read(story)
    assert found.milestone is Milestone.ATTEMPTED
    assert found.doubts == {Doubt.CLOCKS_DISAGREE}
    next_day = read([*story, say("OUT_FOR_DELIVERY", 57, "DU")])
    assert next_day.milestone is Milestone.OUT_FOR_DELIVERY
    assert not next_day.doubts


def test_clocks_that_are_an_hour_off_move_nothing_back() -> None:
    """A departure to where it has come, and a scan where it just left, are of wrong clocks."""
    story = [*usual()[:5], say("ARRIVED", 21, "DU")]
    left_late = read([*story, say("DEPARTED", 21.5, "SC", next_facility="DU")])
    assert left_late.where[:2] == (Presence.AT, "DU")
    sorted_late = read([*usual()[:6], say("SORTED", 20.5, "SC")])
    assert sorted_late.where[:3] == (Presence.LEFT, "SC", "DU")
    much_later = read([*usual()[:6], say("ARRIVED", 26, "SC")])
    assert much_later.where[:2] == (Presence.AT, "SC")


def test_two_places_within_minutes_without_a_departure() -> None:
    """Two scans in two places, closer than clocks are right: which was last is not certain."""
    found = read([*usual()[:5], say("SORTED", 16.5, "XX")])
    assert {Doubt.CLOCKS_DISAGREE, Doubt.SCAN_MISSING} <= found.doubts
    assert found.leg.missing >= 2
    settled = read([*usual()[:5], say("SORTED", 16.5, "XX"), say("DEPARTED", 40, "XX")])
    assert not settled.doubts


def test_customs_and_the_way_within_minutes() -> None:
    """Two devices in one place that say different milestones within minutes are in doubt; one
    device is believed.
    """
    story = usual()[:4]
    come = say("CUSTOMS_PRESENTED", 14.2, "SC", device="desk")
    assert read([*story, come]).doubts == {Doubt.CLOCKS_DISAGREE}
    assert not read([*story, say("CUSTOMS_PRESENTED", 16, "SC", device="desk")]).doubts
    one_device = [*story[:3], say("ARRIVED", 14, "SC", device="desk"), come]
    assert not read(one_device).doubts


def test_customs_that_nobody_saw_give_it_back() -> None:
    """What customs held and what is then scanned further on has to be given back between: a
    release or a departure says so, in whichever order they arrive; the milestone stands all the
    same.
    """
    held = [
        say("IMPORT_ARRIVED", 10, "OE"),
        say("CUSTOMS_HELD", 12, "OE"),
    ]
    tour = say("OUT_FOR_DELIVERY", 40, "DU")
    assert Doubt.CUSTOMS_END_NOT_SEEN not in read(held).doubts
    found = read([*held, tour])
    assert Doubt.CUSTOMS_END_NOT_SEEN in found.doubts
    assert found.milestone is Milestone.OUT_FOR_DELIVERY
    for end in ("CUSTOMS_RELEASED", "IMPORT_DEPARTED"):
        seen = read([*held, tour, say(end, 20, "OE")])
        assert Doubt.CUSTOMS_END_NOT_SEEN not in seen.doubts, end
    twice = [*held, say("CUSTOMS_RELEASED", 20, "OE"), say("CUSTOMS_HELD", 22, "OE"), tour]
    assert Doubt.CUSTOMS_END_NOT_SEEN in read(twice).doubts
    too_late = [*held, tour, say("CUSTOMS_RELEASED", 41, "OE")]
    assert Doubt.CUSTOMS_END_NOT_SEEN in read(too_late).doubts


def test_what_lies_in_a_container_is_not_seen() -> None:
    """An item that went into a bag is where it went in, and that the bag knows more is said; what
    the bag was scanned for is not missing.
    """
    bag = Containment(
        direction=ContainmentDirection.CONTAINMENT_DIRECTION_IN, container_number="BAG"
    )
    story = [*usual()[:5], say("CONTAINERED", 18, "SC", containment=bag)]
    assert read(story).doubts == {Doubt.IN_CONTAINER}
    found = read([*story, say("SORTED", 40, "XX")])
    assert not found.doubts
    assert found.leg.missing == 0


def test_lost_is_believed_until_it_is_found() -> None:
    """A notice does not undo a loss; a scan of the item does."""
    story = [*usual()[:6], notice("LOST", 600)]
    assert read([*story, say("CUSTOMS_HELD", 700, "SC")]).milestone is Milestone.LOST
    assert read([*story, say("ARRIVED", 700, "SC")]).milestone is Milestone.IN_TRANSIT
    assert read([notice("CANCELLED", 1), say("ACCEPTED", 5, "PO")]).milestone is Milestone.ACCEPTED


def test_nobody_saw_it_handed_in() -> None:
    """An item whose first scan is on the way has a beginning that nobody saw."""
    assert Doubt.BEGINNING_NOT_SEEN in read(usual()[3:]).doubts
    assert Doubt.CLOCK_AHEAD in read(usual(), hour=30).doubts


def test_a_way_back_after_a_delivery_misses_no_scan() -> None:
    """Where a way back begins at the recipient's, nothing is missing; late last-mile scans of the
    way before do not count on it.
    """
    story = [*usual(), say("DELIVERED", 36, "DU"), say("RETURN_STARTED", 200, "PO2")]
    found = read([*story, say("DELIVERY_ATTEMPTED", 200.5, "DU")])
    assert found.milestone is Milestone.RETURNING
    assert found.leg.missing == 0
    assert Doubt.CLOCKS_DISAGREE in found.doubts


def test_a_doubt_outlives_scans_by_the_clock_that_raised_it() -> None:
    """An arrival that is an hour early, and then the scans of the place before: in doubt, until
    there is a scan that no clock can have put out of order.
    """
    story = [*usual()[:4], say("ARRIVED", 20, "DU"), say("SORTED", 20.1, "SC")]
    story.append(say("DEPARTED", 20.3, "SC", next_facility="DU"))
    assert Doubt.CLOCKS_DISAGREE in read(story).doubts
    later = read([*story, say("OUT_FOR_DELIVERY", 33, "DU")])
    assert Doubt.CLOCKS_DISAGREE not in later.doubts
    assert Doubt.SCAN_MISSING in later.doubts  # By these clocks it left, and never came.


def test_a_place_that_was_left_without_a_scan() -> None:
    """An item that comes back to where its departure was missed is on a way that nobody began."""
    story = [*usual()[:5], say("ARRIVED", 30, "DU")]
    assert Doubt.WAY_NOT_SEEN not in read(story).doubts
    back = read([*story, say("DEPARTED", 50, "DU", next_facility="SC")])
    assert Doubt.WAY_NOT_SEEN in back.doubts
