"""What is answered of an item depends on its events alone, not on how they came."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.v1.item_service_pb2 import ItemView
from query.journey.rules import DAY_NS
from tests.item_doors import Clock, get, item_door, put
from tests.scale import scaled
from tests.tellers import START_NS
from tests.test_journey_properties import story

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from ledger.v1.item_pb2 import Item
    from query.journey import Told
    from tests.asking import Asked

MANY = settings(max_examples=scaled(100, soak=5_000), deadline=None)
NUMBERS = itertools.count()


class Running:
    """An open door, and the loop that it runs in."""

    def __init__(self, runner: asyncio.Runner, door: Asked) -> None:
        self._runner = runner
        self._door = door

    def item(self, told: list[Told], then: list[Told]) -> tuple[Item, str]:
        """Keep events under a number of their own, in two steps; give what the timeline says of it,
        and that number.
        """
        number = f"AB{next(NUMBERS):08}"

        async def ask() -> Item:
            await put(self._door, told, number)
            await put(self._door, then, number)
            answer = await get(self._door, tracking_number=number, view=ItemView.ITEM_VIEW_TIMELINE)
            return answer.item

        return self._runner.run(ask()), number


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """A door for all examples: each has numbers of its own."""
    clock = Clock()
    clock.ns = START_NS + 500 * DAY_NS
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        tempfile.TemporaryDirectory() as folder,
        asyncio.Runner() as runner,
    ):
        opened = item_door(Path(folder), clock, monkeypatch)
        yield Running(runner, runner.run(opened.__aenter__()))
        runner.run(opened.__aexit__(None, None, None))


@MANY
@given(told=story(), shuffle=st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_nothing(
    running: Running, told: list[Told], shuffle: random.Random
) -> None:
    """Events, conflicts and corrections that come in any order, at once or later, some of them
    twice, are one answer, to the byte.
    """
    again = told + shuffle.sample(told, len(told) // 2)
    shuffle.shuffle(again)
    cut = shuffle.randint(0, len(again))

    one, number = running.item(told, [])
    other, its_number = running.item(again[:cut], again[cut:])

    said = one.SerializeToString(deterministic=True)
    assert said == other.SerializeToString(deterministic=True).replace(
        its_number.encode(), number.encode()
    )
