"""Canonical events: each is described, and reaches no milestone that it does not tell of."""

from __future__ import annotations

from ledger.v1 import scan_event_pb2 as pb
from ledger.vocabulary import CANONICAL, Kind, Milestone, canonical


class TestCanonical:
    def test_every_event_of_the_wire_is_described(self) -> None:
        """Nothing that a scan may say is without a milestone, a kind and a meaning."""
        wire = {number for number in pb.ScanEventType.values() if number}

        assert set(CANONICAL) == wire
        assert all(event.means for event in CANONICAL.values())

    def test_an_event_of_a_newer_wire_is_not_guessed(self) -> None:
        """A number that is not known has no milestone."""
        assert canonical(9_999) is None

    def test_what_a_clock_says_reaches_no_milestone(self) -> None:
        """A notice of transit moves nothing, and is no sighting of the item."""
        notice = CANONICAL[pb.SCAN_EVENT_TYPE_IN_TRANSIT_NOTICE]

        assert notice.milestone is Milestone.NONE
        assert notice.kind is Kind.NOTICE
        assert not notice.is_physical

    def test_flags_are_no_milestones(self) -> None:
        """Late and missent stand beside the milestone, so that no alert reads as a return."""
        flags = {event.flag for event in CANONICAL.values()} - {""}

        assert flags == {"missent", "held", "late", "corrected"}
        assert not {flag.upper() for flag in flags - {"held"}} & set(Milestone)

    def test_every_scan_is_physical(self) -> None:
        """Who scans has the item in hand; a notice may or may not be about somebody who had."""
        assert all(event.is_physical for event in CANONICAL.values() if event.kind is Kind.SCAN)
