"""Several keys of one item: found from each of them, ordered as one trail, and never hidden."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.aliases.records import KEYS_MAX
from ledger.numbers import KEY_FORMS, filing_key
from ledger.position import Position
from ledger.v1.scan_event_pb2 import CORRECTION_KIND_INCORRECT_DATA
from ledger.v1.trail_service_pb2 import (
    BatchGetTrailsRequest,
    LookupStatus,
    TrailOrder,
)
from query import reading
from tests.trails import Arrival, event_id, names, row, scan, timestamp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.v1.trail_service_pb2 import TrailEntry
    from tests.asking import Asked

A, B, C = "RR473124829GB", "9400111206206406260787", "1Z5R89390357567127"
ALL = [*range(40), "a", "b", "c", "d", "e"]


async def seen(door: Asked, number: str, **fields: object) -> list[object]:
    """The names of the events that are shown for a number."""
    return names((await door.list(tracking_number=number, **fields)).entries, ALL)


def keys_in(entries: Sequence[TrailEntry]) -> list[str]:
    return [entry.tracking_key for entry in entries]


class TestList:
    async def test_either_number_shows_both_in_one_order(self, door: Asked) -> None:
        """By scan time over both keys; each event says which one it is filed under."""
        await door.shelf.put(*(scan(i, minute=i, number=(A, B)[i % 2]) for i in range(6)))
        await door.shelf.alias(A, B)
        by_a, by_b = [await door.list(tracking_number=number) for number in (A, B)]

        assert names(by_a.entries, ALL) == list(range(6))
        assert by_a.entries == by_b.entries
        assert keys_in(by_a.entries) == [A, B] * 3
        assert (list(by_a.tracking_keys), list(by_b.tracking_keys)) == ([A, B], [B, A])
        assert not by_a.more_keys

    async def test_as_recorded_goes_by_the_ledgers_clock(self, door: Asked) -> None:
        """Positions of different partitions tell no time."""
        await door.shelf.alias(A, B)
        await door.shelf.put(*(scan(i, minute=9 - i, number=(A, B)[i % 2]) for i in range(6)))

        recorded = TrailOrder.TRAIL_ORDER_RECORDED
        assert await seen(door, B, order=recorded) == [0, 1, 2, 3, 4, 5]
        assert await seen(door, A, order=recorded, descending=True) == [5, 4, 3, 2, 1, 0]

    async def test_a_number_that_was_never_scanned_finds_the_other(self, door: Asked) -> None:
        """Its trail is the other's."""
        await door.shelf.put(scan("a", number=A))
        await door.shelf.alias(A, C)

        assert await seen(door, C) == ["a"]

    async def test_chains_and_cycles_are_followed_once(self, door: Asked) -> None:
        """A with B, B with C, C with A; and A with itself."""
        await door.shelf.put(*(scan(i, minute=i, number=(A, B, C)[i]) for i in range(3)))
        for one, other in ((A, B), (B, C), (C, A), (A, A)):
            await door.shelf.alias(one, other)

        for number in (A, B, C):
            assert await seen(door, number) == [0, 1, 2]

    async def test_at_most_sixteen_keys_are_followed_the_nearest_first(self, door: Asked) -> None:
        """The answer says that there are more, and each number shows its own neighbours."""
        numbers = [f"ITEM{i:02}" for i in range(20)]
        await door.shelf.put(
            *(scan(i, minute=i, number=number) for i, number in enumerate(numbers))
        )
        for one, other in pairwise(numbers):
            await door.shelf.alias(one, other, readable=False)
        await door.shelf.mark()
        first, last = [await door.list(tracking_number=numbers[i]) for i in (0, 19)]

        assert (first.more_keys, last.more_keys) == (True, True)
        assert list(first.tracking_keys) == numbers[:KEYS_MAX]
        assert names(first.entries, ALL) == list(range(KEYS_MAX))
        assert names(last.entries, ALL) == list(range(4, 20))

    async def test_said_twice_is_said_once(self, door: Asked) -> None:
        """Copies of the record change nothing."""
        await door.shelf.put(scan("a", number=A), scan("b", minute=1, number=B))
        for _ in range(3):
            await door.shelf.alias(A, B)

        page = await door.list(tracking_number=A)
        assert list(page.tracking_keys) == [A, B]
        assert names(page.entries, ALL) == ["a", "b"]

    async def test_what_was_said_very_often_is_read_through(
        self, door: Asked, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Copies fill the first read; the alias behind them is found all the same."""
        monkeypatch.setattr(reading, "SHORT_ROWS", 3)
        await door.shelf.put(*(scan(i, minute=i, number=(A, B, C)[i]) for i in range(3)))
        for _ in range(5):
            await door.shelf.alias(A, B, readable=False)
        await door.shelf.alias(A, C)

        assert await seen(door, A) == [0, 1, 2]

    async def test_a_half_said_alias_is_found_from_its_side(self, door: Asked) -> None:
        """Between the two records the item is found by the one number alone."""
        await door.shelf.put(scan("a", number=A), scan("b", minute=1, number=B))
        await door.shelf.alias(A, B, both_ways=False)

        assert await seen(door, A) == ["a", "b"]
        assert await seen(door, B) == ["b"]

    async def test_a_clock_that_was_never_set_hides_no_alias(
        self, door: Asked, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nor does one that sets no ids: such events stand among the aliases, here before them."""
        monkeypatch.setattr(reading, "SHORT_ROWS", 3)
        early = [
            scan(i, number=A, event_id=bytes(16), facility=f"F{i}", scan_time=Timestamp())
            for i in range(10)
        ]
        for event in early:
            event.scan_time.Clear()
            event.scan_time.SetInParent()
        await door.shelf.put(*early, scan("b", minute=1, number=B))
        await door.shelf.alias(A, B)

        page = await door.list(tracking_number=A)
        assert list(page.tracking_keys) == [A, B]
        assert len(page.entries) == 11


class TestPast:
    async def test_a_past_answer_does_not_know_the_alias(self, door: Asked) -> None:
        """As of before it, each number shows its own; as of after it, both."""
        await door.shelf.put(scan("a", number=A), scan("b", minute=1, number=B))
        before = await door.shelf.settle()
        await door.shelf.alias(A, B)
        after = await door.shelf.settle()

        assert await seen(door, A, as_of_time=timestamp(before)) == ["a"]
        assert await seen(door, A, as_of_time=timestamp(after)) == ["a", "b"]
        assert await seen(door, A, as_of_time=timestamp(before)) == ["a"]

    @pytest.mark.parametrize("order", ["TRAIL_ORDER_SCAN_TIME", "TRAIL_ORDER_RECORDED"])
    @pytest.mark.parametrize("descending", [False, True])
    async def test_pages_are_one_snapshot(
        self, door: Asked, order: str, *, descending: bool
    ) -> None:
        """What is scanned, or joined, between two pages is on none of them."""
        numbers = (A, B, C)
        await door.shelf.put(*(scan(i, minute=i, number=numbers[i % 2]) for i in range(12)))
        await door.shelf.alias(A, B)
        whole = await seen(door, A, order=TrailOrder.Value(order), descending=descending)
        paged: list[object] = []
        wanted = {"tracking_number": A, "page_size": 5, "order": TrailOrder.Value(order)}
        async for page in door.pages(**wanted, descending=descending):
            paged += names(page.entries, ALL)
            late = len(paged)
            await door.shelf.put(scan(20 + late, minute=late, number=B), scan("c", number=C))
            await door.shelf.alias(B, C)

        assert paged == whole
        assert sorted(map(str, whole)) == sorted(map(str, range(12)))


class TestOneTrail:
    async def test_a_scan_sent_again_under_another_key_is_a_copy(self, door: Asked) -> None:
        """The same bytes of the same source count once, at the lower position."""
        event = scan("a", number=A)
        await door.shelf.put(Arrival(event), Arrival(event, number=B), scan("b", minute=1))
        await door.shelf.alias(A, B)
        [entry] = (await door.list(tracking_number=A)).entries

        assert entry.marks.duplicate_count == 1
        assert not entry.marks.conflict

    async def test_the_same_id_with_other_content_is_a_conflict(self, door: Asked) -> None:
        """Over all keys of the item, all versions shown."""
        await door.shelf.put(scan("a", number=A), scan("a", number=B))
        await door.shelf.alias(A, B)
        entries = (await door.list(tracking_number=A)).entries

        assert [entry.marks.conflict for entry in entries] == [True, True]

    async def test_a_correction_reaches_over_keys(self, door: Asked) -> None:
        """It names an event that is filed under the item's other key."""
        correction = {
            "tracking_number": B,
            "source_id": "scanner-1",
            "event_id": event_id("a"),
            "kind": CORRECTION_KIND_INCORRECT_DATA,
        }
        right = scan("b", minute=1, number=B, correction=correction)
        await door.shelf.put(scan("a", number=A), Arrival(right, number=B))
        await door.shelf.alias(A, B)
        entries = (await door.list(tracking_number=A)).entries

        assert [(one.marks.corrected, one.marks.correction) for one in entries] == [
            (True, False),
            (False, True),
        ]


async def test_a_long_trail_of_two_keys_is_paged(
    door: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too long to be read whole, the keys are known all the same, and nothing is missing."""
    monkeypatch.setattr(reading, "WHOLE_ROWS_MAX", 10)
    await door.shelf.put(*(scan(i, minute=i, number=(A, B)[i % 3 == 0]) for i in range(40)))
    await door.shelf.alias(A, B)
    await door.shelf.alias(B, C)
    for number in (A, B, C):
        for descending in (False, True):
            paged: list[object] = []
            wanted = {"tracking_number": number, "page_size": 7, "descending": descending}
            async for page in door.pages(**wanted):
                assert page.oversized
                assert set(page.tracking_keys) == {A, B, C}
                paged += names(page.entries, ALL)

            assert paged == sorted(range(40), reverse=descending), (number, descending)


async def test_many_at_once_follow_too(door: Asked) -> None:
    """Each number of a batch gets the whole item, and pages go on in a listing."""
    await door.shelf.put(*(scan(i, minute=i, number=(A, B)[i % 2]) for i in range(6)))
    await door.shelf.alias(A, B)
    wanted = [A, "NOTHING1", B, C]
    found = [
        answer
        async for answer in door.trails.BatchGetTrails(
            BatchGetTrailsRequest(tracking_numbers=wanted)
        )
    ]

    assert [names(answer.entries, ALL) for answer in found] == [
        list(range(6)),
        [],
        list(range(6)),
        [],
    ]
    assert list(found[0].tracking_keys) == [A, B]
    assert found[3].status == LookupStatus.LOOKUP_STATUS_NOT_YET_SEEN


class TestRules:
    async def test_a_change_of_rules_hides_nothing(
        self, door: Asked, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """1,000 items are scanned, the rule changes, they are scanned again and filed by the new
        one: each number, as it was written, shows both scans, and each with its key.
        """
        numbers = [f"AB/{i:04}/{'x' * (i % 3)}" for i in range(1_000)]
        await door.shelf.put(*(scan(("old", n), minute=1, number=n) for n in numbers))
        old_rule = {number: filing_key(number) for number in numbers}

        def form_2(number: str) -> bytes:
            """Drop slashes too, and what stands behind the second."""
            return filing_key("".join(number.split("/")[:2]))

        monkeypatch.setitem(KEY_FORMS, 2, form_2)
        for number in numbers:
            arrival = Arrival(scan(("new", number), minute=2, number=number))
            value = row(
                arrival, Position(1, 0, 0), record_time_ns=door.shelf.now_ns, key=form_2(number)
            )
            await door.shelf.put_record(form_2(number), value.record)
        await door.shelf.mark()
        lost = []
        request = BatchGetTrailsRequest(tracking_numbers=numbers)
        async for answer in door.trails.BatchGetTrails(request):
            number = numbers[answer.index]
            wanted = [
                (event_id(("old", number)), old_rule[number].decode()),
                (event_id(("new", number)), form_2(number).decode()),
            ]
            if [(one.event.event_id, one.tracking_key) for one in answer.entries] != wanted:
                lost.append(number)

        assert lost == []
