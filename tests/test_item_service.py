"""Items over gRPC: what is answered for one number, in every case."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ledger.numbers import KEY_FORM, filing_key
from ledger.v1 import item_pb2 as pb
from ledger.v1.item_service_pb2 import ItemView
from ledger.v1.log_record_pb2 import LogRecord
from ledger.v1.scan_event_pb2 import (
    DeliveryMode,
    GeoPosition,
    Place,
    ScanEventType,
)
from ledger.v1.trail_service_pb2 import LookupStatus
from query.journey.rules import DAY_NS, HOUR_NS
from tests.item_doors import OTHER, Clock, get, hour, put, whole
from tests.tellers import (
    START_NS,
    WITHDRAWN,
    WRONG_DATA,
    correct,
    notice,
    other_content,
    say,
    usual,
)
from tests.trails import NUMBER, Arrival, timestamp

pytestmark = pytest.mark.usefixtures("clock")  # The door has it.

if TYPE_CHECKING:
    from tests.asking import Asked

FOUND = LookupStatus.LOOKUP_STATUS_FOUND
NOT_YET_SEEN = LookupStatus.LOOKUP_STATUS_NOT_YET_SEEN
TIMELINE = ItemView.ITEM_VIEW_TIMELINE


async def test_a_delivered_item_has_its_four_stages(door: Asked) -> None:
    """Each with when and where; and beside them where it is, its leg, and who saw it last."""
    end = say(
        "DELIVERED", 36, "DE60313", delivery_mode=DeliveryMode.DELIVERY_MODE_PERSON,
        utc_offset_minutes=120, carrier="DHL",
    )  # fmt: skip
    await put(door, [*usual(), end])

    response = await whole(door)
    answer, item = response.answer, response.answer.item

    assert answer.status == FOUND
    assert list(answer.tracking_keys) == [NUMBER]
    assert answer.answer_time == timestamp(START_NS + 40 * HOUR_NS)
    assert item.milestone == pb.MILESTONE_DELIVERED
    assert item.since.scan_time.seconds == hour(36)
    assert item.since.utc_offset_minutes == 120
    assert (item.accepted.facility, item.accepted.at.scan_time.seconds) == ("PO", hour(10))
    assert (item.in_transit.facility, item.in_transit.at.scan_time.seconds) == ("DU", hour(30))
    assert item.out_for_delivery.at.scan_time.seconds == hour(33)
    assert item.delivered.facility == "DE60313"
    assert item.delivered.mode == DeliveryMode.DELIVERY_MODE_PERSON
    assert item.delivered.confidence == pb.DELIVERY_CONFIDENCE_FAIR
    assert item.place.presence == pb.PRESENCE_HANDED_OVER
    assert [(leg.kind, leg.milestone) for leg in item.legs] == [
        (pb.LEG_KIND_FORWARD, pb.MILESTONE_DELIVERED)
    ]
    assert item.last_scan.event == end.event
    assert item.last_scan.source_id == "scanner-1"
    assert item.told_by.event == end.event
    assert item.last_notice.event.type == ScanEventType.SCAN_EVENT_TYPE_LABEL_CREATED
    assert item.in_state.seconds == item.silent.seconds == 4 * 3_600
    assert list(item.carriers) == ["DHL"]
    assert not item.events
    assert [one.name for one in response.facilities] == ["Frankfurt Innenstadt"]


async def test_the_timeline_is_what_stands_in_order(door: Asked) -> None:
    """In that view all events come along, by scan time."""
    story = usual()
    await put(door, reversed(story))

    answer = await get(door, view=TIMELINE)

    assert [one.event for one in answer.item.events] == [one.event for one in story]
    assert not answer.item.has_more


async def test_a_number_that_was_never_scanned(door: Asked) -> None:
    """It is not yet seen, and there is no item."""
    answer = await get(door)

    assert answer.status == NOT_YET_SEEN
    assert not answer.HasField("item")
    assert answer.revision


async def test_what_lies_in_quarantine_is_said(door: Asked) -> None:
    """A notice is no event; where there is nothing else, something is there all the same."""
    stub = LogRecord(
        tracking_key=filing_key(NUMBER), key_form=KEY_FORM, scan_time_ns=START_NS,
        event_id=bytes(16), source_id="s", record_time_ns=START_NS,
    )  # fmt: skip
    stub.quarantined.position.log, stub.quarantined.position.generation = "scans", 1
    await door.shelf.put_record(filing_key(NUMBER), stub.SerializeToString())
    await door.shelf.mark()

    alone = await get(door)
    await put(door, usual())
    beside = await get(door)

    assert (alone.status, alone.quarantined_count) == (FOUND, 1)
    assert not alone.HasField("item")
    assert beside.quarantined_count == 1
    assert beside.item.milestone == pb.MILESTONE_OUT_FOR_DELIVERY


async def test_a_used_number_gives_the_newest_item(door: Asked, clock: Clock) -> None:
    """And says which other one had it, and how that ended."""
    clock.ns = START_NS + 201 * DAY_NS
    first = [*usual(), say("DELIVERED", 36, "DU")]
    await put(door, [*first, say("ACCEPTED", 24 * 200, "PO")])

    answer = await get(door)

    assert answer.item.milestone == pb.MILESTONE_ACCEPTED
    [other] = answer.others
    assert other.milestone == pb.MILESTONE_DELIVERED
    assert (other.first_time.seconds, other.last_time.seconds) == (hour(0), hour(36))


async def test_an_item_is_folded_over_all_its_keys(door: Asked) -> None:
    """What is filed under an alias belongs to it, whichever number is asked for."""
    story = usual()
    await put(door, story[:4])
    await put(door, story[4:], OTHER)
    await door.shelf.alias(NUMBER, OTHER)

    one, other = await get(door), await get(door, tracking_number=OTHER)

    assert one.item.milestone == other.item.milestone == pb.MILESTONE_OUT_FOR_DELIVERY
    assert set(one.tracking_keys) == set(other.tracking_keys) == {NUMBER, OTHER}
    assert one.item.last_scan.tracking_key == OTHER
    assert one.item.accepted == other.item.accepted


async def test_a_code_is_read_by_its_mapping(door: Asked) -> None:
    """An event that came with a partner's code alone counts as what the code means."""
    code = say("UNMAPPED", 36, "DU", code_system="upu-emsevt-3", source_code="EMI")
    await put(door, [*usual(), code])

    answer = await get(door)

    assert answer.item.milestone == pb.MILESTONE_DELIVERED
    assert answer.item.last_scan.mapped.type == ScanEventType.SCAN_EVENT_TYPE_DELIVERED
    assert answer.item.last_scan.event.source_code == "EMI"


