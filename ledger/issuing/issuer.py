"""Carries a request for numbers through the port: takes a block, then gives it.

Between the two a crash loses the block: nobody was told its numbers, and nobody gets them in this
turn. A retry takes another one. What was given is found by the request's id, whatever comes after.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger import metrics
from ledger.errors import Busy, NotPossibleNow, Refused, Uncertain
from ledger.issuing.number_ranges import RANGE_ID_BYTES_MAX, Range
from ledger.issuing.spaces import space_named
from ledger.issuing.turns import Room, range_in, room_of, take
from ledger.v1.number_block_pb2 import NumberBlock, NumberRange, NumberSpace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ledger.issuing.number_blocks import NumberBlocks

BLOCK_NUMBERS_MAX: Final = 10_000
"""Most numbers of a block: an answer of 240 KB."""

REQUEST_ID_BYTES: Final = 16
MAILER_BYTES_MAX: Final = 128

TRIES_MAX: Final = 32
"""How often a space is tried to be moved on that others move on too. One of all succeeds each time,
so this is enough for as many issuers at once.
"""

RETRY_AFTER_S: Final = 0.2
"""What a caller is told to wait then."""

NUMBERS_AT_ONCE: Final = 500
"""Numbers that are made while nothing else runs: some 2 ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRequest:
    """Who wants how many numbers of which range.

    Attributes:
        request_id: minted by the caller, and kept over retries.
        range_id: the range.
        mailer: who gets the numbers.
        count: how many.
    """

    request_id: bytes
    range_id: str
    mailer: str
    count: int


class Standing(NamedTuple):
    """A range, and what is left of it."""

    range: Range
    taken: int
    room: Room


class Issuer:
    """Issues numbers of the ranges of the settings. Any number of issuers may share a store."""

    def __init__(
        self, blocks: NumberBlocks, ranges: Sequence[Range], *, now_ns: Callable[[], int]
    ) -> None:
        """`now_ns` gives nanoseconds since 1970-01-01T00:00:00Z."""
        self._blocks = blocks
        self._ranges: Mapping[str, Range] = {one.id: one for one in ranges}
        self._now_ns = now_ns
        for counter in (metrics.NUMBERS_ISSUED, metrics.NUMBERS_WASTED, metrics.NUMBERS_CONTENDED):
            for one in ranges:
                counter.labels(one.id)  # Shows a 0 until something is counted.

    async def issue(self, request: BlockRequest) -> NumberBlock:
        """Return the block of a request; it is durable then, and nobody else's.

        Raises Refused where the request is none, NotPossibleNow where the range cannot give it,
        Busy (nothing happened), and Uncertain: the same request again is safe, and gives the block
        that this one was given, if it was.
        """
        _check(request)
        given = await self._blocks.given(request.request_id)
        if given is None:
            one = self._range_for(request)
            try:
                block = await self._take(one, request)
            except NotPossibleNow:
                # What was left may have gone to another call with the same id: a first try whose
                # caller has given up waiting.
                given = await self._blocks.given(request.request_id)
                if given is None:
                    raise
            else:
                given = await self._give(request, block)
        # Another call with the same id may have been first; then its block is the answer.
        return _same_request(NumberBlock.FromString(given), request)

    async def _give(self, request: BlockRequest, block: NumberBlock) -> bytes:
        """Write down whose a block is, and return the one that stands for the request."""
        # If we crash here the numbers of the block are lost until their next turn.
        ours = block.SerializeToString(deterministic=True)
        given = await self._blocks.give(request.request_id, ours)
        came_to = metrics.NUMBERS_ISSUED if given == ours else metrics.NUMBERS_WASTED
        came_to.labels(block.range_id).inc(block.count)
        return given

    async def standing(self) -> Sequence[Standing]:
        """Say of all ranges, by name, what is left of them."""
        found = []
        for _, one in sorted(self._ranges.items()):
            state = range_in(_read(await self._blocks.space(one.space)), one)
            room = room_of(state, self._now_ns(), one.retention_ns)
            _show_free(one, room.left)
            found.append(Standing(one, state.taken, room))
        return found

    def _range_for(self, request: BlockRequest) -> Range:
        one = self._ranges.get(request.range_id)
        if one is None:
            raise NotPossibleNow(
                f"No range is called `{request.range_id}` in the settings of this process; "
                f"`parcel-ledger number ranges` lists those that there are.",
                reason="NO_SUCH_RANGE",
                field="range_id",
                metadata={"range_id": request.range_id},
            )
        if one.mailers and request.mailer not in one.mailers:
            raise NotPossibleNow(
                f"The range {one.id} is not for the mailer `{request.mailer}`: its `mailers`, in "
                f"the file of ranges, do not name it.",
                reason="MAILER_NOT_ALLOWED",
                field="mailer",
                metadata={"range_id": one.id, "mailer": request.mailer},
            )
        return one

    async def _take(self, one: Range, request: BlockRequest) -> NumberBlock:
        for _ in range(TRIES_MAX):
            before = await self._blocks.space(one.space)
            space = _read(before)
            state = range_in(space, one)
            now_ns = self._now_ns()
            room = room_of(state, now_ns, one.retention_ns)
            _show_free(one, room.left)
            if request.count > room.left:
                raise _used_up(one, request.count, room)
            taken = take(state, request.count, now_ns)
            try:
                moved = await self._blocks.move(
                    one.space, before, space.SerializeToString(deterministic=True)
                )
            except Uncertain:
                # Whether they are ours cannot be told from where the space stands: another issuer
                # may have moved it to the same bytes. So they are nobody's, and others are taken.
                metrics.NUMBERS_WASTED.labels(one.id).inc(request.count)
                continue
            if moved:
                _show_free(one, room.left - request.count)
                return _block(one, request, taken, state)
            metrics.NUMBERS_CONTENDED.labels(one.id).inc()
        raise Busy(
            f"Too many take numbers of the range {one.id} at this moment.",
            reason="RANGE_CONTENDED",
            retry_after_s=RETRY_AFTER_S,
            metadata={"range_id": one.id},
        )


