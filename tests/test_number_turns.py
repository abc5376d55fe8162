"""Numbers are taken in turns, against an oracle that knows of each serial when it was taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import NotPossibleNow
from ledger.issuing.turns import SPACE_RANGES_MAX, range_in, room_of, segments_of, take
from ledger.v1.number_block_pb2 import NumberRange, NumberSpace
from tests.number_blocks import NOW_NS, small_range
from tests.scale import scaled

RETENTION = 1_000
STEPS = st.lists(st.tuples(st.integers(1, 60), st.integers(-50, 900)), max_size=scaled(40, soak=90))


@given(size=st.integers(1, 200), steps=STEPS)
def test_no_serial_is_taken_before_it_has_rested(size: int, steps: list[tuple[int, int]]) -> None:
    """Whatever is taken when, each serial rested; what is said to be free is, and the time at which
    more are said to become free is right. The clock goes back now and then.
    """
    state = NumberRange(first_serial=1, last_serial=size)
    taken_at: dict[int, int] = {}
    now = latest = NOW_NS
    for count, later in steps:
        now += later
        latest = max(latest, now)
        room = room_of(state, now, RETENTION)
        assert 0 <= room.left <= size
        assert (room.free_ns is None) == (room.left == size)
        if room.free_ns is not None:
            assert room.free_ns > now
            assert room_of(state, room.free_ns - 1, RETENTION) == room
            assert room_of(state, room.free_ns, RETENTION).left > room.left
        if count > room.left:
            continue
        before = take(state, count, now)
        for serial in range(before, before + count):
            if serial % size in taken_at:
                assert taken_at[serial % size] + RETENTION <= now
            taken_at[serial % size] = latest
        assert len(state.segment_times_ns) <= segments_of(size) + 1
        assert list(state.segment_times_ns) == sorted(state.segment_times_ns)


@given(size=st.integers(1, 400), steps=st.lists(st.integers(1, 50), min_size=1, max_size=60))
def test_all_is_free_after_a_rest(size: int, steps: list[int]) -> None:
    """However much was taken, after the retention the whole range is free, and no more."""
    state = NumberRange(first_serial=1, last_serial=size)
    now = NOW_NS
    for count in steps:
        now += RETENTION
        take(state, min(count, size), now)

    assert room_of(state, now + RETENTION, RETENTION).left == size


@given(size=st.integers(1, 10**9), data=st.data())
def test_numbers_rest_little_longer_than_they_must(size: int, data: st.DataObject) -> None:
    """What waits although it rested is less than a segment, a 32nd of the range."""
    state = NumberRange(first_serial=0, last_serial=size - 1)
    early = data.draw(st.integers(1, size))
    take(state, early, NOW_NS)
    if early < size:
        take(state, size - early, NOW_NS + 1)

    room = room_of(state, NOW_NS + RETENTION, RETENTION)

    assert early - size // segments_of(size) - 1 <= room.left <= early


def test_a_space_has_a_bound() -> None:
    """The state of a space is read and written whole, so it has a most."""
    space = NumberSpace()
    for place in range(SPACE_RANGES_MAX):
        name, first = f"r{place}", 10 * place
        space.ranges.add(range_id=name, first_serial=first, last_serial=first + 9)

    with pytest.raises(NotPossibleNow) as error:
        range_in(space, small_range(5, name="more"))
    assert error.value.reason == "RANGE_OVERLAPS"
    del space.ranges[0]
    space.ranges.add(range_id="far", first_serial=10**6, last_serial=10**6)
    with pytest.raises(NotPossibleNow) as error:
        range_in(space, small_range(5, name="more"))
    assert error.value.reason == "TOO_MANY_RANGES"
