"""What every engine does that keeps how far numbers are issued, and what an issuer promises on
it.
"""

import asyncio
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeVar

import pytest

from ledger.errors import Busy, NotPossibleNow, Uncertain
from ledger.issuing import BlockRequest, Issuer, NumberBlocks
from ledger.issuing.issuer import numbers_of
from ledger.v1.number_block_pb2 import NumberBlock
from tests.contracts.patience import unique
from tests.number_blocks import (
    NOW_NS,
    RETENTION_NS,
    FaultyBlocks,
    own_space,
    small_range,
    wanted,
)

SECOND_NS = 1_000_000_000
TRIES = 50

T = TypeVar("T")


class Clock:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.now_ns = NOW_NS

    def __call__(self) -> int:
        """The time."""
        return self.now_ns


class NumberBlocksContract(ABC):
    """A subclass says how its port is opened; twice with one folder opens the same state."""

    @abstractmethod
    def open_blocks(self, folder: Path) -> AbstractAsyncContextManager[NumberBlocks]:
        """Open the port; `folder` is an empty one, or was used for it before."""

    @pytest.fixture
    async def blocks(self, tmp_path: Path) -> AsyncIterator[NumberBlocks]:
        """The port under test."""
        async with self.open_blocks(tmp_path) as blocks:
            yield blocks

    # --- the port ---------------------------------------------------------------------------------

    async def test_a_space_moves_from_where_it_stands(self, blocks: NumberBlocks) -> None:
        """A move from elsewhere does nothing, to the same bytes too, and what stands is read."""
        name = unique("space").decode()

        assert await blocks.space(name) is None
        assert not await blocks.move(name, b"one", b"two")
        assert await blocks.move(name, None, b"one")
        assert not await blocks.move(name, None, b"other")
        assert not await blocks.move(name, None, b"one")
        assert await blocks.space(name) == b"one"
        assert await blocks.move(name, b"one", b"\x00two")
        assert not await blocks.move(name, b"one", b"three")
        assert await blocks.space(name) == b"\x00two"

    async def test_of_many_moves_one_is_made(self, blocks: NumberBlocks) -> None:
        """Of movers from one place exactly one is told that it moved, though all go to one."""
        name = unique("space").decode()

        for before, after in ((None, b"one"), (b"one", b"two")):
            tries = [move(blocks, name, before, after) for _ in range(6)]
            moved = await asyncio.gather(*tries)
            assert sum(moved) <= 1
            assert await blocks.space(name) == after

    async def test_a_request_is_given_one_block(self, blocks: NumberBlocks) -> None:
        """The first block of a request stands, whoever gives it another one."""
        request_id, other = os.urandom(16), os.urandom(16)

        assert await blocks.given(request_id) is None
        assert await blocks.give(request_id, b"first") == b"first"
        assert await blocks.give(request_id, b"second") == b"first"
        assert await blocks.given(request_id) == b"first"
        assert await blocks.given(other) is None

    async def test_all_of_many_givers_give_the_same(self, blocks: NumberBlocks) -> None:
        """Givers at once all learn of the one block that stands."""
        request_id = os.urandom(16)

        given = await asyncio.gather(*(give(blocks, request_id, b"%d" % n) for n in range(6)))

        assert set(given) == {await blocks.given(request_id)}

    async def test_it_stands_when_it_is_opened_again(self, tmp_path: Path) -> None:
        """What was told is there after a restart."""
        name, request_id = unique("space").decode(), os.urandom(16)
        async with self.open_blocks(tmp_path) as blocks:
            await blocks.move(name, None, b"here")
            await blocks.give(request_id, b"block")

        async with self.open_blocks(tmp_path) as blocks:
            assert await blocks.space(name) == b"here"
            assert await blocks.given(request_id) == b"block"
            assert await blocks.move(name, b"here", b"there")

    # --- an issuer on it --------------------------------------------------------------------------

    async def test_no_two_of_many_issuers_get_a_number(self, blocks: NumberBlocks) -> None:
        """Issuers at once, each with several requests under way, never get the same number, and
        each serial of the range is used.
        """
        one = small_range(60, mailer_id=own_space())
        issuers = [Issuer(blocks, [one], now_ns=Clock()) for _ in range(3)]

        given = await asyncio.gather(
            *(issue(issuer, wanted(5)) for issuer in issuers for _ in range(4))
        )
        numbers = [number for block in given for number in await numbers_of(block)]

        assert len(numbers) == len(set(numbers)) == 60

    async def test_a_retry_gets_the_same_block(self, blocks: NumberBlocks) -> None:
        """A request that is sent again, elsewhere too, and with others in between and the range no
        longer in the settings, has one block.
        """
        one = small_range(100, mailer_id=own_space())
        first, second = (Issuer(blocks, [one], now_ns=Clock()) for _ in range(2))
        request = wanted(7)

        given = [await issue(first, request), await issue(second, wanted(3))]
        again = await issue(second, request)
        later = await issue(Issuer(blocks, [], now_ns=Clock()), request)

        assert given[0] == again == later
        assert (again.count, again.mailer, again.taken) == (7, "acme", 0)
        with pytest.raises(NotPossibleNow) as error:
            await first.issue(wanted(8, request_id=request.request_id))
        assert error.value.reason == "REQUEST_ID_USED"

    async def test_one_request_at_two_issuers_has_one_block(self, blocks: NumberBlocks) -> None:
        """Two that carry the same request at the same moment give the same numbers."""
        one = small_range(100, mailer_id=own_space())
        request = wanted(5)
        issuers = [Issuer(blocks, [one], now_ns=Clock()) for _ in range(3)]

        given = await asyncio.gather(*(issue(issuer, request) for issuer in issuers))

        assert [block == given[0] for block in given] == [True] * 3

    async def test_what_is_used_up_by_the_same_request_was_given(
        self, blocks: NumberBlocks
    ) -> None:
        """Whoever asks again, while the first call with this id takes all that is left, is told of
        its block, and not that nothing is left.
        """
        one = small_range(5, mailer_id=own_space())
        request = wanted(5)
        first, overtaken = Issuer(blocks, [one], now_ns=Clock()), Overtaken(blocks)
        overtaken.behind_the_first_look = lambda: issue(first, request)

        given = await issue(Issuer(overtaken, [one], now_ns=Clock()), request)

        assert given == await issue(first, request)
        with pytest.raises(NotPossibleNow, match="used up"):
            await first.issue(wanted(1))

    @pytest.mark.parametrize("method", ["move", "give"])
    @pytest.mark.parametrize("written", [False, True])
    async def test_a_fault_loses_numbers_at_most(
        self, blocks: NumberBlocks, method: str, written: bool
    ) -> None:
        """A step that fails, before it is kept or after, repeats no number; the retry succeeds."""
        one = small_range(60, mailer_id=own_space())
        faulty = FaultyBlocks(blocks)
        issuer, other = (Issuer(at, [one], now_ns=Clock()) for at in (faulty, blocks))
        before = await numbers_of(await issue(other, wanted(5)))
        request = wanted(5)
        faults = iter([Uncertain("broken off", reason="TEST")])
        fail = lambda name: next(faults, None) if name == method else None  # noqa: E731
        faulty.fails_unwritten, faulty.fails_written = (
            (lambda _: None, fail) if written else (fail, lambda _: None)
        )

        try:
            given = await issuer.issue(request)
        except Uncertain:
            assert method == "give"
            given = await issue(issuer, request)
        retried = await issue(other, request)
        after = await numbers_of(await issue(other, wanted(5)))

        assert given == retried
        everything = [*before, *await numbers_of(given), *after]
        assert len(everything) == len(set(everything)) == 15

    async def test_numbers_come_again_after_their_retention(self, blocks: NumberBlocks) -> None:
        """A range that is used up says when the next are free; then they are, and not before."""
        one = small_range(10, mailer_id=own_space())
        clock = Clock()
        issuer = Issuer(blocks, [one], now_ns=clock)
        first = await numbers_of(await issue(issuer, wanted(6)))
        clock.now_ns += SECOND_NS
        second = await numbers_of(await issue(issuer, wanted(4)))

        clock.now_ns = NOW_NS + RETENTION_NS - 1
        with pytest.raises(NotPossibleNow, match="used up") as error:
            await issuer.issue(wanted(1))
        clock.now_ns += 1
        again = await numbers_of(await issue(issuer, wanted(6)))
        with pytest.raises(NotPossibleNow):
            await issuer.issue(wanted(1))
        clock.now_ns += SECOND_NS

        assert error.value.reason == "NUMBERS_USED_UP"
        assert error.value.metadata["left"] == "0"
        assert error.value.metadata["free_time"] == "2029-01-28T08:00:00Z"
        assert again == first
        assert await numbers_of(await issue(issuer, wanted(4))) == second

    async def test_settings_that_contradict_are_refused(self, blocks: NumberBlocks) -> None:
        """A process whose settings draw a range otherwise, or one across it, issues nothing."""
        mailer_id = own_space()
        one = small_range(50, mailer_id=mailer_id)
        await issue(Issuer(blocks, [one], now_ns=Clock()), wanted(5))

        for other, reason in (
            (small_range(60, mailer_id=mailer_id), "RANGE_CHANGED"),
            (small_range(40, name="other", mailer_id=mailer_id), "RANGE_OVERLAPS"),
        ):
            issuer = Issuer(blocks, [other], now_ns=Clock())
            with pytest.raises(NotPossibleNow) as error:
                await issuer.issue(wanted(1, range_id=other.id))
            assert error.value.reason == reason


