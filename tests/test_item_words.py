"""Every value of an item has words, and they are shown in colours where there are any."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from ledger.app.item_render import item_lines, items_table
from ledger.app.item_words import (
    DOUBT_WORDS,
    FLAG_WORDS,
    MILESTONE_WORDS,
    PRESENCE_WORDS,
    WEAKNESS_WORDS,
    confidence_words,
    duration_words,
    leg_words,
    milestone_words,
    mode_words,
)
from ledger.v1 import item_pb2 as pb
from ledger.v1.item_service_pb2 import ItemAnswer
from query.texts import built_in


@pytest.mark.parametrize(
    ("words", "enum"),
    [
        (FLAG_WORDS, pb.ItemFlag),
        (DOUBT_WORDS, pb.ItemDoubt),
        (WEAKNESS_WORDS, pb.DeliveryWeakness),
        (PRESENCE_WORDS, pb.Presence),
    ],
)
def test_every_value_has_words(words: dict[int, str], enum: Any) -> None:  # noqa: ANN401
    """A value that is added gets its words with it."""
    assert words.keys() == set(enum.values()) - {0}


def test_status_and_explanations_have_the_same_words() -> None:
    """An agent who reads `status` says what the customer reads: each milestone, each flag."""
    english = built_in().choose("en")

    def headline(section: str) -> str:
        words = english.fill(section, "headline", {})
        return words[:1].lower() + words[1:]

    milestones: dict[int, str] = {
        number: headline(f"status {name.removeprefix('MILESTONE_')}")
        for name, number in pb.Milestone.items()
        if number
    }
    flags: dict[int, str] = {
        number: headline(f"flag {name.removeprefix('ITEM_FLAG_')}")
        for name, number in pb.ItemFlag.items()
        if number
    }
    assert milestones | {0: headline("status NONE")} == MILESTONE_WORDS
    assert flags == FLAG_WORDS


def test_a_value_of_a_newer_server_is_shown_by_its_number() -> None:
    """And does not break what else is shown."""
    item = pb.Item(flags=[99], doubts=[99])  # type: ignore[list-item] # From a newer wire.
    lines = [str(line) for line in item_lines(ItemAnswer(tracking_number="N", item=item))]

    assert milestone_words(99) == "milestone 99"
    assert "! flag 99" in lines
    assert "- doubt 99" in lines


def test_milestones_have_colours() -> None:
    """What is well is green, what is lost is red, in a list and alone."""
    for milestone, colour in ((pb.MILESTONE_DELIVERED, "green"), (pb.MILESTONE_LOST, "red")):
        answer = ItemAnswer(tracking_number="N", item=pb.Item(milestone=milestone))
        title = next(iter(item_lines(answer)))
        [cell] = list(items_table([answer]).columns[1].cells)

        assert f"bold {colour}" in {str(span.style) for span in title.spans}  # type: ignore[union-attr]
        assert cell.style == f"bold {colour}"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "less than a minute"),
        (60, "1 minute"),
        (7_199, "119 minutes"),
        (7_200, "2 hours"),
        (172_799, "47 hours"),
        (172_800, "2 days"),
    ],
)
def test_a_duration_is_said_as_explanations_say_it(seconds: int, words: str) -> None:
    """In the largest unit that is not too coarse: 41 hours are not one day."""
    assert duration_words(Duration(seconds=seconds)) == words


def test_names_are_plain_words() -> None:
    """Those of the wire, without prefix and underscores."""
    assert milestone_words(pb.MILESTONE_OUT_FOR_DELIVERY) == "out for delivery"
    assert leg_words(pb.LEG_KIND_RETURN) == "return"
    assert confidence_words(pb.DELIVERY_CONFIDENCE_LOW) == "low"
    assert mode_words(8) == "safe place"
    assert mode_words(0) == ""