async def numbers_of(block: NumberBlock) -> Sequence[str]:
    """Make the numbers of a block, in the order in which they were taken."""
    space = space_named(block.space)
    size = block.last_serial - block.first_serial + 1
    numbers: list[str] = []
    for at in range(block.taken, block.taken + block.count):
        numbers.append(space.number(block.first_serial + at % size))
        if len(numbers) % NUMBERS_AT_ONCE == 0:
            await asyncio.sleep(0)
    return numbers


def _show_free(one: Range, left: int) -> None:
    metrics.NUMBERS_FREE.labels(one.id).set(left / one.size)


def _block(one: Range, request: BlockRequest, taken: int, state: NumberRange) -> NumberBlock:
    return NumberBlock(
        range_id=one.id,
        space=one.space,
        first_serial=one.first,
        last_serial=one.last,
        taken=taken,
        count=request.count,
        mailer=request.mailer,
        time_ns=state.segment_times_ns[-1],
        retention_ns=one.retention_ns,
    )


def _read(space: bytes | None) -> NumberSpace:
    return NumberSpace.FromString(space or b"")


def _check(request: BlockRequest) -> None:
    if len(request.request_id) != REQUEST_ID_BYTES:
        raise _invalid("request_id", f"has {len(request.request_id)} bytes, not {REQUEST_ID_BYTES}")
    if not 1 <= len(request.range_id.encode()) <= RANGE_ID_BYTES_MAX:
        raise _invalid("range_id", f"has 1 to {RANGE_ID_BYTES_MAX} bytes")
    if not request.mailer.strip() or len(request.mailer.encode()) > MAILER_BYTES_MAX:
        raise _invalid("mailer", f"has 1 to {MAILER_BYTES_MAX} bytes; it says who gets the numbers")
    if not 1 <= request.count <= BLOCK_NUMBERS_MAX:
        raise _invalid("count", f"is {request.count}; a block has 1 to {BLOCK_NUMBERS_MAX} numbers")


def _same_request(block: NumberBlock, request: BlockRequest) -> NumberBlock:
    asked = (request.range_id, request.mailer, request.count)
    if (block.range_id, block.mailer, block.count) != asked:
        raise NotPossibleNow(
            f"This `request_id` was given {block.count} numbers of the range {block.range_id} for "
            f"the mailer `{block.mailer}`. Mint another id for another block.",
            reason="REQUEST_ID_USED",
            field="request_id",
        )
    return block


def _used_up(one: Range, count: int, room: Room) -> NotPossibleNow:
    metadata = {"range_id": one.id, "left": str(room.left)}
    if room.free_ns is None:
        said = f"and has {one.size} in all. Ask for fewer"
    else:
        free = datetime.fromtimestamp(-(-room.free_ns // 1_000_000_000), UTC)
        metadata["free_time"] = f"{free:%Y-%m-%dT%H:%M:%SZ}"
        said = (
            f"the next become free at {metadata['free_time']}, when they have rested for "
            f"{one.reuse_months} months. Ask for fewer, ask then, or add a range to the settings"
        )
    return NotPossibleNow(
        f"The range {one.id} is used up: {count} numbers are wanted, {room.left} are free, {said}.",
        reason="NUMBERS_USED_UP",
        field="count",
        metadata=metadata,
    )


def _invalid(field: str, what: str) -> Refused:
    return Refused(f"`{field}` {what}.", reason="FIELD_INVALID", field=field)
