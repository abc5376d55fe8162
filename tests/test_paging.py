"""Pages of a trail over gRPC: one snapshot, whatever arrives meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from ledger.v1.scan_event_pb2 import Attribute
from ledger.v1.trail_service_pb2 import TrailOrder, TrailView
from query.answers import PAGE_BYTES_MAX, PAGE_ENTRIES_MAX
from query.reading import WHOLE_ROWS_MAX
from query.requests import PAGE_ENTRIES_DEFAULT
from tests.asking import failing
from tests.trails import at_minute, scan, wire_position

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.position import Position
    from ledger.v1.trail_service_pb2 import TrailEntry
    from tests.asking import Asked

RECORDED = TrailOrder.TRAIL_ORDER_RECORDED
SCAN_TIME = TrailOrder.TRAIL_ORDER_SCAN_TIME


def minutes(entries: Sequence[TrailEntry]) -> list[int]:
    """Give the minutes of events."""
    start_s = at_minute(0).seconds
    return [(entry.event.scan_time.seconds - start_s) // 60 for entry in entries]


class TestSize:
    async def test_a_page_has_100_entries_unless_said_otherwise(self, door: Asked) -> None:
        """The token is empty at the end, and only there."""
        await door.shelf.put(*(scan(i, minute=i) for i in range(250)))

        pages = [page async for page in door.pages()]

        assert [len(page.entries) for page in pages] == [PAGE_ENTRIES_DEFAULT] * 2 + [50]
        assert minutes([e for page in pages for e in page.entries]) == list(range(250))

    async def test_a_full_last_page_has_no_token(self, door: Asked) -> None:
        """There is no empty page behind the last entry."""
        await door.shelf.put(*(scan(i, minute=i) for i in range(4)))

        assert [len(page.entries) async for page in door.pages(page_size=2)] == [2, 2]

    async def test_more_than_1000_is_read_as_1000(self, door: Asked) -> None:
        """A page size above the limit is not an error."""
        await door.shelf.put(*(scan(i, minute=i) for i in range(1_001)))

        sizes = [len(page.entries) async for page in door.pages(page_size=5_000)]

        assert sizes == [PAGE_ENTRIES_MAX, 1]

    async def test_a_page_ends_early_at_2_mib(self, door: Asked) -> None:
        """Large events and their records make smaller pages, and none is left out."""
        text = [Attribute(name=str(i), value="x" * 1_000) for i in range(7)]
        await door.shelf.put(*(scan(i, minute=i, attributes=text) for i in range(200)))
        view = TrailView.TRAIL_VIEW_FULL

        pages = [page async for page in door.pages(page_size=1_000, view=view)]

        assert [page.ByteSize() <= PAGE_BYTES_MAX for page in pages] == [True, True]
        assert pages[0].ByteSize() > 0.9 * PAGE_BYTES_MAX
        assert minutes([e for page in pages for e in page.entries]) == list(range(200))


class TestToken:
    @pytest.mark.parametrize(
        "other",
        [
            {"tracking_number": "RR987654326CH"},
            {"tracking_number": "rr123456785ch"},
            {"order": SCAN_TIME},
            {"descending": True},
            {"start_time": at_minute(0)},
            {"end_time": at_minute(9)},
            {"as_of_time": at_minute(9)},
            {"at_least_timeout": Duration(seconds=1)},
            {"view": TrailView.TRAIL_VIEW_FULL},
        ],
    )
    async def test_it_belongs_to_one_request(self, door: Asked, other: dict[str, object]) -> None:
        """A token is refused with any other field than those of its page."""
        await door.shelf.put(scan("a"), scan("b"))
        first = await door.list(page_size=1)
        assert first.next_page_token

        with failing() as failures:
            await door.list(page_token=first.next_page_token, **other)

        assert failures[0].code is grpc.StatusCode.INVALID_ARGUMENT
        assert failures[0].field == "page_token"
        assert failures[0].reason == "PAGE_TOKEN_MISMATCH"

    async def test_at_least_is_bound_too(self, door: Asked) -> None:
        """The positions that were waited for belong to the request."""
        [position, _] = await door.shelf.put(scan("a"), scan("b"))
        first = await door.list(page_size=1, at_least=[wire_position(position)])

        second = await door.list(
            page_token=first.next_page_token, at_least=[wire_position(position)]
        )
        with failing() as failures:
            await door.list(page_token=first.next_page_token)

        assert len(second.entries) == 1
        assert failures[0].reason == "PAGE_TOKEN_MISMATCH"

    async def test_the_page_size_may_change(self, door: Asked) -> None:
        """The size of a page is free on every page."""
        await door.shelf.put(*(scan(i, minute=i) for i in range(9)))
        first = await door.list(page_size=2)

        second = await door.list(page_size=5, page_token=first.next_page_token)

        assert minutes(second.entries) == [2, 3, 4, 5, 6]

    @pytest.mark.parametrize("token", ["x", "AAAA", "/+==", "é", "x" * 5_000, "\0"])
    async def test_what_is_no_token_is_refused(self, door: Asked, token: str) -> None:
        """Any other text is refused as such."""
        with failing() as failures:
            await door.list(page_token=token)

        assert failures[0].code is grpc.StatusCode.INVALID_ARGUMENT
        assert failures[0].reason == "PAGE_TOKEN_MALFORMED"


class TestSnapshot:
    @pytest.mark.parametrize("order", [SCAN_TIME, RECORDED])
    @pytest.mark.parametrize("descending", [False, True])
    async def test_pages_are_of_one_moment(
        self, door: Asked, order: TrailOrder.ValueType, descending: bool
    ) -> None:
        """Copies, conflicts and late scans that arrive during the walk are not in it."""
        await door.shelf.put(*(scan(i, minute=i * 7 % 10) for i in range(10)))
        fields = {"order": order, "descending": descending}
        whole = (await door.list(**fields)).entries
        walked: list[TrailEntry] = []
        last: list[Position] = []

        async for page in door.pages(page_size=3, **fields):
            walked += page.entries
            n = len(walked)
            last = await door.shelf.put(
                scan(n, minute=n * 7 % 10), scan(n, minute=5), scan(f"late {n}", minute=n)
            )

        now = await door.list(**fields, at_least=[wire_position(last[-1])])
        assert walked == list(whole)
        assert len(now.entries) > 10

    async def test_a_trail_that_outgrows_the_whole_stays_whole(self, door: Asked) -> None:
        """A walk that began before a trail was oversized ends as it began."""
        count = WHOLE_ROWS_MAX - 2
        await door.shelf.put(*(scan(i, minute=i) for i in range(count)))
        pages = []

        async for page in door.pages(page_size=1_000, order=RECORDED):
            pages.append(page)
            if len(pages) == 1:
                await door.shelf.put(*(scan(("new", i), minute=i) for i in range(5)))

        assert not any(page.oversized for page in pages)
        assert minutes([e for page in pages for e in page.entries]) == list(range(count))
        assert (await door.list()).oversized
