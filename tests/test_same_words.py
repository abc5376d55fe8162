"""What people read about an item says the same everywhere: in its status, and in explanations."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from ledger.app.explain_render import explanation_lines
from ledger.app.item_render import agent_lines, item_lines, items_table
from ledger.app.item_words import ItemWords, item_words
from ledger.app.place_render import known_of
from ledger.v1.item_service_pb2 import ExplainItemRequest, ExplainItemResponse, ItemView
from ledger.v1.scan_event_pb2 import EventReason, GeoPosition, Place
from query.texts import built_in
from tests.bags import put_in, see, take_out
from tests.explainers import explained
from tests.item_doors import Clock, item_door, put
from tests.tellers import notice, read, say, usual
from tests.trails import NUMBER, timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from rich.table import Table
    from rich.text import Text

    from query.journey import Told

HELD, READY = "CUSTOMS_HELD", "READY_FOR_PICKUP"
SHOWN = say("CUSTOMS_PRESENTED", 15, "SC")


@pytest.mark.parametrize(
    ("story", "headline", "where"),
    [
        ([*usual()[:4], SHOWN], "With customs or security: SC", "SC"),
        ([*usual()[:4], SHOWN, notice(HELD, 18)], "With customs or security: SC", "SC"),
        ([*usual()[:4], SHOWN, notice(HELD, 18, "SC")], "With customs or security: SC", "SC"),
        ([*usual()[:4], SHOWN, notice(HELD, 18, "ZOLL")], "With customs or security", "SC"),
        ([*usual()[:3], notice(HELD, 18, "SC")], "With customs or security", "PO"),
        ([*usual()[:1], notice(HELD, 18, "SC")], "With customs or security", ""),
        ([*usual()[:7], notice(READY, 36, "SHOP")], "Ready to be fetched", "DU"),
        ([*usual()[:7], say(READY, 36, "SHOP")], "Ready to be fetched: SHOP", "SHOP"),
        ([*usual()[:4], say("HELD", 18, "SC")], "Waiting: SC", "SC"),
    ],
    ids=[
        *("seen there", "held somewhere", "held there", "held elsewhere", "on its way", "unseen"),
        *("announced at a shop", "seen at a shop", "kept"),
    ],
)
def test_nobody_is_told_two_places(story: list[Told], headline: str, where: str) -> None:
    """A headline names the place where the status has it: that of the newest scan apart from
    notices. A notice of another place is among the facts, with its own place, and moves nothing.
    """
    found = explained(story)
    last = story[-1].event

    assert read(story).where.facility == where
    assert found.status.headline == headline
    if last.capture_method and last.facility:
        [said] = [one for one in found.sentences if one.startswith("Last notice")]
        assert f", {last.facility}, " in said


def as_read(found: ExplainItemResponse, language: str) -> str:
    """Give an explanation as a person reads it, each sentence a line."""
    lines = explanation_lines(NUMBER, found, built_in().choose(language))
    return "\n".join(str(getattr(line, "renderable", line)) for line in lines)


@pytest.mark.parametrize(
    ("language", "title"),
    [
        ("en", "Arrived: B (with TRUCK8)"),
        ("de", "Angekommen: B (mit TRUCK8)"),
        ("es", "Ha llegado: B (con TRUCK8)"),
    ],
)
async def test_an_inherited_event_names_its_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str, title: str
) -> None:
    """On the wire with the whole way down to it, as in `ItemEvent`; on the screen the one that was
    scanned; and also where it is told that something became known later.
    """
    way = [
        see(NUMBER, "ACCEPTED", -9, "A"),
        put_in(NUMBER, "BAG7", -8),
        put_in("BAG7", "TRUCK8", -7),
    ]
    view = ItemView.ITEM_VIEW_TIMELINE
    request = ExplainItemRequest(tracking_number=NUMBER, view=view, language=language)
    async with item_door(tmp_path, Clock(), monkeypatch) as door:
        await put(door, way)
        then = timestamp(await door.shelf.settle())
        await put(door, [see("TRUCK8", "ARRIVED", -2, "B")])
        found = await door.items.ExplainItem(request)
        request.as_of_time.CopyFrom(then)
        past = await door.items.ExplainItem(request)

    inside = [list(one.container_keys) for one in found.events]
    assert inside == [[], [], ["BAG7"], ["BAG7", "TRUCK8"]]
    assert inside == [list(one.container_keys) for one in found.answer.item.events]
    assert title in as_read(found, language)
    what, _, where = title.partition(": B")
    assert f": {what}{where}, B, " in past.changes[-1]


def on_screen(lines: Iterable[Text | Table]) -> str:
    """Give what is printed of an item."""
    console = Console(file=io.StringIO(), width=400, highlight=False)
    for line in lines:
        console.print(line)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


async def test_a_status_says_what_its_explanation_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The milestone, the way, flags, doubts, events with their reasons, and what speaks against a
    delivery: an agent who reads `status` and `agent` uses the words that the customer reads.
    """
    closed = EventReason.EVENT_REASON_BUSINESS_CLOSED
    story = [
        *usual()[3:],
        say("DELIVERY_ATTEMPTED", 34, "DU", reason=closed),
        say("RETURN_STARTED", 36, "DU"),
        say("RETURNED", 38, "PO"),
        say("SORTED", 39.9, "SC"),
    ]
    words = item_words(None)
    view = ItemView.ITEM_VIEW_TIMELINE
    async with item_door(tmp_path, Clock(), monkeypatch) as door:
        await put(door, story)
        found = await door.items.ExplainItem(ExplainItemRequest(tracking_number=NUMBER, view=view))
    status = on_screen(item_lines(found.answer, words))
    agent = on_screen(agent_lines(found.answer, words))

    title = status.splitlines()[0]
    assert title == f"{NUMBER}  {found.status.headline}"
    assert {one.name for one in found.beside} == {"RETURN"}
    assert all(one.headline in status for one in found.beside)
    doubts = [f"- {one.headline}. {one.meaning}" for one in found.doubts]
    assert len(doubts) > 1
    assert status.splitlines()[-len(doubts) :] == doubts
    assert all(f"- {one}" in agent.splitlines() for one in found.delivery_weaknesses)
    assert found.delivery_weaknesses
    for one in found.events:
        assert one.explanation.headline.partition(":")[0] in status
    assert "(The business was closed)" in status