async def test_both_versions_of_a_correction_are_shown(door: Asked) -> None:
    """What was said before stays beside what corrects it; a withdrawn delivery is none."""
    wrong = say("DELIVERED", 36, "DU")
    place = say("ARRIVED", 30.5, "XX")
    await put(
        door,
        [
            *usual(),
            wrong,
            correct(wrong, WITHDRAWN, "CORRECTION", 37),
            place,
            correct(place, WRONG_DATA, "ARRIVED", 30.6, facility="DU"),
        ],
    )

    answer = await get(door)

    assert answer.item.milestone == pb.MILESTONE_OUT_FOR_DELIVERY
    assert pb.ITEM_FLAG_CORRECTED in answer.item.flags
    said = [(one.by.event.type, one.corrected[0].event) for one in answer.item.corrections]
    assert said == [
        (ScanEventType.SCAN_EVENT_TYPE_ARRIVED, place.event),
        (ScanEventType.SCAN_EVENT_TYPE_CORRECTION, wrong.event),
    ]
    assert all(one.in_effect for one in answer.item.corrections)


async def test_versions_of_a_conflict_are_shown(door: Asked) -> None:
    """Both contents of one identity are there, and the item is flagged."""
    one = say("ARRIVED", 30, "DU")
    await put(door, [*usual(), one, other_content(one, operator="p")])

    answer = await get(door)

    assert pb.ITEM_FLAG_CONFLICT in answer.item.flags
    [conflict] = answer.item.conflicts
    assert {version.event.operator for version in conflict.versions} == {"", "p"}


@pytest.mark.parametrize(
    ("latitude", "confidence", "weakness"),
    [
        (50.11502, pb.DELIVERY_CONFIDENCE_LOW, pb.DELIVERY_WEAKNESS_AT_FACILITY),
        (50.13217, pb.DELIVERY_CONFIDENCE_GOOD, None),
        (53.1, pb.DELIVERY_CONFIDENCE_LOW, pb.DELIVERY_WEAKNESS_FAR_AWAY),
    ],
)
async def test_a_delivery_is_held_against_the_place_of_its_facility(
    door: Asked, latitude: float, confidence: int, weakness: int | None
) -> None:
    """Scanned in the office that it came from, in a street of its area, and in another city."""
    door_step = GeoPosition(latitude=latitude, longitude=8.68413)
    end = say(
        "DELIVERED", 36, "DE60313", position=door_step,
        delivery_mode=DeliveryMode.DELIVERY_MODE_PORCH,
    )  # fmt: skip
    await put(door, [*usual(), end])

    delivered = (await get(door)).item.delivered

    assert delivered.confidence == confidence
    assert list(delivered.weaknesses) == ([] if weakness is None else [weakness])


async def test_what_is_announced_and_a_place_in_words(door: Asked) -> None:
    """The next facility, when it is expected there, and the area come from what was told."""
    place = Place(name="Depot", city="Basel", country="CH")
    until = timestamp(START_NS + 60 * HOUR_NS)
    await put(
        door,
        [
            notice("LABEL_CREATED", 0, announced={"destination_postcode_area": "603"}),
            say("ACCEPTED", 10, place=place),
            say("DEPARTED", 20, "SC", next_facility="DE60313", expected_until_time=until),
            say("OUT_FOR_DELIVERY", 33, "DU"),
        ],
    )

    response = await whole(door)
    item = response.answer.item

    assert item.accepted.words == "Depot, Basel, CH"
    assert item.in_transit.next_facility == "DE60313"
    assert item.in_transit.expected_until_time == until
    assert item.out_for_delivery.area == "603"
    assert [one.facility_id for one in response.facilities] == ["DE60313"]


async def test_sealed_data_is_in_no_answer(door: Asked) -> None:
    """That there is some is said; nothing of it goes out."""
    end = say("DELIVERED", 36, "DU")
    sealed = b"sealed: who signed, and where"
    await put(door, usual())
    await door.shelf.put(Arrival(end.event, sealed=sealed))

    response = await whole(door, view=TIMELINE)

    assert response.answer.item.delivered.has_personal
    assert sealed not in response.SerializeToString()
