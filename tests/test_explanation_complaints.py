"""What users of known trackers complain about where words are concerned, case by case, and what is
said here instead.
"""

from __future__ import annotations

from typing import Any

import pytest

from ledger.v1.scan_event_pb2 import DeliveryMode, EventAction, EventReason, UtcOffsetSource
from ledger.vocabulary import Milestone
from query.explanation import Cause, changes_since, explain_nothing
from query.journey.rules import DAY_NS, HOUR_NS
from query.texts import BUILT_IN
from tests.explainers import all_words, explained, item_of, speaker
from tests.tellers import START_NS, WITHDRAWN, correct, notice, say, usual

NOBODY_HOME = EventReason.EVENT_REASON_NOBODY_HOME
NOTICE_LEFT = EventAction.EVENT_ACTION_NOTICE_LEFT


def test_no_update_for_days_says_since_when_what_is_usual_and_what_to_do() -> None:
    """'No tracking updates, stuck in one place': the last scan, the silence against the usual, the
    likely cause and a next step; and never that it is lost, as nobody said so.
    """
    found = explained(usual()[:3], hour=12 + 12 * 24)

    assert found.sentences[0].startswith("Last scan: Left, PO, ")
    assert "Time without a scan: 12 days." in found.sentences
    assert any("Usual at this stage: up to 7 days" in one for one in found.sentences)
    assert found.cause is Cause.BETWEEN_PLACES
    assert "left PO and did not arrive at SC" in found.cause_words
    assert "Ask the carrier to look for it" in found.status.do
    assert "That does not say that it is lost." in found.status.meaning
    assert found.status.name == Milestone.IN_TRANSIT.name


def test_a_notice_of_a_clock_is_no_scan() -> None:
    """'In transit to next facility', day after day: it is said that a computer made it, and where
    the item was really seen last.
    """
    story = [*usual()[:4], notice("IN_TRANSIT_NOTICE", 60), notice("IN_TRANSIT_NOTICE", 84)]
    found = explained(story, hour=90)

    assert found.sentences[0].startswith("Last scan: Arrived, SC, ")
    assert found.sentences[1].startswith("Last notice, made without seeing the item: Believed")
    assert "Time without a scan: 3 days." in found.sentences
    assert "Nobody scanned the item." in found.events[-1].words.meaning


@pytest.mark.parametrize("language", BUILT_IN)
def test_ready_for_pickup_does_not_read_as_delivered(language: str) -> None:
    """'Ready for pickup is shown as delivered': it says that it waits, where, and that somebody has
    to act.
    """
    waits = explained([*usual(), say("READY_FOR_PICKUP", 40, "PO2")], language=language)
    done = explained([*usual(), say("DELIVERED", 40, "DU")], language=language)

    assert waits.status.headline.endswith(": PO2")
    assert waits.status.headline != done.status.headline
    assert waits.status.action_required
    assert not done.status.action_required
    assert waits.status.party == "office"
    assert "PO2" in waits.status.ask


def test_an_alert_does_not_read_as_a_return() -> None:
    """'Alert is shown as returned': what customs wants is said, with whom to ask, and nothing of a
    return that nobody began.
    """
    duty = EventReason.EVENT_REASON_CUSTOMS_DUTY
    found = explained([*usual()[:4], say("CUSTOMS_HELD", 15, "SC", reason=duty)])

    assert found.status.name == "CUSTOMS"
    assert found.status.party == "customs"
    assert found.status.action_required
    assert "Duty or tax has to be settled" in found.status.meaning
    assert "before you pay" in found.status.do
    assert [words.name for words in found.beside] == ["HELD", "ACTION_REQUIRED"]


@pytest.mark.parametrize("language", BUILT_IN)
def test_a_code_that_nobody_knows_is_quoted_and_not_guessed(language: str) -> None:
    """'Status codes you do not understand', and texts that changed: the source's own words are
    shown as its own, and the status stays.
    """
    codes = {"code_system": "acme", "source_code": "ZZZ"}
    text = {"source_text": "Parcel diverted {place}"}
    story = [*usual()[:4], say("UNMAPPED", 20, "SC", **codes, **text), notice("INFO", 21, **codes)]
    found = explained(story, language=language)

    assert "Parcel diverted {place}" in found.events[-2].words.meaning
    assert "acme ZZZ" in found.events[-1].words.meaning
    assert found.status.name == "IN_TRANSIT"


