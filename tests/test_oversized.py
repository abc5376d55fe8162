"""Trails that are too long, or nearly: what is oversized, how it is walked, who has to wait."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import grpc
import pytest

from ledger.errors import Busy
from ledger.numbers import filing_key
from ledger.v1.trail_service_pb2 import TrailOrder, WatchTrailRequest
from query import listing, reading
from query.progress_view import Shown
from query.reading import LONG_READS_MAX, SHORT_ROWS, WHOLE_ROWS_MAX, TrailReader
from tests.asking import failing
from tests.trails import NUMBER, at_minute, event_id, positions, scan, timestamp

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ledger.v1.trail_service_pb2 import TrailEntry
    from tests.asking import Asked

RECORDED = TrailOrder.TRAIL_ORDER_RECORDED
SCAN_TIME = TrailOrder.TRAIL_ORDER_SCAN_TIME


async def walk(door: Asked, **fields: object) -> list[TrailEntry]:
    """Join the pages of a trail."""
    return [entry async for page in door.pages(**fields) for entry in page.entries]


def minutes(entries: Sequence[TrailEntry]) -> list[int]:
    """Give the minutes of events."""
    start_s = at_minute(0).seconds
    return [(entry.event.scan_time.seconds - start_s) // 60 for entry in entries]


def counted(entries: Iterable[TrailEntry]) -> list[tuple[bytes, int]]:
    """Give the ids of events, and how many further copies each has."""
    return [(entry.event.event_id, entry.marks.duplicate_count) for entry in entries]


async def test_5000_records_are_read_whole(door: Asked) -> None:
    """The limit itself is not oversized; one more is."""
    await door.shelf.put(*(scan(i, minute=i) for i in range(WHOLE_ROWS_MAX)))
    before = await door.list()
    await door.shelf.put(scan("one more"))
    await door.shelf.settle()
    after = await door.list(as_of_time=timestamp(door.shelf.now_ns))

    assert (before.oversized, after.oversized) == (False, True)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("size", [700, 1_000])
async def test_it_is_walked_by_scan_time(door: Asked, descending: bool, size: int) -> None:
    """Every event once and in order; copies and conflicts of one scan time are known."""
    count = WHOLE_ROWS_MAX + 500
    await door.shelf.put(*(scan(i, minute=i) for i in range(count)))
    await door.shelf.put(*(scan(i, minute=i) for i in range(0, count, 10)))
    await door.shelf.put(*(scan(i, minute=i, facility="X") for i in range(0, count, 100)))

    walked = await walk(door, page_size=size, descending=descending)

    expected = sorted([*range(count), *range(0, count, 100)], reverse=descending)
    assert minutes(walked) == expected
    assert len(set(positions(walked))) == len(walked)
    assert sum(entry.marks.duplicate_count for entry in walked) == count // 10
    assert sum(entry.marks.conflict for entry in walked) == 2 * (count // 100)


async def test_a_range_of_it_is_walked(door: Asked) -> None:
    """Start is included, end is not, also where the trail is read in stretches."""
    await door.shelf.put(*(scan(i, minute=i) for i in range(WHOLE_ROWS_MAX + 1)))
    fields = {"start_time": at_minute(1_000), "end_time": at_minute(1_500), "page_size": 100}

    up = await walk(door, **fields)
    down = await walk(door, **fields, descending=True)

    assert minutes(up) == list(range(1_000, 1_500))
    assert minutes(down) == list(range(1_499, 999, -1))


async def test_it_has_no_order_of_recording(door: Asked) -> None:
    """What cannot be sorted whole is not pretended to be."""
    await door.shelf.put(*(scan(i, minute=i) for i in range(WHOLE_ROWS_MAX + 1)))

    with failing() as failures:
        await door.list(order=RECORDED)

    assert failures[0].code is grpc.StatusCode.FAILED_PRECONDITION
    assert failures[0].reason == "TRAIL_OVERSIZED"


async def test_an_old_answer_stays_whole(door: Asked) -> None:
    """As of a time when it was short, a trail is not oversized, however long it is now."""
    await door.shelf.put(scan("old", minute=9_999))
    then = await door.shelf.settle()
    await door.shelf.put(*(scan(i, minute=i) for i in range(2 * WHOLE_ROWS_MAX)))

    answer = await door.list(as_of_time=timestamp(then))

    assert not answer.oversized
    assert [entry.event.event_id for entry in answer.entries] == [event_id("old")]


@pytest.mark.parametrize("order", [SCAN_TIME, RECORDED])
async def test_what_comes_later_changes_no_old_answer(
    door: Asked, monkeypatch: pytest.MonkeyPatch, order: TrailOrder.ValueType
) -> None:
    """As of a time, and on page 2, many times what is read at once is looked through."""
    monkeypatch.setattr(reading, "WHOLE_ROWS_MAX", 50)
    monkeypatch.setattr(reading, "REST_ROWS", 100)
    monkeypatch.setattr(reading, "LONG_ROWS", 500)
    await door.shelf.put(*(scan(i, minute=9_999 - i) for i in range(50)))
    then = await door.shelf.settle()
    fields = {"as_of_time": timestamp(then), "order": order}
    before = await door.list(**fields)
    first = await door.list(page_size=1, order=order)

    await door.shelf.put(*(scan(("new", i), minute=i) for i in range(5_000)))

    token = first.next_page_token
    rest = await door.list(page_size=99, order=order, page_token=token)
    assert await door.list(**fields) == before
    assert not before.oversized
    assert len(before.entries) == 50
    assert [*first.entries, *rest.entries] == list(before.entries)
    assert not rest.oversized


async def test_a_look_has_an_end(door: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes too long to look through is asked for again, and never another answer."""
    await door.shelf.put(scan("old", minute=9_999))
    then = await door.shelf.settle()
    before = await door.list(as_of_time=timestamp(then))
    await door.shelf.put(*(scan(i, minute=i) for i in range(2 * SHORT_ROWS)))

    with monkeypatch.context() as patch, failing() as failures:
        patch.setattr(reading, "LOOK_S", 0.0)
        await door.list(as_of_time=timestamp(then))

    assert failures[0].code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert failures[0].reason == "TRAIL_TOO_LONG_FOR_NOW"
    assert failures[0].retry
    assert await door.list(as_of_time=timestamp(then)) == before


