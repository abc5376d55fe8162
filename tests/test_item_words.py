"""Every value of an item has words, and they are shown in colours where there are any."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.duration_pb2 import Duration

from ledger.app.item_render import item_lines, items_table
from ledger.app.item_words import (
    PRESENCE_WORDS,
    ItemWords,
    confidence_words,
    item_words,
    mode_words,
)
from ledger.v1 import item_pb2 as pb
from ledger.v1.item_service_pb2 import ItemAnswer
from ledger.v1.scan_event_pb2 import ScanEvent, ScanEventType
from query.texts import built_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ENGLISH = ItemWords(built_in().choose("en"))


@pytest.mark.parametrize(
    ("said", "enum"),
    [
        (ENGLISH.milestone, pb.Milestone),
        (ENGLISH.leg, pb.LegKind),
        (ENGLISH.flag, pb.ItemFlag),
        (ENGLISH.doubt, pb.ItemDoubt),
        (ENGLISH.weakness, pb.DeliveryWeakness),
        (lambda number: PRESENCE_WORDS[number], pb.Presence),
        (lambda number: ENGLISH.event(ScanEvent(type=number), None), ScanEventType),
    ],
)
def test_every_value_has_words(said: Callable[[int], str], enum: Any) -> None:  # noqa: ANN401
    """Each its own; a value that is added gets its words with it."""
    unsaid = {0, pb.DELIVERY_WEAKNESS_MANY_BESIDE if enum is pb.DeliveryWeakness else 0}
    words = [said(number) for number in enum.values() if number not in unsaid]
    assert all(words)
    assert not any(word.split()[-1].isdigit() for word in words)
    assert len(set(words)) == len(words)


def test_an_operators_own_words_are_those_of_a_status_too(tmp_path: Path) -> None:
    """Status and explanation are said from one file, so that who changes it changes both."""
    (tmp_path / "en.ini").write_text("[flag HELD]\nheadline = In the back room\n")

    assert item_words(tmp_path).flag(pb.ITEM_FLAG_HELD) == "In the back room"
    assert item_words(None).flag(pb.ITEM_FLAG_HELD) == "Held"


def test_a_value_of_a_newer_server_is_shown_by_its_number() -> None:
    """And does not break what else is shown."""
    item = pb.Item(flags=[99], doubts=[99])  # type: ignore[list-item] # From a newer wire.
    lines = [str(line) for line in item_lines(ItemAnswer(tracking_number="N", item=item), ENGLISH)]

    assert ENGLISH.milestone(99) == "status 99"
    assert ENGLISH.event(ScanEvent(type=99), None).startswith("Message without a translation")  # type: ignore[arg-type]
    assert "! flag 99" in lines
    assert "- doubt 99" in lines


def test_milestones_have_colours() -> None:
    """What is well is green, what is lost is red, in a list and alone."""
    for milestone, colour in ((pb.MILESTONE_DELIVERED, "green"), (pb.MILESTONE_LOST, "red")):
        answer = ItemAnswer(tracking_number="N", item=pb.Item(milestone=milestone))
        title = next(iter(item_lines(answer, ENGLISH)))
        [cell] = list(items_table([answer], ENGLISH).columns[1].cells)

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
    assert ENGLISH.duration(Duration(seconds=seconds)) == words


def test_names_are_plain_words() -> None:
    """Where explanations have none: those of the wire, without prefix and underscores."""
    assert confidence_words(pb.DELIVERY_CONFIDENCE_LOW) == "low"
    assert mode_words(8) == "safe place"
    assert mode_words(0) == ""
