"""`parcel-ledger contents`, and items in containers as `status` shows them."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from ledger.app.exits import DONE, FAILED
from ledger.app.item_render import item_lines
from ledger.app.item_words import item_words
from tests.bags import empty, put_in, see
from tests.item_doors import get, put
from tests.shells import typed
from tests.trails import NUMBER

pytestmark = pytest.mark.usefixtures("clock")  # The door has it.

if TYPE_CHECKING:
    from tests.asking import Asked
    from tests.shells import Said

BAG, TRUCK = "BAG1", "TRUCK1"
STORY = [
    put_in(NUMBER, BAG, 2, "DE10115"),
    put_in("A2", BAG, 3, "DE10115"),
    put_in(BAG, TRUCK, 4, "DE10115"),
    see(TRUCK, "ARRIVED", 9, "DE60313"),
]


@pytest.fixture
async def door(door: Asked) -> Asked:
    """A door to a ledger with a bag in a truck."""
    await put(door, STORY)
    return door


async def ask(door: Asked, *tokens: str) -> Said:
    """Type a command beside the server."""
    return await asyncio.to_thread(typed, *tokens, "--server", door.listen)


async def test_a_bag_is_listed(door: Asked) -> None:
    """When and where each item was put in, with the facility by name."""
    said = await ask(door, "contents", "bag-1")

    assert said.code == DONE
    title, _, head, first, second = said.answer.splitlines()
    assert title.startswith("BAG1  2 items lie in it at ")
    assert head.split()[:3] == ["item", "put", "in,"]
    assert first.startswith(NUMBER)
    assert "DE10115 · Berlin Mitte" in first
    assert second.startswith("A2")


async def test_what_lay_in_it_is_listed(door: Asked) -> None:
    """At a moment; where nothing did, and where nothing is known, that is said."""
    await put(door, [empty(BAG, 10, "DE60313")])

    now = await ask(door, "contents", BAG)
    then = await ask(door, "contents", BAG, "--at", "2026-09-21T18:00:00Z", "--json")
    never = await ask(door, "contents", "BAG2")
    odd = await ask(door, "contents", BAG, "--at", "yesterday")

    assert "nothing lies in it" in now.answer
    document = json.loads(then.answer)
    assert [one["tracking_key"] for one in document["items"]] == [NUMBER, "A2"]
    assert document["items"][0]["put_in"]["event"]["facility"] == "DE10115"
    assert never.answer == "Nothing has been recorded for BAG2.\n"
    assert odd.code != DONE
    assert "--at" in odd.remark


async def test_status_says_in_what_an_item_lies(door: Asked) -> None:
    """And which scans are those of what it lies in."""
    answer = await get(door, view=2)

    lines = "\n".join(
        line.plain for line in item_lines(answer, item_words(None)) if hasattr(line, "plain")
    )

    assert "It lies in BAG1, which lies in TRUCK1." in lines


def test_without_a_ledger_one_line_says_so() -> None:
    """As with other questions."""
    assert typed("contents", BAG, "--server", "127.0.0.1:1").code == FAILED
