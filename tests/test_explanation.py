"""Explanations: silence against what is usual, the likely cause, and words that always hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.facilities import Directory
from ledger.v1.scan_event_pb2 import EventReason, ScanEventType
from ledger.vocabulary import CANONICAL
from query.explanation import Basis, Cause, changes_since
from query.journey import Presence
from query.journey.rules import ASKING_REASONS, DAY_NS, HOUR_NS
from query.lanes import SECTIONS_MAX, TIMES_MAX, TIMES_MIN, Lanes, Section
from query.texts import BUILT_IN
from tests.explainers import all_words, explained, item_of, speaker
from tests.tellers import WITHDRAWN, correct, notice, read, say, usual

if TYPE_CHECKING:
    from query.journey import Instance, Told

MINUTE_NS = HOUR_NS // 60


def way(name: object, hours: float) -> Instance:
    """Give an item that took so long from SC to DU."""
    return read(
        [
            say("ARRIVED", 0, "SC", name=(name, 0)),
            say("DEPARTED", 1, "SC", name=(name, 1), next_facility="DU"),
            say("ARRIVED", 1 + hours, "DU", name=(name, 2)),
        ]
    )


def travelled(hours: list[float]) -> Lanes:
    """Remember items that took so long from SC to DU."""
    lanes = Lanes()
    for name, each in enumerate(hours):
        lanes.learn(way(name, each))
    return lanes


class TestSilence:
    def test_the_pairs_own_history_goes_before_the_status(self) -> None:
        """20 items took 1 to 20 hours: nine in ten took 18, and 4 took longer than 16."""
        lanes = travelled([hour + 1.0 for hour in range(20)])
        found = explained(usual()[:6], hour=20 + 16, history_of=lanes.history)

        assert found.silence.basis is Basis.PAIR
        assert found.silence.usual_ns == 18 * HOUR_NS
        assert (found.silence.slower, found.silence.known) == (4, 20)
        assert found.cause is Cause.NOTHING_UNUSUAL
        assert (
            "Earlier items that took longer than this one has so far: 4 of 20." in found.sentences
        )
        assert any(
            one.startswith("The next scan usually comes by 23 Sept") for one in found.sentences
        )

    def test_longer_than_all_is_long(self) -> None:
        """One that is silent for longer than any of them is asked after, though its status allows
        days more.
        """
        lanes = travelled([2.0] * 20)
        found = explained(usual()[:6], hour=20 + 3, history_of=lanes.history)

        assert found.silence.is_long
        assert found.cause is Cause.BETWEEN_PLACES
        assert any("That has passed." in one for one in found.sentences)
        assert not found.beside  # The fold's flag is for days without a scan.

    def test_what_is_usual_on_a_slow_section_alarms_nobody(self) -> None:
        """A sea route takes a month: after ten days nobody is told to have the item looked for."""
        lanes = travelled([30 * 24.0] * 20)
        found = explained(usual()[:6], hour=20 + 240, history_of=lanes.history)

        assert found.cause is Cause.NOTHING_UNUSUAL
        assert [words.name for words in found.beside] == []
        assert "You do not need to do anything." in found.status.do

    def test_few_items_say_nothing(self) -> None:
        """Nine items do not tell what nine in ten do: the status says what is usual."""
        lanes = travelled([2.0] * (TIMES_MIN - 1))
        found = explained(usual()[:6], hour=40, history_of=lanes.history)

        assert found.silence.basis is Basis.STATUS
        assert found.silence.usual_ns == 7 * DAY_NS

    def test_an_end_has_no_silence(self) -> None:
        """Nobody waits for a scan of a delivered item."""
        found = explained([*usual(), say("DELIVERED", 36, "DU")], hour=900)
        assert found.silence.basis is Basis.NONE
        assert found.cause is Cause.OVER
        assert not any("without a scan" in one for one in found.sentences)

    @pytest.mark.parametrize(
        ("story", "hour", "cause"),
        [
            (usual()[:1], 200, Cause.NOT_HANDED_IN),
            ([say("PARTNER_PICKED_UP", 1)], 20, Cause.WITH_PARTNER),
            (usual()[:4], 20, Cause.NOTHING_UNUSUAL),
            (usual()[:4], 400, Cause.STILL_THERE),
            (usual()[:3], 400, Cause.BETWEEN_PLACES),
            (usual(), 90, Cause.TOUR_WITHOUT_END),
            ([*usual()[:2], say("EXPORT_DEPARTED", 20, "OE")], 400, Cause.BETWEEN_COUNTRIES),
            ([*usual()[:4], say("MISSENT", 18, "XX")], 20, Cause.MISSENT),
            ([*usual()[:4], say("CUSTOMS_PRESENTED", 18, "SC")], 20, Cause.WITH_CUSTOMS),
            ([*usual(), say("READY_FOR_PICKUP", 36, "PO")], 40, Cause.WAITS_FOR_SOMEBODY),
            ([notice("INFO", 1)], 20, Cause.NOTHING_KNOWN),
            ([*usual()[:4], notice("CANCELLED", 18)], 40, Cause.OVER),
        ],
    )
    def test_each_cause_is_found(self, story: list[Told], hour: float, cause: Cause) -> None:
        """Where the trail tells it, and as it tells it."""
        found = explained(story, hour=hour)
        assert found.cause is cause
        assert found.cause_words


class TestLanes:
    def test_an_item_counts_once(self) -> None:
        """However often it is looked up; and a scan that came late mends what was learned."""
        lanes = Lanes()
        for _ in range(TIMES_MIN):
            lanes.learn(way("one", 5))
        assert lanes.history(Section(Presence.LEFT, "SC", "DU")) is None

        for name in range(TIMES_MIN - 1):
            lanes.learn(way(name, 5))
        lanes.learn(way("one", 1))
        known = lanes.history(Section(Presence.LEFT, "SC", "DU"))
        assert known is not None
        assert known.times_ns[0] == HOUR_NS
        assert known.known == TIMES_MIN

    def test_what_it_waits_in_a_facility_is_its_own_section(self) -> None:
        """From a scan in a place to the next there; and on a tour to its end."""
        lanes = Lanes()
        for name in range(TIMES_MIN):
            story = [
                *(say("ARRIVED", 0, "DU", name=(name, 0)), say("SORTED", 2, "DU", name=(name, 1))),
                say("OUT_FOR_DELIVERY", 6, "DU", name=(name, 2)),
                say("DELIVERED", 9, "DU", name=(name, 3)),
            ]
            lanes.learn(read(story))
        stays = lanes.history(Section(Presence.AT, "DU", "DU"))
        tours = lanes.history(Section(Presence.ON_TOUR, "DU", "DU"))
        assert stays is not None
        assert tours is not None
        assert set(stays.times_ns) == {2 * HOUR_NS, 4 * HOUR_NS}
        assert set(tours.times_ns) == {3 * HOUR_NS}

    def test_the_memory_has_a_bound(self) -> None:
        """Of a section the last times are kept, and of sections those that were seen last."""
        lanes = travelled([float(1 + name) for name in range(TIMES_MAX + 5)])
        known = lanes.history(Section(Presence.LEFT, "SC", "DU"))
        assert known is not None
        assert known.known == TIMES_MAX
        assert known.times_ns[0] == 6 * HOUR_NS

        for name in range(SECTIONS_MAX):
            there = say("DEPARTED", 0, f"F{name}", next_facility="X")
            lanes.learn(read([there, say("ARRIVED", 1, "X", name=name)]))
        assert len(lanes) == SECTIONS_MAX
        assert lanes.history(Section(Presence.LEFT, "SC", "DU")) is None

    def test_a_clock_that_was_never_set_teaches_nothing(self) -> None:
        """Fifty years are no time that a way takes."""
        lanes = Lanes()
        lanes.learn(read([say("DEPARTED", -497_000, "SC"), say("ARRIVED", 1, "DU")]))
        assert len(lanes) == 0


class TestWords:
    @pytest.mark.parametrize("language", BUILT_IN)
    @given(data=st.data())
    def test_every_event_with_every_reason_has_words(
        self, language: str, data: st.DataObject
    ) -> None:
        """Whatever happened and why: no text is empty, and no placeholder or bracket is left."""
        types = st.sampled_from([event.name for event in CANONICAL.values()])
        told = [
            say(
                data.draw(types),
                data.draw(st.integers(0, 400)),
                data.draw(st.sampled_from(["", "SC", "DE50667"])),
                name=name,
                reason=data.draw(st.integers(0, 45)),
                action=data.draw(st.integers(0, 15)),
                delivery_mode=data.draw(st.integers(0, 12)),
                next_facility=data.draw(st.sampled_from(["", "DU"])),
            )
            for name in range(data.draw(st.integers(1, 4)))
        ]
        found = explained(told, hour=data.draw(st.integers(0, 2_000)), language=language)

        said = all_words(found)
        assert not set("{}[]") & set(said)
        for words in (
            found.status,
            *found.beside,
            *found.doubts,
            *(one.words for one in found.events),
        ):
            assert all(words[2:7]), words

    @pytest.mark.parametrize("number", sorted(ASKING_REASONS))
    def test_who_is_asked_something_is_told_so(self, number: EventReason.ValueType) -> None:
        """Every reason that waits for somebody outside makes the answer say that action is needed,
        and what.
        """
        held = explained([*usual()[:4], say("HELD", 20, "SC", reason=number)])
        assert held.status.action_required
        assert held.events[-1].words.action_required
        assert held.status.do == held.events[-1].words.do

    def test_the_advice_is_the_one_that_helps(self) -> None:
        """An item that waits on a shelf for weeks is fetched, and not looked for; one of which
        nobody tells after an attempt is looked for; a late one is waited for.
        """
        shelf = explained([*usual(), say("READY_FOR_PICKUP", 36, "PO")], hour=36 + 20 * 24)
        tried = say("DELIVERY_ATTEMPTED", 36, "DU", reason=EventReason.EVENT_REASON_NOBODY_HOME)
        gone = explained([*usual(), tried], hour=36 + 20 * 24)
        late = explained([*usual()[:4], notice("DELAYED", 20)])

        assert shelf.silence.is_long
        assert shelf.status.do.startswith("Fetch it soon.")
        assert "Nobody was there" in gone.status.meaning
        assert gone.status.do.startswith("Ask the carrier to look for it")
        assert "A late item is not a lost one." in late.status.next

    def test_a_type_of_a_newer_wire_is_said_to_have_no_words(self) -> None:
        """It is not guessed either."""
        one = usual()[3]
        found = explained([one._replace(type=max(ScanEventType.values()) + 1)])
        assert found.events[0].words.name == "UNMAPPED"

    def test_a_place_without_a_name_is_said_by_its_code(self) -> None:
        """Or by the words of its source; never as None."""
        bare = speaker("en", Directory([]))
        assert bare.place("DE50667") == "DE50667"
        assert bare.place("DE50667", "Cologne") == "Cologne"
        assert speaker("en").place("DE50667") == "Köln Altstadt, DE"
        assert bare.place("") == ""

    @pytest.mark.parametrize(
        ("minutes", "said"),
        [(0, "less than a minute"), (1, "1 minute"), (119, "119 minutes"), (120, "2 hours"),
         (47 * 60 + 59, "47 hours"), (48 * 60, "2 days"), (30 * 24 * 60, "30 days")],
    )  # fmt: skip
    def test_durations_are_said_in_one_unit(self, minutes: int, said: str) -> None:
        """Coarse enough to read, and never more than it is."""
        assert speaker().duration(minutes * MINUTE_NS) == said


class TestSince:
    def test_nothing_then_and_something_now(self) -> None:
        """What was not seen then has become known since."""
        now, as_of_ns = item_of(usual()[:2])
        said = changes_since(speaker(), None, now, as_of_ns=as_of_ns)
        assert said[1] == "Today it says: Accepted"
        assert [one.split(":")[0] for one in said[2:]] == [
            *("It happened before that, and became known only later",) * 2,
        ]

    def test_nothing_changed_is_nothing_said(self) -> None:
        """But for what was said, and is."""
        now, as_of_ns = item_of(usual())
        assert len(changes_since(speaker(), now, now, as_of_ns=as_of_ns)) == 2

    def test_a_correction_that_was_known_then_is_no_news(self) -> None:
        """Only what stood at the time counts as corrected since."""
        done = say("DELIVERED", 36, "DU")
        story = [*usual(), done, correct(done, WITHDRAWN, "CORRECTION", 40)]
        now, as_of_ns = item_of(story)
        assert len(changes_since(speaker(), now, now, as_of_ns=as_of_ns)) == 2
