"""The end of a journey: what proves a delivery, what speaks against it; and the four stages."""

from __future__ import annotations

import hashlib

from ledger.v1.scan_event_pb2 import (
    AnnouncedFacts,
    Attachment,
    AttachmentKind,
    DeliveryMode,
    GeoPosition,
)
from ledger.vocabulary import Milestone
from query.journey import Asked, Confidence, Flag, Weakness
from query.journey.rules import HOUR_NS
from tests.tellers import START_NS, notice, read, say, usual
from tests.trails import timestamp

PORCH = DeliveryMode.DELIVERY_MODE_PORCH


def test_delivered_but_not_delivered() -> None:
    """'It says delivered, and nothing came': a scan at the depot, at once with the tour, or far
    away is told from one at a door; and a dispute is a flag.
    """
    home = {"DU": (52.0, 13.0)}
    asked = Asked(0, coordinates=home.get)
    weak = {
        (52.0001, 13.0001): [Weakness.AT_FACILITY],
        (53.5, 13.0): [Weakness.FAR_AWAY],
        (52.01, 13.02): [],
    }
    for (north, east), expected in weak.items():
        position = GeoPosition(latitude=north, longitude=east)
        done = say("DELIVERED", 36, "DU", delivery_mode=PORCH, position=position)
        proof = read([*usual(), done], asked=asked).proof
        assert proof
        assert proof.weaknesses == expected
        assert (proof.confidence is Confidence.GOOD) == (not expected)
    counter = DeliveryMode.DELIVERY_MODE_COUNTER
    at_home = GeoPosition(latitude=52.0001, longitude=13.0001)
    fetched = say("DELIVERED", 36, "DU", delivery_mode=counter, position=at_home)
    assert (proof := read([*usual(), fetched], asked=asked).proof)
    assert proof.confidence is Confidence.GOOD
    at_once = say("DELIVERED", 33.01, "DU", delivery_mode=PORCH)
    assert (proof := read([*usual(), at_once]).proof)
    assert proof.weaknesses == [Weakness.NO_POSITION, Weakness.BURST]

    disputed = read([*usual(), fetched, notice("LOST", 100)])
    assert disputed.milestone is Milestone.DELIVERED
    assert disputed.flags == {Flag.DISPUTED}


def test_the_four_stages() -> None:
    """Accepted, in transit, out for delivery and delivered say what users know them for; what lies
    sealed is given sealed.
    """
    until = timestamp(START_NS + 29 * HOUR_NS)
    story = usual()
    story[0] = notice("LABEL_CREATED", 0, announced=AnnouncedFacts(destination_postcode_area="104"))
    story[5] = say("DEPARTED", 20, "SC", next_facility="DU", expected_until_time=until)
    on_the_way = read(story[:6])
    assert on_the_way.stages.accepted
    assert on_the_way.stages.accepted[1:] == ("PO", "")
    assert on_the_way.stages.in_transit
    assert on_the_way.stages.in_transit[1:] == ("SC", "DU", 0, START_NS + 29 * HOUR_NS)
    assert on_the_way.stages.out_for_delivery is None
    assert read(story[:6], hour=28).flags == frozenset()
    assert read(story[:6], hour=30).flags == {Flag.LATE}

    picture = Attachment(
        kind=AttachmentKind.ATTACHMENT_KIND_PHOTO, sha256=hashlib.sha256(b"x").digest()
    )
    done = say("DELIVERED", 36, "DU", delivery_mode=PORCH, attachments=[picture])
    found = read([*story, done._replace(sealed=b"sealed")])
    assert found.stages.out_for_delivery
    assert found.stages.out_for_delivery[1:] == ("DU", "104", 0, 0, b"sealed")
    assert found.stages.delivered
    assert found.stages.delivered[1:] == ("DU", "", PORCH)
    assert found.proof
    assert found.proof.attachments == [(picture.kind, picture.sha256)]
    assert found.proof.has_personal
