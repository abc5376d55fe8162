"""Watches over gRPC: what is there, then what comes, without gap or double, on any process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
import pytest

from ledger.numbers import filing_key, partition_of
from ledger.v1.trail_service_pb2 import TrailView, WatchTrailRequest
from ledger.v1.trail_service_pb2_grpc import TrailServiceStub
from query import watches
from query.answers import PAGE_ENTRIES_MAX
from query.reading import WHOLE_ROWS_MAX
from query.watches import WATCH_INTERVAL_S
from tests.asking import failing, served
from tests.trails import NUMBER, PARTITIONS, names, scan

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from ledger.trail_store import MarkCell, Slice, TrailStore
    from ledger.v1.trail_service_pb2 import TrailEntry, WatchTrailResponse
    from tests.asking import Asked

PARTITION = partition_of(filing_key(NUMBER), PARTITIONS)
SILENT_S = 3 * WATCH_INTERVAL_S
"""A watch that has not spoken for so long has nothing to say."""


class Watch:
    """One watch, and what it was sent."""

    def __init__(self, door: Asked, resume_after: str = "", **fields: object) -> None:
        request = WatchTrailRequest(
            **{"tracking_number": NUMBER, "resume_after": resume_after, **fields}  # type: ignore[arg-type]
        )
        self._call = door.trails.WatchTrail(request)
        self.entries: list[TrailEntry] = []
        self.cursor = ""

    async def next(self) -> WatchTrailResponse:
        """Wait for the next message."""
        async with asyncio.timeout(10):
            message: WatchTrailResponse = await self._call.read()  # type: ignore[assignment]
        self.entries += message.entries
        self.cursor = message.cursor
        return message

    async def until(self, count: int) -> list[TrailEntry]:
        """Wait until so many entries were sent."""
        while len(self.entries) < count:
            await self.next()
        return self.entries

    async def is_silent(self) -> bool:
        """Wait, and say whether nothing came."""
        try:
            async with asyncio.timeout(SILENT_S):
                await self._call.read()
        except TimeoutError:
            return True
        return False

    def end(self) -> None:
        """Hang up."""
        self._call.cancel()


async def test_it_sends_what_is_there_and_then_what_comes(door: Asked) -> None:
    """Entries come by position, each once; the first message says whether it is all."""
    await door.shelf.put(scan("b", minute=2), scan("a", minute=1))
    watch = Watch(door)

    first = await watch.next()
    await door.shelf.put(scan("c", minute=0))
    second = await watch.next()

    assert names(first.entries, "abc") == ["b", "a"]
    assert names(second.entries, "abc") == ["c"]
    assert first.caught_up
    assert second.caught_up


async def test_it_speaks_at_once_where_nothing_is(door: Asked) -> None:
    """The first message comes also for a number that was never scanned."""
    watch = Watch(door)

    first = await watch.next()
    await door.shelf.put(scan("a"))
    second = await watch.next()

    assert not first.entries
    assert first.caught_up
    assert first.cursor
    assert names(second.entries, "a") == ["a"]


async def test_a_copy_is_not_sent_and_a_conflict_is(door: Asked) -> None:
    """A further copy of a known event is no news; the same identity with other content is."""
    await door.shelf.put(scan("a"))
    watch = Watch(door)
    await watch.next()

    await door.shelf.put(scan("a"))
    silent = await watch.is_silent()

    assert silent

    again = Watch(door, watch.cursor)
    await again.next()
    await door.shelf.put(scan("a", facility="X"), scan("a"))
    message = await again.next()

    assert [entry.event.facility for entry in message.entries] == ["X"]
    assert message.entries[0].marks.conflict


async def test_others_in_the_partition_are_not_sent(door: Asked) -> None:
    """A watch is woken by its partition, and is silent where it was another item."""
    other = next(
        number
        for number in (f"AB{i}" for i in range(99))
        if partition_of(filing_key(number), PARTITIONS) == PARTITION
    )
    watch = Watch(door)
    await watch.next()

    await door.shelf.put(scan("x", number=other))

    assert await watch.is_silent()


async def test_it_goes_on_anywhere(door: Asked) -> None:
    """A cursor is good on every process: nothing is missing and nothing comes twice."""
    await door.shelf.put(scan(0))
    watch = Watch(door)
    await watch.until(1)
    watch.end()
    await door.shelf.put(scan(1), scan(0), scan(2))

    async with (
        served(door.shelf.store, {1: PARTITIONS}) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        again = Watch(door._replace(trails=TrailServiceStub(channel)), watch.cursor)
        await again.until(2)
        await door.shelf.put(scan(3))
        await again.until(3)

    assert names(again.entries, range(9)) == [1, 2, 3]


async def test_a_long_trail_comes_in_parts(door: Asked) -> None:
    """A message has at most 1,000 entries; each part can be gone on from."""
    await door.shelf.put(*(scan(i, minute=-i) for i in range(2_500)))
    watch = Watch(door)

    first = await watch.next()
    watch.end()
    again = Watch(door, first.cursor)
    second = await again.next()
    third = await again.next()

    assert [len(part.entries) for part in (first, second, third)] == [PAGE_ENTRIES_MAX] * 2 + [500]
    assert [part.caught_up for part in (first, second, third)] == [False, False, True]
    assert names([*first.entries, *again.entries], range(2_500)) == list(range(2_500))


async def test_a_cursor_belongs_to_one_request(door: Asked) -> None:
    """With another number or view, and as any other text, a cursor is refused."""
    await door.shelf.put(scan("a"))
    watch = Watch(door)
    await watch.next()
    reasons = []

    for fields in (
        {"tracking_number": "AB1", "resume_after": watch.cursor},
        {"view": TrailView.TRAIL_VIEW_FULL, "resume_after": watch.cursor},
        {"resume_after": "x"},
    ):
        with failing() as failures:
            await Watch(door, **fields).next()
        assert failures[0].code is grpc.StatusCode.INVALID_ARGUMENT
        assert failures[0].field == "resume_after"
        reasons.append(failures[0].reason)

    assert reasons == ["CURSOR_MISMATCH", "CURSOR_MISMATCH", "CURSOR_MALFORMED"]


async def test_bad_questions_are_refused(door: Asked) -> None:
    """A watch of no number, or with inherited scans, ends with a reason."""
    reasons = []
    for fields in ({"tracking_number": ""}, {"include_inherited": True}, {"view": 9}):
        with failing() as failures:
            await Watch(door, **fields).next()
        reasons.append(failures[0].reason)

    assert reasons == ["INVALID_NUMBER", "INHERITED_NOT_AVAILABLE", "ENUM_UNKNOWN"]


async def test_an_oversized_trail_cannot_be_watched(door: Asked) -> None:
    """A watch ends when its trail becomes too long to be read whole."""
    await door.shelf.put(*(scan(i, minute=i) for i in range(WHOLE_ROWS_MAX)))
    watch = Watch(door)
    await watch.until(WHOLE_ROWS_MAX)
    await door.shelf.put(scan("one more"))

    with failing() as failures:
        await watch.next()

    assert failures[0].code is grpc.StatusCode.FAILED_PRECONDITION
    assert failures[0].reason == "TRAIL_OVERSIZED"


async def test_watches_are_limited(door: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """One watch too many is told when to come again; the place of one that ended is free."""
    monkeypatch.setattr(watches, "WATCHES_MAX", 2)
    two = [Watch(door), Watch(door)]
    for watch in two:
        await watch.next()

    with failing() as failures:
        await Watch(door).next()
    two[0].end()
    await asyncio.sleep(0.1)
    third = await Watch(door).next()

    assert failures[0].code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert failures[0].reason == "TOO_MANY_WATCHES"
    assert failures[0].retry
    assert third.caught_up


class Counted:
    """A store that counts reads. All else is the store's own."""

    def __init__(self, store: TrailStore) -> None:
        self._store = store
        self.reads = self.mark_reads = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def read(self, tracking_key: bytes, **limits: object) -> Slice:
        """Count a read of a trail."""
        self.reads += 1
        return await self._store.read(tracking_key, **limits)  # type: ignore[arg-type]

    async def marks(self, reader: str) -> list[MarkCell]:
        """Count a read of marks."""
        self.mark_reads += 1
        return list(await self._store.marks(reader))


