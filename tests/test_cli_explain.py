"""`parcel-ledger explain`: in the language that was asked for, for a person and for a program."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

import pytest

from ledger.app.exits import DONE, FAILED, REFUSED
from ledger.app.explain_render import explanation_lines
from ledger.v1.item_service_pb2 import ExplainItemResponse
from query.journey.rules import HOUR_NS
from query.texts import built_in
from tests.item_doors import Clock, item_door, put
from tests.shells import ledger_up, typed
from tests.tellers import START_NS, notice, say, usual
from tests.trails import NUMBER

if TYPE_CHECKING:
    from pathlib import Path


async def test_it_is_told_in_the_language_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Headings and sentences alike; with --events every event too; and nothing of a source's text
    moves the terminal's cursor.
    """
    odd = notice("INFO", 34, code_system="acme", source_code="X", source_text="\x1b[2J evil")
    async with item_door(tmp_path, Clock(), monkeypatch) as door:
        await put(door, [*usual(), odd])
        at = ("--server", door.listen)
        german = await asyncio.to_thread(typed, "explain", NUMBER, "--language", "de", *at)
        events = await asyncio.to_thread(typed, "explain", NUMBER, "--events", *at)

    assert german.code == DONE
    lines = german.answer.splitlines()
    assert lines[:4] == [NUMBER, "In Zustellung", "", "Was das bedeutet"]
    assert lines[4].startswith("  Die Sendung ")
    assert "Was geschah" not in german.answer
    assert "What happened, and what it means" in events.answer
    assert "· Out for delivery: DU" in events.answer
    assert "evil" in events.answer
    assert "\x1b" not in events.answer


async def test_a_program_gets_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One JSON document with the item and its words; a number that nobody saw is an answer."""
    async with item_door(tmp_path, Clock(), monkeypatch) as door:
        await put(door, usual()[:2])
        at = ("--json", "--server", door.listen)
        found = await asyncio.to_thread(typed, "explain", NUMBER, *at)
        unseen = await asyncio.to_thread(typed, "explain", "RR473124829GB", *at)
        bad = await asyncio.to_thread(typed, "explain", " ", *at)

    document = json.loads(found.answer)
    assert document["language"] == "en"
    assert document["status"]["name"] == "ACCEPTED"
    assert document["status"]["party"] == "CONTACT_PARTY_CARRIER"
    assert document["answer"]["item"]["milestone"] == "MILESTONE_ACCEPTED"
    assert unseen.code == DONE
    assert json.loads(unseen.answer)["status"]["name"] == "NOT_YET_SEEN"
    assert bad.code == REFUSED


async def test_then_and_now_stand_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --as-of the answer is of then, and says what is said today and what came since."""
    async with item_door(tmp_path, Clock(), monkeypatch) as door:
        door.shelf.now_ns = START_NS + 22 * HOUR_NS
        await put(door, usual()[:6])
        then_ns = await door.shelf.settle()
        await put(door, [*usual()[6:], say("SORTED", 17, "SC", name="late")])
        seconds, nanos = divmod(then_ns, 1_000_000_000)
        moment = f"{asctime(seconds)}.{nanos:09d}Z"
        said = await asyncio.to_thread(
            typed, "explain", NUMBER, "--as-of", moment, "--server", door.listen
        )

    lines = said.answer.splitlines()
    assert lines[1] == "In transit: SC"
    assert lines[2].startswith("  This is what the ledger said on ")
    assert lines[3] == "  Today it says: Out for delivery"
    assert any("became known only later: Sorted, SC" in line for line in lines)


def asctime(seconds: int) -> str:
    """Give a time as people type it, without its fraction."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


@pytest.mark.parametrize(("oversized", "said"), [(True, "too long"), (False, "quarantine")])
def test_what_cannot_be_explained_says_why(oversized: bool, said: str) -> None:
    """A trail that is too long to fold, and one of which everything lies in quarantine."""
    found = ExplainItemResponse(language="en")
    found.answer.oversized = oversized
    (line,) = explanation_lines(NUMBER, found, built_in().choose("en"))
    assert said in str(line)


def test_a_process_does_not_start_with_bad_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one line names file, line and reason; no folder is made."""
    (tmp_path / "de.ini").write_text("[event HELD]\nheadline = {place} wartet\n")
    monkeypatch.setenv("PARCEL_LEDGER_TEXTS", str(tmp_path))

    said = typed("up", "--data", tmp_path / "data", "--listen", "127.0.0.1:0", "--metrics", "")

    assert said.code == FAILED
    assert "de.ini cannot be used: line 2: " in said.remark
    assert not (tmp_path / "data").exists()


@pytest.mark.slow
def test_an_operators_own_words_are_said(tmp_path: Path) -> None:
    """A running ledger reads the folder that it was started with."""
    own = tmp_path / "own"
    own.mkdir()
    (own / "de.ini").write_text("[ask sender]\nask = Fragen kostet nichts.\n")
    with ledger_up(tmp_path, "--texts", str(own)) as ledger:
        said = typed("explain", NUMBER, "--language", "de", "--server", ledger.address)

    assert said.code == DONE
    assert "  Fragen kostet nichts." in said.answer.splitlines()