def test_every_status_a_notice_left_names_is_one_answer() -> None:
    """'Notice left' and no more: why, what was left, and what to do with it."""
    tried = say("DELIVERY_ATTEMPTED", 36, "DU", reason=NOBODY_HOME, action=NOTICE_LEFT)
    found = explained([*usual(), tried], hour=40)

    assert found.cause is Cause.REASON_GIVEN
    assert "Nobody was there to take the item." in found.status.meaning
    assert "A notice was left" in found.status.next
    assert "choose another time or place" in found.status.do
    assert found.events[-1].words.next == found.status.next


def test_late_is_said_with_its_cause_or_that_none_was_given() -> None:
    """'Arriving late', and nobody says why: the reason where a source gave one, else that none was
    given; the new time in both.
    """
    moment = (START_NS + 60 * HOUR_NS) // 1_000_000_000
    soon: dict[str, Any] = {"expected_until_time": {"seconds": moment}}
    weather = EventReason.EVENT_REASON_WEATHER
    told = explained([*usual()[:4], notice("DELAYED", 20, reason=weather, **soon)])
    untold = explained([*usual()[:4], notice("DELAYED", 20, **soon)])

    assert told.cause is Cause.REASON_GIVEN
    assert "Weather keeps transports" in told.cause_words
    assert "Weather keeps transports" in told.status.meaning
    assert "when the weather lets it" in told.status.next
    assert untold.cause is Cause.LATE_WITHOUT_REASON
    assert "nobody has said why" in untold.cause_words
    for found in (told, untold):
        assert any(one.startswith("Announced for the next step: ") for one in found.sentences)


