"""A ledger to ask about items: its clock is the test's, and it shows at once all that it has."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ledger.v1.item_service_pb2 import GetItemRequest
from query import progress_view
from query.journey.rules import HOUR_NS
from tests.asking import asked
from tests.tellers import START_NS
from tests.trails import NUMBER, Arrival

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    import pytest

    from ledger.v1.item_service_pb2 import GetItemResponse, ItemAnswer
    from query.journey import Told
    from tests.asking import Asked

OTHER = "9400111206206406260787"
"""Another number of the same item, where an alias says so."""


class Clock:
    """The server's clock, which the test sets; at first some hours after the usual story."""

    def __init__(self) -> None:
        self.ns = START_NS + 40 * HOUR_NS

    def __call__(self) -> int:
        return self.ns


@asynccontextmanager
async def item_door(
    folder: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Asked]:
    """Open a door to an empty ledger."""
    monkeypatch.setattr(progress_view, "MARKS_AGE_MAX_S", 0.0)
    async with asked(folder / "ledger", now_ns=clock) as opened:
        yield opened


async def put(door: Asked, told: Iterable[Told], number: str = "") -> None:
    """Keep what is told."""
    await door.shelf.put(*(Arrival(one.event, one.source_id, number) for one in told))


async def whole(door: Asked, **fields: object) -> GetItemResponse:
    """Ask for the usual number, unless the fields say otherwise."""
    request = GetItemRequest(**{"tracking_number": NUMBER, **fields})  # type: ignore[arg-type]
    return await door.items.GetItem(request)


async def get(door: Asked, **fields: object) -> ItemAnswer:
    """Give the answer alone."""
    return (await whole(door, **fields)).answer


def hour(number: float) -> int:
    """Give an hour of a story in seconds since 1970."""
    return (START_NS + int(number * HOUR_NS)) // 1_000_000_000
