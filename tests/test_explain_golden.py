"""What `parcel-ledger explain` prints, word for word, in three languages.

After a change of words look at what `python -m tests.test_explain_golden` writes, and commit it.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ledger.app.explain_render import explanation_lines
from ledger.facilities import built_in as facilities
from ledger.v1.item_service_pb2 import ExplainItemResponse
from ledger.v1.scan_event_pb2 import DeliveryMode, EventAction, EventReason, GeoPosition
from query.explanation import changes_since, explain_item, explain_nothing
from query.explanation_answers import put_explanation, put_sentences
from query.item_answers import put_item
from query.journey import Asked, Told, fold
from query.journey.rules import HOUR_NS
from query.texts import BUILT_IN, built_in
from tests.explainers import speaker
from tests.tellers import START_NS, notice, say

FOLDER = Path(__file__).parent / "explanations"
NUMBER = "RR473124829GB"
POST, CENTRE, UNIT = "DE50667", "DE15562", "DE10115"
DUTY = EventReason.EVENT_REASON_CUSTOMS_DUTY
HOME = EventReason.EVENT_REASON_NOBODY_HOME
LEFT = EventAction.EVENT_ACTION_NOTICE_LEFT
BERLIN: dict[str, Any] = {"utc_offset_minutes": 120}


def on_its_way() -> list[Told]:
    """Tell how an item came to its last centre."""
    return [
        notice("LABEL_CREATED", 0),
        say("ACCEPTED", 10, POST, **BERLIN),
        say("DEPARTED", 12, POST, next_facility=CENTRE, **BERLIN),
    ]


def out() -> list[Told]:
    """Tell it up to the tour."""
    return [
        *on_its_way(),
        say("ARRIVED", 20, CENTRE, **BERLIN),
        say("DEPARTED", 24, CENTRE, next_facility=UNIT, **BERLIN),
        say("ARRIVED", 30, UNIT, **BERLIN),
        say("OUT_FOR_DELIVERY", 42, UNIT, **BERLIN),
    ]


PORCH: dict[str, Any] = {"delivery_mode": DeliveryMode.DELIVERY_MODE_PORCH}
AT_UNIT: dict[str, Any] = {"position": GeoPosition(latitude=52.532, longitude=13.384)}
STORIES: dict[str, tuple[list[Told], float]] = {
    "no scan for nine days": (on_its_way(), 12 + 9 * 24),
    "nobody was there": (
        [*out(), say("DELIVERY_ATTEMPTED", 46, UNIT, reason=HOME, action=LEFT, **BERLIN)],
        50,
    ),
    "customs wants a payment": (
        [*on_its_way(), say("CUSTOMS_HELD", 30, CENTRE, reason=DUTY, **BERLIN)],
        60,
    ),
    "delivered at the depot": (
        [*out(), say("DELIVERED", 46, UNIT, **PORCH, **AT_UNIT, **BERLIN)],
        60,
    ),
}


def printed(language: str) -> str:
    """Print all stories."""
    tongue = speaker(language)
    parts = []
    for title, (told, hour) in STORIES.items():
        now_ns = START_NS + int(hour * HOUR_NS)
        parts.append(f"=== {title}\n{_said(language, told, now_ns)}")
    now_ns = START_NS + 60 * HOUR_NS
    parts.append(
        f"=== yesterday\n{_said(language, out(), now_ns, as_of_ns=START_NS + 22 * HOUR_NS)}"
    )
    out_ = ExplainItemResponse(language=language)
    put_explanation(out_, explain_nothing(tongue, NUMBER))
    parts.append(f"=== never seen\n{_text(out_, language)}")
    return "\n".join(parts)


def _said(language: str, told: list[Told], now_ns: int, as_of_ns: int | None = None) -> str:
    tongue = speaker(language)

    def coordinates(facility_id: str) -> tuple[float, float] | None:
        known = facilities().get(facility_id)
        return (known.latitude, known.longitude) if known else None

    then_ns = now_ns if as_of_ns is None else as_of_ns
    known = [one for one in told if one.scan_time_ns <= then_ns and one.event.facility != CENTRE]
    item = fold(told if as_of_ns is None else known, Asked(then_ns, coordinates=coordinates))
    now = fold(told, Asked(now_ns, coordinates=coordinates))
    assert item
    out_ = ExplainItemResponse(language=language)
    put_item(out_.answer, item, {}, timeline=False)
    put_explanation(out_, explain_item(tongue, item, now_ns=then_ns))
    if as_of_ns is not None:
        put_sentences(out_.changes, changes_since(tongue, item, now, as_of_ns=as_of_ns))
    return _text(out_, language)


def _text(found: ExplainItemResponse, language: str) -> str:
    console = Console(file=io.StringIO(), width=100, highlight=False)
    for line in explanation_lines(NUMBER, found, built_in().choose(language)):
        console.print(line)
    assert isinstance(console.file, io.StringIO)
    return "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().splitlines())


@pytest.mark.parametrize("language", BUILT_IN)
def test_the_words_are_those_that_were_agreed(language: str) -> None:
    """Nobody changes what people read without seeing it in a review."""
    assert printed(language) == (FOLDER / f"{language}.txt").read_text("utf-8")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for tag in BUILT_IN:
        (FOLDER / f"{tag}.txt").write_text(printed(tag), "utf-8")
