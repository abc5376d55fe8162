"""Many trails in one look-up: each number answered in its turn, whatever happens to the others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
import pytest

from ledger.errors import Busy, NotPossibleNow, Uncertain
from ledger.numbers import filing_key
from ledger.trail_store import READ_MANY_KEYS_MAX
from ledger.v1.scan_event_pb2 import Attribute
from ledger.v1.trail_service_pb2 import (
    BatchGetTrailsRequest,
    BatchGetTrailsResponse,
    LookupStatus,
    TrailOrder,
    TrailView,
)
from ledger.v1.trail_service_pb2_grpc import TrailServiceStub
from query import batch
from query.answers import ITEM_BYTES_MAX, ITEM_ENTRIES_MAX
from query.reading import WHOLE_ROWS_MAX
from query.requests import BATCH_NUMBERS_MAX, refuse_inherited
from tests.asking import asked, failing, served
from tests.trails import PARTITIONS, names, scan, timestamp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from ledger.trail_store import Slice, TrailStore
    from tests.asking import Asked

FOUND = LookupStatus.LOOKUP_STATUS_FOUND
NOT_YET_SEEN = LookupStatus.LOOKUP_STATUS_NOT_YET_SEEN
INVALID_NUMBER = LookupStatus.LOOKUP_STATUS_INVALID_NUMBER
FAILED_RETRY = LookupStatus.LOOKUP_STATUS_FAILED_RETRY
RECORDED = TrailOrder.TRAIL_ORDER_RECORDED


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Asked]:
    """A door to an empty ledger."""
    async with asked(tmp_path / "ledger") as opened:
        yield opened


async def look_up(
    door: Asked, numbers: Sequence[str], **fields: object
) -> list[BatchGetTrailsResponse]:
    """Look many numbers up."""
    request = BatchGetTrailsRequest(tracking_numbers=numbers, **fields)  # type: ignore[arg-type]
    return [answer async for answer in door.trails.BatchGetTrails(request)]


async def test_each_number_is_answered_in_its_turn(door: Asked) -> None:
    """Known, unknown, impossible, in another writing and twice: one message for each, in order."""
    await door.shelf.put(scan("a", number="AB1"), scan("b", number="AB2"))
    numbers = ["AB2", "AB9", "", "ab-1", "AB2", "A\0"]

    answers = await look_up(door, numbers)

    assert [answer.index for answer in answers] == list(range(6))
    assert [answer.tracking_number for answer in answers] == numbers
    assert [answer.status for answer in answers] == [
        FOUND,
        NOT_YET_SEEN,
        INVALID_NUMBER,
        FOUND,
        FOUND,
        INVALID_NUMBER,
    ]
    assert [names(answer.entries, "ab") for answer in answers] == [["b"], [], [], ["a"], ["b"], []]
    assert [bool(answer.message) for answer in answers] == [False, False, True, False, False, True]
    assert answers[3].tracking_keys == ["AB1"]


async def test_the_largest_look_up(door: Asked) -> None:
    """1,000 numbers are answered in their order, over all partitions."""
    count = BATCH_NUMBERS_MAX
    await door.shelf.put(*(scan(i, number=f"AB{i}") for i in range(0, count, 2)))

    answers = await look_up(door, [f"AB{i}" for i in range(count)])

    assert [answer.index for answer in answers] == list(range(count))
    assert [answer.status for answer in answers] == [FOUND, NOT_YET_SEEN] * (count // 2)
    assert [names(a.entries, [i])[0] for i, a in enumerate(answers) if a.entries] == list(
        range(0, count, 2)
    )


@pytest.mark.parametrize("count", [0, BATCH_NUMBERS_MAX + 1])
async def test_no_numbers_or_too_many_are_refused(door: Asked, count: int) -> None:
    """The number of numbers is limited, and the limit is named."""
    with failing() as failures:
        await look_up(door, ["AB1"] * count)

    assert failures[0].code is grpc.StatusCode.INVALID_ARGUMENT
    assert failures[0].field == "tracking_numbers"
    assert failures[0].reason == "NUMBERS_OUT_OF_RANGE"
    assert BATCH_NUMBERS_MAX <= READ_MANY_KEYS_MAX


async def test_inherited_scans_are_refused(door: Asked) -> None:
    """A trail is not pretended to have them, and who asks is told where they are."""
    with pytest.raises(NotPossibleNow, match="ItemService/GetItem"):
        refuse_inherited(include_inherited=True)
    with failing() as failures:
        await look_up(door, ["AB1"], include_inherited=True)

    assert failures[0].reason == "INHERITED_NOT_AVAILABLE"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"order": RECORDED, "descending": True},
        {"descending": True, "view": TrailView.TRAIL_VIEW_FULL},
    ],
)
async def test_a_long_trail_goes_on_with_a_listing(door: Asked, fields: dict[str, object]) -> None:
    """200 entries, and then a token for a listing of the same; the two join to the whole."""
    await door.shelf.put(*(scan(i, number="AB1", minute=i) for i in range(450)))

    [_, answer, _] = await look_up(door, ["AB0", "AB1", "AB2"], **fields)
    await door.shelf.put(scan("later", number="AB1", minute=7))
    listed = await door.list(
        tracking_number="AB1", page_token=answer.next_page_token, page_size=1_000, **fields
    )

    whole = names([*answer.entries, *listed.entries], range(450))
    assert len(answer.entries) == ITEM_ENTRIES_MAX
    assert whole == sorted(range(450), reverse="descending" in fields)


async def test_an_item_ends_early_at_1_mib(door: Asked) -> None:
    """One item's message is bounded in bytes too."""
    text = [Attribute(name=str(i), value="x" * 1_000) for i in range(7)]
    await door.shelf.put(
        *(scan(i, number="AB1", minute=i, attributes=text) for i in range(ITEM_ENTRIES_MAX))
    )

    [answer] = await look_up(door, ["AB1"])

    assert 0.9 * ITEM_BYTES_MAX < answer.ByteSize() <= ITEM_BYTES_MAX
    assert answer.next_page_token


