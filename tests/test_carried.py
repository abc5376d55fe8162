"""Work goes on without its caller, and callers of one name share it."""

import asyncio

import pytest

from ledger.errors import Busy, Uncertain
from query.carried import CARRIED_MAX, Carried


async def test_who_comes_again_finds_it_under_way() -> None:
    """A caller that gave up joins its own work; when that has ended the next call begins anew."""
    carried: Carried[int] = Carried()
    begun, goes_on = 0, asyncio.Event()

    async def work() -> int:
        nonlocal begun
        begun += 1
        await goes_on.wait()
        return begun

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(carried.carry(b"a", work), 0.01)
    again = asyncio.create_task(carried.carry(b"a", work))
    other = asyncio.create_task(carried.carry(b"b", work))
    await asyncio.sleep(0)
    goes_on.set()

    assert (await again, await other) == (2, 2)
    assert await carried.carry(b"a", work) == 3


async def test_an_error_is_everybodys() -> None:
    """All who wait are told, nobody has to be, and it is not kept."""
    carried: Carried[int] = Carried()

    async def fail() -> int:
        await asyncio.sleep(0)
        raise Uncertain("broken off", reason="TEST")

    calls = [asyncio.create_task(carried.carry(b"a", fail)) for _ in range(2)]
    for call in calls:
        with pytest.raises(Uncertain):
            await call


async def test_it_has_a_bound() -> None:
    """More than the most is busy, and has begun nothing."""
    carried: Carried[None] = Carried()
    ends = asyncio.Event()

    async def work() -> None:
        await ends.wait()

    calls = [
        asyncio.create_task(carried.carry(bytes([n // 256, n % 256]), work))
        for n in range(CARRIED_MAX)
    ]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await carried.carry(b"one more", work)
    ends.set()
    await asyncio.gather(*calls)
    await carried.carry(b"one more", work)
