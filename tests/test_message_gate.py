"""The gate that requests are read through: how many at once, who waits, and who is turned away."""

import asyncio

import pytest

from ledger.app.message_gate import LARGE_BYTES, PAUSES, MessageGate
from ledger.errors import Busy, Refused


class Call:
    """What gRPC gives a method: its message comes when the test sends it."""

    def __init__(self) -> None:
        self.asked = False
        self.message: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    async def read(self) -> object:
        """Wait for the message."""
        self.asked = True
        return await self.message


async def settled() -> None:
    """Let every task run until it waits."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_no_more_calls_are_read_than_there_are_places() -> None:
    """A call that waits is not read: its message stays with the sender."""
    gate = MessageGate(at_once_max=1)
    calls = [Call(), Call()]
    reads = [asyncio.create_task(gate.read(call)) for call in calls]
    await settled()
    assert [call.asked for call in calls] == [True, False]

    calls[0].message.set_result(b"one")
    await settled()
    assert calls[1].asked
    calls[1].message.set_result(b"two")
    assert await asyncio.gather(*reads) == [b"one", b"two"]


async def test_a_call_that_finds_too_many_waiting_is_told_at_once() -> None:
    """Nothing of it was read; it is told to slow down, and when to come again."""
    gate = MessageGate(at_once_max=1, waiting_max=1)
    reads = [asyncio.create_task(gate.read(Call())) for _ in range(2)]
    await settled()
    over = Call()
    with pytest.raises(Busy, match="wait"):
        await gate.read(over)
    assert not over.asked
    for read in reads:
        read.cancel()


async def test_nobody_waits_or_sends_for_ever() -> None:
    """A sender that begins a message and stops loses its place; who waited too long is told."""
    gate = MessageGate(at_once_max=1, place_wait_s=0.01, read_s=0.05)
    slow = asyncio.create_task(gate.read(Call()))
    await settled()
    with pytest.raises(Busy, match="being read"):
        await gate.read(Call())
    with pytest.raises(Busy, match="in time"):
        await slow

    call = Call()
    call.message.set_result(b"x")
    assert await gate.read(call) == b"x"


async def test_a_caller_that_is_gone_gives_its_place_back() -> None:
    """Whether it had a place or waited for one."""
    gate = MessageGate(at_once_max=1, waiting_max=1)
    for _ in range(3):
        reads = [asyncio.create_task(gate.read(Call())) for _ in range(2)]
        await settled()
        for read in reads:
            read.cancel()
        await asyncio.gather(*reads, return_exceptions=True)

    call = Call()
    call.message.set_result(b"x")
    assert await gate.read(call) == b"x"


async def test_a_call_without_a_message_is_refused() -> None:
    """The sender closed its side first."""
    call = Call()
    call.message.set_result(None)
    with pytest.raises(Refused) as caught:
        await MessageGate().read(call)
    assert caught.value.reason == "MESSAGE_MISSING"


async def test_new_calls_begin_between_large_messages() -> None:
    """Large messages come one by one, with turns of the loop for others before each."""
    gate = MessageGate()
    calls = [Call() for _ in range(3)]
    for call in calls:
        call.message.set_result(bytes(LARGE_BYTES))
    turns = [0]
    at: list[int] = []

    async def count() -> None:
        while True:
            await asyncio.sleep(0)
            turns[0] += 1

    async def read(call: Call) -> None:
        await gate.read(call)
        at.append(turns[0])

    counting = asyncio.create_task(count())
    await asyncio.gather(*(read(call) for call in calls))
    counting.cancel()
    assert all(later - earlier >= PAUSES for earlier, later in zip([0, *at], at, strict=False))
