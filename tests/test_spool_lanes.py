"""Two lanes out of a spool: a backlog leaves half of the uplink to live scans; none is left out."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from ingest.spool_lanes import LIVE_NS, Lanes, Outbound
from ingest.spool_limits import SpoolLimits
from ingest.spool_opening import spool_on
from tests.test_spool_machine import inline
from tests.virtual_disk import VirtualDisk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ingest.spool import Spool

LIMITS = SpoolLimits(bytes_max=64 << 20)
SPOOL_ID = bytes(16)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.ns = 10**18

    def __call__(self) -> int:
        return self.ns


@pytest.fixture
def clock() -> Clock:
    """The time of a test."""
    return Clock()


@pytest.fixture
async def spool(clock: Clock) -> AsyncIterator[Spool]:
    """A spool on a disk in memory."""
    disk = VirtualDisk(random.Random(1))
    async with spool_on(
        disk, limits=LIMITS, now_ns=clock, random_bytes=bytes, worker=inline
    ) as opened:
        yield opened


def event(source: int, number: int, size: int = 200) -> bytes:
    """A scan: source, number, and some bytes."""
    return b"%d %d " % (source, number) + b"." * size


def read(data: bytes, _: int) -> Outbound:
    """What `event` has made."""
    source, number, _rest = data.split(b" ", 2)
    return Outbound(f"gate-{source.decode()}", SPOOL_ID, int(number), 0, data)


async def mint(spool: Spool, source: int, first: int, count: int) -> None:
    """Spool scans of a source, as one append."""
    await spool.append([event(source, number) for number in range(first, first + count)])


@pytest.mark.parametrize("live_scans", [1, 20, 300])
async def test_a_backlog_leaves_half_to_live_scans(
    spool: Spool, clock: Clock, live_scans: int
) -> None:
    """While live scans keep coming, at least half of all bytes are theirs, in large batches or in
    batches of one scan; and the backlog gets the rest.
    """
    for number in range(1, 20_001, 500):
        await mint(spool, 1, number, 500)
    clock.ns += 3_600 * 10**9
    lanes = Lanes(spool, read, now_ns=clock)
    sent: Counter[str] = Counter()
    for round_ in range(400 if live_scans < 300 else 80):
        # More comes than half of the uplink can take: there is always something live to send.
        for source in range(2, 6):
            await mint(spool, source, round_ * live_scans + 1, live_scans)
        for _ in range(3):
            batch = lanes.take(500, 256 << 10)
            assert batch is not None
            sent["old" if batch.parts[0].owner.source_id == "gate-1" else "live"] += batch.bytes
        clock.ns += 10**6
    share = sent["live"] / sent.total()

    assert share >= 0.5 - (256 << 10) / sent.total()
    assert sent["old"] > 0


async def test_who_has_no_rival_has_all_of_it(spool: Spool, clock: Clock) -> None:
    """A backlog alone, and live scans alone, go out at once."""
    await mint(spool, 1, 1, 1_000)
    lanes = Lanes(spool, read, now_ns=clock)
    old = [lanes.take(500, 256 << 10) for _ in range(2)]
    assert lanes.take(500, 256 << 10) is None
    await mint(spool, 1, 1_001, 500)
    live = lanes.take(500, 256 << 10)

    assert [batch.first_sequence for batch in old if batch] == [1, 501]
    assert live is not None
    assert live.first_sequence == 1_001
    assert lanes.queued == 0


async def test_live_scans_that_grow_old_are_backlog(spool: Spool, clock: Clock) -> None:
    """After an offline stretch the newest go first."""
    lanes = Lanes(spool, read, now_ns=clock)
    await mint(spool, 1, 1, 2_000)
    clock.ns += LIVE_NS + 1
    await mint(spool, 2, 1, 100)
    first, second = lanes.take(500, 1 << 20), lanes.take(500, 1 << 20)

    assert first is not None
    assert second is not None
    assert first.parts[0].owner.source_id == "gate-2"
    assert second.parts[0].owner.source_id == "gate-1"


async def test_every_scan_goes_out_once(spool: Spool, clock: Clock) -> None:
    """Of many sources, mixed, settled in part, taken back, held and let go: each scan once, each
    batch of one source and without gaps.
    """
    dice = random.Random(3)
    numbers: Counter[int] = Counter()
    for _ in range(200):
        source, count = dice.randrange(1, 9), dice.randrange(1, 40)
        await mint(spool, source, numbers[source] + 1, count)
        numbers[source] += count
        clock.ns += 10**8
    spool.settle(50, 400)
    lanes = Lanes(spool, read, now_ns=clock)
    lanes.hold(("gate-3", SPOOL_ID))
    seen: Counter[bytes] = Counter()
    for round_ in range(100_000):
        if round_ == 30:
            lanes.release(("gate-3", SPOOL_ID))
        batch = lanes.take(30, 6_000)
        if batch is None:
            break
        owner = batch.parts[0].owner.source_id
        if dice.random() < 0.2 and round_ < 300:
            lanes.put_back(batch)
            continue
        for offset, data in enumerate(batch.events):
            assert read(data, 0)[0] == owner
            assert read(data, 0)[2] == batch.first_sequence + offset
        seen.update(batch.events)

    assert set(seen.values()) == {1}
    assert len(seen) == numbers.total() - 350
    assert lanes.queued == 0