@pytest.mark.slow
async def test_watches_share_their_reads(door: Asked) -> None:
    """Trails are read only when their partition has moved; marks by one poller for all watches,
    and not at all while nobody watches.
    """
    counted = Counted(door.shelf.store)
    await door.shelf.put(scan("a"))
    async with (
        served(counted, {1: PARTITIONS}) as port,  # type: ignore[arg-type] # It is one.
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        other = door._replace(trails=TrailServiceStub(channel))
        many = [Watch(other) for _ in range(50)]
        for watch in many:
            await watch.next()
        await asyncio.sleep(2 * WATCH_INTERVAL_S)  # The poller tells each one once.
        before = counted.reads, counted.mark_reads
        await asyncio.sleep(4 * WATCH_INTERVAL_S)
        idle = counted.reads - before[0], counted.mark_reads - before[1]
        await door.shelf.put(scan("b"))
        for watch in many:
            await watch.until(2)
        woken = counted.reads - before[0]
        for watch in many:
            watch.end()
        await asyncio.sleep(2 * WATCH_INTERVAL_S)
        before = counted.reads, counted.mark_reads
        await asyncio.sleep(4 * WATCH_INTERVAL_S)
        asleep = counted.reads - before[0], counted.mark_reads - before[1]

    assert idle[0] == 0
    assert 2 <= idle[1] <= 6
    assert woken == 50
    assert asleep == (0, 0)
