"""How numbers are taken out of a range in turns: pure arithmetic on where a space stands.

Serials are taken one after the other, and begin again behind the last. A serial is free when it was
never taken, or its retention is over. Times are kept per segment, 32 in a turn: a segment counts as
taken when its last number was, so a number may rest a little longer than it has to, never shorter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.errors import NotPossibleNow

if TYPE_CHECKING:
    from ledger.issuing.number_ranges import Range
    from ledger.v1.number_block_pb2 import NumberRange, NumberSpace

SEGMENTS: Final = 32
"""Segments of a turn: 33 times are 300 bytes, and numbers rest a thirtieth of a turn too long."""

SPACE_RANGES_MAX: Final = 64
"""Most ranges of a space, which is read and written whole: some 20 KB."""


class Room(NamedTuple):
    """What can be taken of a range."""

    left: int
    """Numbers that are free now."""
    free_ns: int | None
    """When more are, in nanoseconds since 1970-01-01T00:00:00Z; None: all are free."""


def range_in(space: NumberSpace, one: Range) -> NumberRange:
    """Find a range in its space, or add it. Raises NotPossibleNow where the settings contradict
    what was issued before, by this process or another.
    """
    for known in space.ranges:
        same = (known.first_serial, known.last_serial) == (one.first, one.last)
        if known.range_id == one.id:
            if not same:
                raise _contradicts(one, known, "RANGE_CHANGED", "has issued as")
            return known
        if known.first_serial <= one.last and one.first <= known.last_serial:
            raise _contradicts(
                one, known, "RANGE_OVERLAPS", f"overlaps the range {known.range_id},"
            )
    if len(space.ranges) >= SPACE_RANGES_MAX:
        raise NotPossibleNow(
            f"The numbers {one.space} have {SPACE_RANGES_MAX} ranges already, which is the most.",
            reason="TOO_MANY_RANGES",
            metadata={"space": one.space},
        )
    return space.ranges.add(range_id=one.id, first_serial=one.first, last_serial=one.last)


def room_of(state: NumberRange, now_ns: int, retention_ns: int) -> Room:
    """Say how many numbers are free, and when more are."""
    size = _size(state)
    # Serials count on over turns here: `end` is the first one that is not free.
    end = size
    free_ns: int | None = None
    if state.taken:
        segment = _segment(size, max(0, state.taken - size))
        newest = _segment(size, state.taken - 1)
        while segment <= newest and _time_of(state, segment) + retention_ns <= now_ns:
            end = _end_of(size, segment) + size
            segment += 1
        end = min(end, state.taken + size)
        if segment <= newest:
            free_ns = _time_of(state, segment) + retention_ns
    return Room(max(0, end - state.taken), free_ns)


def take(state: NumberRange, count: int, now_ns: int) -> int:
    """Take numbers that are free, and return how many were taken before. `state` changes."""
    size, before = _size(state), state.taken
    times = state.segment_times_ns
    # A clock that went back must not make numbers free too early.
    now_ns = max(now_ns, times[-1] if times else 0)
    newest = _segment(size, before - 1) if before else -1
    if newest == _segment(size, before):
        times[-1] = now_ns
    times.extend([now_ns] * (_segment(size, before + count - 1) - newest))
    del times[: max(0, len(times) - segments_of(size) - 1)]
    state.taken = before + count
    return before


def segments_of(size: int) -> int:
    """Give how many segments a turn of so many serials has."""
    return min(SEGMENTS, size)


def _size(state: NumberRange) -> int:
    return state.last_serial - state.first_serial + 1


def _segment(size: int, serial: int) -> int:
    """Give the segment of a serial; both count on over turns."""
    turn, at = divmod(serial, size)
    return turn * segments_of(size) + at * segments_of(size) // size


def _end_of(size: int, segment: int) -> int:
    """Give the first serial behind a segment."""
    turn, at = divmod(segment, segments_of(size))
    return turn * size + -(-(at + 1) * size // segments_of(size))


def _time_of(state: NumberRange, segment: int) -> int:
    newest = _segment(_size(state), state.taken - 1)
    return state.segment_times_ns[len(state.segment_times_ns) - 1 - (newest - segment)]


def _contradicts(one: Range, known: NumberRange, reason: str, how: str) -> NotPossibleNow:
    return NotPossibleNow(
        f"The range {one.id} of {one.space} is {one.first} to {one.last} by the settings, and "
        f"{how} {known.first_serial} to {known.last_serial}. A range that was issued from stays as "
        f"it is: set its serials right, or give another range a name and serials of its own.",
        reason=reason,
        metadata={"range_id": one.id, "issued_range_id": known.range_id},
    )