async def test_as_of_a_time(door: Asked) -> None:
    """All items are shown as of the same moment, and go on as of it."""
    await door.shelf.put(*(scan(i, number="AB1", minute=i) for i in range(201)))
    then = timestamp(await door.shelf.settle())
    await door.shelf.put(scan("b", number="AB2"), scan("new", number="AB1", minute=-1))
    await door.shelf.settle()

    [first, second] = await look_up(door, ["AB1", "AB2"], as_of_time=then)
    listed = await door.list(
        tracking_number="AB1", as_of_time=then, page_token=first.next_page_token
    )

    assert names(first.entries, range(201)) == list(range(200))
    assert names(listed.entries, range(201)) == [200]
    assert second.status == NOT_YET_SEEN


async def test_an_oversized_trail_does_not_stop_the_others(door: Asked) -> None:
    """It is begun by scan time, and only named where it was asked for as recorded."""
    await door.shelf.put(
        *(scan(i, number="AB1", minute=i) for i in range(WHOLE_ROWS_MAX + 1)),
        scan("b", number="AB2"),
    )

    by_time = await look_up(door, ["AB1", "AB2"])
    recorded = await look_up(door, ["AB1", "AB2"], order=RECORDED)

    assert [answer.oversized for answer in by_time] == [True, False]
    assert names(by_time[0].entries, range(300)) == list(range(200))
    assert [answer.oversized for answer in recorded] == [True, False]
    assert [answer.status for answer in recorded] == [FOUND, FOUND]
    assert [len(answer.entries) for answer in recorded] == [0, 1]
    assert "scan time" in recorded[0].message
    listed = await door.list(tracking_number="AB1", page_token=by_time[0].next_page_token)
    assert names(listed.entries, range(300)) == list(range(200, 300))


class Troubled:
    """A store in which some keys cannot be read. All else is the store's own."""

    def __init__(self, store: TrailStore, troubles: dict[str, Exception | None]) -> None:
        self._store = store
        self._troubles = {filing_key(number): error for number, error in troubles.items()}

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def read(self, tracking_key: bytes, **limits: object) -> Slice:
        """Fail, or hang, where the key has trouble."""
        if tracking_key in self._troubles:
            error = self._troubles[tracking_key]
            if error is None:
                await asyncio.Event().wait()
            else:
                raise error
        return await self._store.read(tracking_key, **limits)  # type: ignore[arg-type]

    async def read_many(self, tracking_keys: Sequence[bytes], **limits: object) -> Sequence[Slice]:
        """Fail, or hang, where one of the keys has trouble."""
        return [await self.read(key, **limits) for key in tracking_keys]


async def test_what_cannot_be_read_is_named_and_stops_nothing(
    door: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Items that are busy, unsure or hang are answered with FAILED_RETRY, in their places."""
    monkeypatch.setattr(batch, "READ_TIMEOUT_S", 0.1)
    await door.shelf.put(*(scan(i, number=f"AB{i}") for i in range(100)))
    troubled = Troubled(
        door.shelf.store,
        {
            "AB3": Busy("busy", reason="STORE_BUSY", retry_after_s=1),
            "AB40": Uncertain("unsure", reason="STORE_AWAY"),
            "AB41": None,
        },
    )

    async with (
        served(troubled, {1: PARTITIONS}) as port,  # type: ignore[arg-type] # It is one.
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        other = door._replace(trails=TrailServiceStub(channel))
        answers = await look_up(other, [f"AB{i}" for i in range(100)])

    failed = [answer.index for answer in answers if answer.status == FAILED_RETRY]
    assert failed == [3, 40, 41]
    assert [answer.index for answer in answers] == list(range(100))
    assert all(answer.message and not answer.entries for answer in (answers[i] for i in failed))
    assert sum(answer.status == FOUND for answer in answers) == 97


async def test_a_store_that_is_away_is_waited_for_once(
    door: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing of a chunk could be read, the rest of a look-up is told so without waiting."""
    monkeypatch.setattr(batch, "READ_TIMEOUT_S", 0.2)
    numbers = [f"AB{i}" for i in range(300)]
    await door.shelf.put(*(scan(i, number=number) for i, number in enumerate(numbers)))
    hanging = Troubled(door.shelf.store, dict.fromkeys(numbers))

    async with (
        served(hanging, {1: PARTITIONS}) as port,  # type: ignore[arg-type] # It is one.
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        began_s = asyncio.get_running_loop().time()
        answers = await look_up(door._replace(trails=TrailServiceStub(channel)), numbers)
        took_s = asyncio.get_running_loop().time() - began_s

    assert [answer.index for answer in answers] == list(range(300))
    assert all(answer.status == FAILED_RETRY and answer.message for answer in answers)
    assert took_s < 10 * 0.2  # It waited for one chunk and for each of its items, of ten chunks.
