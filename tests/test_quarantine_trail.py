"""Quarantine as a reader of trails meets it: a notice, then the scan, and the past as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ledger.codec import Fault, read_record
from ledger.numbers import partition_of
from ledger.position import Position, pack_position
from ledger.quarantine.records import (
    Unfit,
    packed_position,
    replay_of,
    stub_of,
    stub_row,
    wire_position,
)
from ledger.v1.quarantine_pb2 import QuarantineReason
from ledger.v1.trail_service_pb2 import LookupStatus, WatchTrailRequest
from tests.asking import asked
from tests.rows import row_of
from tests.trails import NUMBER, PARTITIONS, START_S, Arrival, Shelf, names, row, scan, timestamp

if TYPE_CHECKING:
    from pathlib import Path

    from ledger.trail_store import Row

REASON = QuarantineReason.QUARANTINE_REASON_STORE_REFUSED


def record_of(shelf: Shelf, arrival: Arrival) -> bytes:
    """The record of an event, which no row was made of."""
    position = Position(1, 0, 0)
    return row(arrival, position, record_time_ns=shelf.now_ns + 1).record


def place_for(shelf: Shelf, value_row: Row) -> int:
    """Take the next position in the partition of a key."""
    partition = partition_of(value_row.tracking_key, PARTITIONS)
    index = shelf.next_index[partition]
    shelf.next_index[partition] += 1
    return pack_position(1, partition, index)


async def quarantine(shelf: Shelf, name: str, **fields: object) -> tuple[int, bytes]:
    """Do what a writer does with a record that the store refuses; give its position and bytes."""
    value = record_of(shelf, Arrival(scan(name, **fields)))  # type: ignore[arg-type]
    made = row(Arrival(scan(name)), Position(1, 0, 0), record_time_ns=1)
    position = place_for(shelf, made)
    stub = stub_of(Unfit(position, value, Fault(REASON, "because")))
    assert stub is not None
    await shelf.store.put([stub_row(stub, position)])
    await shelf.mark()
    return position, value


async def replay(shelf: Shelf, position: int, value: bytes) -> int:
    """Do what a replay and then a writer do."""
    replayed = replay_of(value, position)
    record = read_record(replayed)
    new = place_for(shelf, row_of(record, replayed, position))
    await shelf.store.put([row_of(record, replayed, new)])
    await shelf.mark()
    return new


async def test_a_notice_stands_in_the_trail(tmp_path: Path) -> None:
    """It says where the record lies and why, has no event, and is where the event would be."""
    async with asked(tmp_path / "ledger") as door:
        await door.shelf.put(scan("a", minute=0), scan("c", minute=2))
        position, value = await quarantine(door.shelf, "b", minute=1)

        page = await door.list()

    assert [entry.HasField("event") for entry in page.entries] == [True, False, True]
    notice = page.entries[1]
    assert notice.quarantined.position == wire_position(position)
    assert notice.quarantined.reason == REASON
    assert notice.quarantined.record_bytes == len(value)
    assert packed_position(notice.position) == position
    assert notice.source_id == "scanner-1"
    assert not notice.HasField("marks")


async def test_a_trail_of_a_notice_alone_is_found(tmp_path: Path) -> None:
    """An auditor has to see that there is something."""
    async with asked(tmp_path / "ledger") as door:
        await quarantine(door.shelf, "a")

        page = await door.list()

    assert page.status == LookupStatus.LOOKUP_STATUS_FOUND
    assert len(page.entries) == 1


async def test_a_replay_takes_the_notice_away_and_not_from_the_past(tmp_path: Path) -> None:
    """Now the trail shows the scan, and says that it was in quarantine; as of an earlier moment it
    shows the notice, for ever.
    """
    async with asked(tmp_path / "ledger") as door:
        await door.shelf.put(scan("a", minute=0))
        position, value = await quarantine(door.shelf, "b", minute=1)
        before_ns = await door.shelf.settle()
        await replay(door.shelf, position, value)
        after_ns = await door.shelf.settle()

        now = await door.list()
        before = await door.list(as_of_time=timestamp(before_ns))
        after = await door.list(as_of_time=timestamp(after_ns))

    assert names(now.entries, "ab") == ["a", "b"]
    assert [e.marks.HasField("replayed_position") for e in now.entries] == [False, True]
    assert now.entries[1].marks.replayed_position == wire_position(position)
    assert now.entries[1].record_time.seconds >= START_S
    assert after.entries == now.entries
    assert [entry.HasField("quarantined") for entry in before.entries] == [False, True]


@pytest.mark.parametrize("copies", [1, 3])
async def test_replays_are_copies_of_one_event(tmp_path: Path, copies: int) -> None:
    """Replayed more than once, and also sent again by its scanner: one entry, and no notice."""
    async with asked(tmp_path / "ledger") as door:
        position, value = await quarantine(door.shelf, "b")
        await door.shelf.put(scan("b"))
        for _ in range(copies):
            await replay(door.shelf, position, value)

        page = await door.list()

    [entry] = page.entries
    assert entry.event == scan("b")
    assert entry.marks.duplicate_count == copies
    assert not entry.marks.conflict


async def test_a_row_that_is_there_after_all_needs_no_notice(tmp_path: Path) -> None:
    """Where the store took the row in the end, the stub beside it says nothing."""
    async with asked(tmp_path / "ledger") as door:
        position, value = await quarantine(door.shelf, "a")
        await door.shelf.store.put([row_of(read_record(value), value, position)])

        page = await door.list()

    assert names(page.entries, "a") == ["a"]


async def test_a_watch_is_told_of_the_notice_and_then_of_the_scan(tmp_path: Path) -> None:
    """The scan names the position that the notice named, so that it can take its place."""
    async with asked(tmp_path / "ledger") as door:
        position, value = await quarantine(door.shelf, "a")
        watch = door.trails.WatchTrail(WatchTrailRequest(tracking_number=NUMBER))
        messages = aiter(watch)
        first = await anext(messages)
        await replay(door.shelf, position, value)
        second = await anext(messages)

    assert [entry.quarantined.position for entry in first.entries] == [wire_position(position)]
    assert [e.marks.replayed_position for e in second.entries] == [wire_position(position)]


async def test_pages_and_other_orders_hold_notices_too(tmp_path: Path) -> None:
    """A page may end with a notice; recorded and descending orders show the same entries."""
    async with asked(tmp_path / "ledger") as door:
        for name in range(5):
            await door.shelf.put(scan(f"s{name}", minute=2 * name))
            await quarantine(door.shelf, f"q{name}", minute=2 * name + 1)
        pages = [page async for page in door.pages(page_size=1)]
        whole = await door.list()
        backwards = await door.list(descending=True)

    assert [entry for page in pages for entry in page.entries] == list(whole.entries)
    assert list(backwards.entries) == list(whole.entries)[::-1]
    assert sum(entry.HasField("quarantined") for entry in whole.entries) == 5