def test_a_delay_that_is_over_is_no_cause() -> None:
    """A reason of the way there is not told as the reason of the way back."""
    weather = EventReason.EVENT_REASON_WEATHER
    story = [*usual()[:4], notice("DELAYED", 20, reason=weather), say("RETURN_STARTED", 60, "SC")]
    found = explained([*story, say("DEPARTED", 62, "SC", next_facility="PO")], hour=64)

    assert found.cause is Cause.NOTHING_UNUSUAL
    assert "Weather" not in found.status.meaning + found.cause_words

    soon: dict[str, Any] = {"expected_until_time": {"seconds": START_NS // 1_000_000_000 + 230_000}}
    back = say("DEPARTED", 62, "SC", next_facility="PO", **soon)
    assert explained([*story, back], hour=66).cause is Cause.LATE_WITHOUT_REASON


def test_a_delivered_item_stays_delivered_in_words() -> None:
    """'A late moving scan makes it in transit again': the words stay, with the doubt beside."""
    late = say("DEPARTED", 70, "SC", next_facility="DU")
    found = explained([*usual(), say("DELIVERED", 36, "DU"), late])

    assert found.status.headline == "Delivered"
    assert [words.name for words in found.doubts] == ["SCANNED_AFTER_END"]


def test_delivered_but_not_there_says_what_to_do_and_how_sure_it_is() -> None:
    """'Delivered, but I do not have it': where to look, whom to tell, and what speaks against the
    scan; and a loss that was told afterwards makes it disputed.
    """
    porch = DeliveryMode.DELIVERY_MODE_PORCH
    given = say("DELIVERED", 33.01, "DU", delivery_mode=porch)
    found = explained([*usual(), given], hour=40)

    assert "It was left at the door." in found.status.meaning
    assert "ask neighbours" in found.status.do
    assert any("faster than a round can be" in one for one in found.delivery)

    lost = explained([*usual(), given, notice("LOST", 60)])
    assert lost.status.headline == "Delivered"
    assert "DISPUTED" in [words.name for words in lost.beside]
    assert "say so to the carrier" in lost.status.do


@pytest.mark.parametrize("language", BUILT_IN)
def test_a_label_without_a_scan_is_no_wrong_number(language: str) -> None:
    """'The label exists, and the tracker says not found': a number that is not seen yet has words
    of its own, and one that was announced has others; both name the sender.
    """
    number = "RR473124829GB"
    unseen = explain_nothing(speaker(language), number)
    announced = explained([notice("LABEL_CREATED", 0)], hour=72, language=language)

    assert unseen.status.name == "NOT_YET_SEEN"
    assert number in unseen.sentences[0]
    assert announced.status.headline != unseen.status.headline
    assert announced.cause is Cause.NOT_HANDED_IN
    assert unseen.status.party == announced.status.party == "sender"


def test_times_are_of_the_place_and_say_so_where_they_are_not() -> None:
    """'The times are hours off': the clock on the wall there; where nobody knows its zone, UTC and
    that word; of a date no time of day.
    """
    device = UtcOffsetSource.UTC_OFFSET_SOURCE_DEVICE
    unknown = UtcOffsetSource.UTC_OFFSET_SOURCE_UNKNOWN
    there = say("ARRIVED", 0, "X", utc_offset_minutes=-420, utc_offset_source=device)
    same = say("ARRIVED", 0, "X", utc_offset_minutes=-420, utc_offset_source=unknown)
    zoned = say("ARRIVED", 0, "DE50667", utc_offset_minutes=0, utc_offset_source=unknown)
    day = say("ARRIVED", 0, "X", utc_offset_source=device, utc_offset_minutes=0, date_only=True)
    said = [explained([one]).sentences[0] for one in (there, same, zoned, day)]

    # 2026-09-21T14:13:20Z: 07:13 in Arizona, 16:13 in a German summer.
    assert said[0].endswith("X, 21 September 2026, 07:13.")
    assert said[1].endswith("X, 21 September 2026, 14:13 UTC.")
    assert said[2].endswith("21 September 2026, 16:13.")
    assert said[3].endswith("X, 21 September 2026.")

    never_set = explained([say("ARRIVED", START_NS / -HOUR_NS, "X")], hour=5)
    assert never_set.sentences[:2] == ["Last scan: Arrived, X.", "The time is not known."]


def test_the_same_number_again_names_the_other_item() -> None:
    """'A used number hides my parcel': the newest item is explained, and the earlier one named."""
    first = [*usual(), say("DELIVERED", 36, "DU")]
    later = 36 + 200 * 24
    found = explained([*first, say("ACCEPTED", later, "PO"), say("ARRIVED", later + 9, "SC")])

    assert found.status.name == "IN_TRANSIT"
    assert found.others[0].startswith("The number was used before, by another item: Delivered (21")


def test_the_way_back_is_told_as_one() -> None:
    """'The same waybill for the return': the leg has its words, and where it could be another item
    that is said.
    """
    story = [*usual(), say("DELIVERED", 36, "DU"), say("ACCEPTED", 300, "PO2")]
    found = explained(story)

    assert found.status.headline == "On its way back to the sender"
    assert [words.name for words in found.beside] == ["RETURN"]
    assert "RETURN_OR_REUSE" in [words.name for words in found.doubts]


@pytest.mark.parametrize("language", BUILT_IN)
def test_what_was_said_before_is_kept_beside_what_is_said_now(language: str) -> None:
    """'Yesterday it said delivered': then, today, and what was corrected or came late since."""
    done = say("DELIVERED", 36, "DU")
    gone = correct(done, WITHDRAWN, "CORRECTION", 60)
    late = say("DELIVERY_ATTEMPTED", 34, "DU", name="late", reason=NOBODY_HOME)
    then, as_of_ns = item_of([*usual(), done])
    now, _ = item_of([*usual(), done, gone, late], hour=70)
    then_said, today, corrected, known_later = changes_since(
        speaker(language), then, now, as_of_ns=as_of_ns
    )

    tongue = speaker(language).language
    assert "2026" in then_said
    assert tongue.say("status ATTEMPTED", "headline") in today
    assert tongue.say("event DELIVERED", "headline") in corrected
    assert tongue.say("event DELIVERY_ATTEMPTED", "headline") in known_later


@pytest.mark.parametrize("language", BUILT_IN)
def test_silence_alone_is_never_a_loss(language: str) -> None:
    """'An exception after three days': after a year of silence no word of the status says that it
    is lost, whatever it was doing.
    """
    headline = speaker(language).language.say("status LOST", "headline")
    for end in range(2, len(usual()) + 1):
        found = explained(usual()[:end], hour=300 * 24, language=language)
        assert headline not in all_words(found)
        assert found.silence.is_long
        assert found.silence.silent_ns > 250 * DAY_NS