@pytest.mark.parametrize(
    ("language", "inside"),
    [
        ("en", "lies in BAG7, which lies in TRUCK8."),
        ("de", "liegt in BAG7 in TRUCK8."),
        ("es", "dentro de BAG7, que va dentro de TRUCK8."),
    ],
)
async def test_both_say_in_what_it_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str, inside: str
) -> None:
    """The nearest first; and nothing once it was taken out."""
    async with item_door(tmp_path, Clock(), monkeypatch) as door:
        await put(door, [put_in(NUMBER, "BAG7", 2), put_in("BAG7", "TRUCK8", 3)])
        request = ExplainItemRequest(tracking_number=NUMBER, language=language)
        found = await door.items.ExplainItem(request)
        await put(door, [take_out(NUMBER, "BAG7", 5)])
        out = await door.items.ExplainItem(request)

    words = ItemWords(built_in().choose(language))
    [fact] = [one for one in found.facts if inside in one]
    assert fact in on_screen(item_lines(found.answer, words)).splitlines()
    assert not any("BAG7" in one for one in out.facts)


async def test_both_say_that_nobody_saw_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a sentence and in a list; and that a digit of the number is wrong, where one is: it was
    most likely typed so.
    """
    words = item_words(None)
    async with item_door(tmp_path, Clock(), monkeypatch) as door:
        request = ExplainItemRequest(tracking_number="RR473124828GB")
        wrong = await door.items.ExplainItem(request)
        request.tracking_number = "RR473124829GB"
        right = await door.items.ExplainItem(request)

    for found in (wrong, right):
        alone = on_screen(item_lines(found.answer, words))
        listed = on_screen([items_table([found.answer], words)])
        assert alone.startswith(found.facts[0])
        assert found.status.headline in listed
        flags = [one.headline for one in found.beside]
        assert flags == (["The number has a wrong check digit"] if found is wrong else [])
        assert all(one in alone for one in flags)
        assert ("number explain" in alone) == bool(flags)


async def test_both_call_a_place_by_one_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The facility's, also where a source has words of its own for it; these, where it is not
    known; and where there is nothing but a position, that.
    """
    hall = Place(name="Hall 4")
    story = [
        say("ACCEPTED", 1, "DE10115", place=hall),
        say("SORTED", 2, "NEW1", place=hall),
        say("ARRIVED", 3, "DE60313", place=hall),
        notice("INFO", 4, position=GeoPosition(latitude=52.5, longitude=13.25)),
    ]
    view = ItemView.ITEM_VIEW_TIMELINE
    async with item_door(tmp_path, Clock(), monkeypatch) as door:
        await put(door, story)
        found = await door.items.ExplainItem(ExplainItemRequest(tracking_number=NUMBER, view=view))
    known = known_of(found.facilities)
    status = on_screen(item_lines(found.answer, item_words(None), known))

    places = [one.place for one in found.events if one.place]
    assert places[1] == "Hall 4"
    assert places[2] in found.status.headline
    assert "Hall 4" not in places[0] + places[2]
    assert all(f" · {one}" in status for one in places)
    assert f"At DE60313 · {places[2]}" in status
    assert status.count("Hall 4") == 1
    assert "52.5000, 13.2500" in status