async def test_endless_looks_are_few(door: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those that look long, one too many is Busy; the place is free again afterwards."""
    monkeypatch.setattr(reading, "ENDLESS_PLACES", 1)
    monkeypatch.setattr(reading, "REST_ROWS", 10)
    monkeypatch.setattr(reading, "LONG_ROWS", 20)
    await door.shelf.put(*(scan(i, minute=i) for i in range(2 * SHORT_ROWS)))
    reader = TrailReader(door.shelf.store, monotonic=time.monotonic)
    keys = [filing_key(NUMBER)]

    together = await asyncio.gather(
        *(reader.item(keys, Shown({}, {})) for _ in range(LONG_READS_MAX)), return_exceptions=True
    )
    alone = await reader.item(keys, Shown({}, {}))

    assert alone.whole == ([(keys[0], [])], {})
    assert [answer for answer in together if not isinstance(answer, Busy)] == [alone]


async def test_endless_copies_end(door: Asked) -> None:
    """Thousands of copies of one event are one entry, and do not make a trail too long."""
    await door.shelf.put(*[scan("a", minute=1)] * (WHOLE_ROWS_MAX + 1), scan("b", minute=2))
    expected = [(event_id("a"), WHOLE_ROWS_MAX), (event_id("b"), 0)]

    for order in (SCAN_TIME, RECORDED):
        assert counted((await door.list(order=order)).entries) == expected
    for descending in (False, True):
        pages = [page async for page in door.pages(page_size=1, descending=descending)]
        assert not any(page.oversized for page in pages)
        walked = [entry for page in pages for entry in page.entries]
        assert counted(walked) == (expected[::-1] if descending else expected)
    async for sent in door.trails.WatchTrail(WatchTrailRequest(tracking_number=NUMBER)):
        assert counted(sent.entries) == expected
        break


@pytest.mark.parametrize("descending", [False, True])
async def test_endless_copies_in_a_long_trail(door: Asked, descending: bool) -> None:
    """Where a trail is read in stretches, copies that none of them holds are one entry as well."""
    await door.shelf.put(*(scan(i, minute=i) for i in range(WHOLE_ROWS_MAX + 1)))
    await door.shelf.put(*[scan(300, minute=300)] * (WHOLE_ROWS_MAX + 1))
    fields = {"start_time": at_minute(298), "end_time": at_minute(303), "descending": descending}

    first = await door.list(**fields, page_size=2)
    walked = await walk(door, **fields, page_size=2)

    expected = [(event_id(i), (WHOLE_ROWS_MAX + 1) * (i == 300)) for i in range(298, 303)]
    assert first.oversized
    assert counted(walked) == (expected[::-1] if descending else expected)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("size", [1, 3, 7, 100])
async def test_pages_of_a_long_trail_are_those_below_the_pins(
    door: Asked, monkeypatch: pytest.MonkeyPatch, descending: bool, size: int
) -> None:
    """Pages and marks stay as they were, whatever comes between, and are those of the whole."""
    await door.shelf.put(
        *(scan(i // 2, minute=i // 2, facility=f"{i % 4 // 3}") for i in range(60))
    )
    await door.shelf.put(*(scan(i * 7 % 30, minute=i * 7 % 30, facility="0") for i in range(90)))
    then = await door.shelf.settle()
    fields = {"as_of_time": timestamp(then), "descending": descending}
    whole = (await door.list(**fields)).entries
    for name, value in (("WHOLE_ROWS_MAX", 20), ("REST_ROWS", 4), ("LONG_ROWS", 9)):
        monkeypatch.setattr(reading, name, value)
    monkeypatch.setattr(listing, "STRETCH_SPARE_ROWS", 2)
    before = [page async for page in door.pages(**fields, page_size=size)]

    await door.shelf.put(*(scan(i * 7 % 30, minute=i * 7 % 30, facility="0") for i in range(90)))
    await door.shelf.put(*(scan(("new", i), minute=i / 10) for i in range(400)))

    after = [page async for page in door.pages(**fields, page_size=size)]
    assert before[0].oversized
    assert [page.entries for page in after] == [page.entries for page in before]
    assert [entry for page in before for entry in page.entries] == list(whole)


@pytest.mark.parametrize("descending", [False, True])
async def test_endless_conflicts_end(
    door: Asked, monkeypatch: pytest.MonkeyPatch, descending: bool
) -> None:
    """One event in more versions than are remembered is walked to its end, each version once."""
    monkeypatch.setattr(reading, "WHOLE_ROWS_MAX", 20)
    monkeypatch.setattr(listing, "STRETCH_SPARE_ROWS", 2)
    versions = [scan("a", minute=1, facility=str(i)) for i in range(100)]
    places = await door.shelf.put(*versions, scan("b", minute=0), scan("c", minute=2))

    walked = await walk(door, page_size=9, descending=descending)

    expected = [places[100], *places[:100], places[101]]
    assert positions(walked) == (expected[::-1] if descending else expected)