class Overtaken(FaultyBlocks):
    """Behind the first look whether a request was given, something else happens."""

    def __init__(self, blocks: NumberBlocks) -> None:
        super().__init__(blocks)
        self.behind_the_first_look: Callable[[], Awaitable[object]] | None = None

    async def given(self, request_id: bytes) -> bytes | None:
        """As the port's."""
        found = await super().given(request_id)
        if happens := self.behind_the_first_look:
            self.behind_the_first_look = None
            await happens()
        return found


async def move(blocks: NumberBlocks, name: str, before: bytes | None, after: bytes) -> bool:
    """Move; what is uncertain, as under contention, is not said to be moved."""
    try:
        return await blocks.move(name, before, after)
    except Uncertain:
        return False


async def give(blocks: NumberBlocks, request_id: bytes, block: bytes) -> bytes:
    """Give, again where it was uncertain: that is safe."""
    return await insistent(lambda: blocks.give(request_id, block))


async def issue(issuer: Issuer, request: BlockRequest) -> NumberBlock:
    """Issue, again where it was busy or uncertain."""
    return await insistent(lambda: issuer.issue(request))


async def insistent(call: Callable[[], Awaitable[T]]) -> T:
    """Call again and again, as a client does."""
    for _ in range(TRIES):
        try:
            return await call()
        except (Busy, Uncertain):
            await asyncio.sleep(0.01)
    raise AssertionError("it never came through")
