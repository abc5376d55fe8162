"""What waits for one partition: which appends go together, and what numbers they are sent with."""

import asyncio
import struct

import pytest

from ledger.backends.kafka_lane import JOINED_BYTES_MAX, Batch, Identity, Lane
from ledger.backends.kafka_records import SEQUENCES
from ledger.errors import Busy

FIRST, SECOND = Identity(7, 0), Identity(8, 0)


def put(lane: Lane, count: int, size: int = 10) -> asyncio.Future[int]:
    """Append so many records of so many bytes in all."""
    done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    batch = lane.join(count, size, now=0.0, within_s=20.0)
    batch.add([b""] * count, [b"x" * (size // count)] * count, size, done)
    return done


def numbers(lane: Lane) -> tuple[int, int, int]:
    """Producer, epoch and sequence of the batch on its way, as the broker reads them."""
    producer_id, epoch, sequence = struct.unpack_from(">qhi", lane.packed, 43)
    return producer_id, epoch, sequence


async def test_what_waits_together_goes_together() -> None:
    """Appends that wait become one batch, each knows its place in it, and what comes after the
    batch is on its way waits for the next.
    """
    lane = Lane(3)
    first, second = put(lane, 2), put(lane, 3)
    batch = lane.take_off(FIRST)
    third = put(lane, 1)
    lane.land()
    batch.succeed(100)

    assert (await first, await second) == (100, 102)
    assert not third.done()
    assert lane.take_off(FIRST).count == 1


async def test_a_batch_does_not_grow_beyond_its_size() -> None:
    """A small append does not join a batch that is large already, and a large one has its own."""
    lane = Lane(3)
    for size in (JOINED_BYTES_MAX, 10, JOINED_BYTES_MAX):
        put(lane, 1, size)

    assert [batch.bytes for batch in lane.queue] == [JOINED_BYTES_MAX, 10, JOINED_BYTES_MAX]


async def test_numbers_follow_one_another() -> None:
    """Each batch begins behind the one before, and begins anew at the end of the numbers; a batch
    that is sent again has the same bytes.
    """
    lane = Lane(3)
    put(lane, 5)
    lane.take_off(FIRST)
    bytes_ = bytes(lane.packed)
    lane.take_off(SECOND)
    assert bytes(lane.packed) == bytes_
    assert numbers(lane) == (7, 0, 0)
    lane.land()
    lane._next = SEQUENCES - 2
    for sequence in (SEQUENCES - 2, 1):
        put(lane, 3)
        lane.take_off(FIRST)
        assert numbers(lane) == (7, 0, sequence)
        lane.land()


async def test_a_batch_that_is_given_up_spends_its_numbers() -> None:
    """After a gap the broker would refuse all others, so the next batch is another producer's."""
    lane = Lane(3)
    put(lane, 5)
    lane.take_off(FIRST)
    lane.crash()
    put(lane, 1)

    assert lane.away
    lane.take_off(SECOND)
    assert numbers(lane) == (8, 0, 0)
    lane.land()
    assert not lane.away


async def test_whoever_left_is_told_nothing() -> None:
    """An append that was cancelled does not keep the others of its batch from their outcome."""
    batch = Batch(deadline=20.0)
    loop = asyncio.get_running_loop()
    gone, stays = loop.create_future(), loop.create_future()
    for done in (gone, stays):
        batch.add([b"k"], [b"v"], 2, done)
    gone.cancel()
    batch.fail(Busy("no", reason="TEST", retry_after_s=1))

    with pytest.raises(Busy):
        await stays


async def test_tries_are_further_apart_each_time() -> None:
    """A batch that does not get through rests longer after each try, and never for long."""
    lane = Lane(3)
    put(lane, 1)
    rests = []
    for _ in range(12):
        lane.take_off(FIRST)
        lane.rest(now=1_000.0)
        rests.append(lane.rests_until - 1_000.0)

    assert rests == sorted(rests)
    assert rests[0] == pytest.approx(0.1)
    assert rests[-1] == 1.0
