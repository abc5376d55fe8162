"""Positions as numbers: nothing is lost, and numbers sort as positions do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.position import (
    GENERATION_MAX,
    INDEX_MAX,
    PARTITIONS_MAX,
    Position,
    pack_position,
    unpack_position,
)

POSITIONS = st.builds(
    Position,
    st.integers(1, GENERATION_MAX),
    st.integers(0, PARTITIONS_MAX - 1),
    st.integers(0, INDEX_MAX),
)


def packed(position: Position) -> int:
    """The number of a position."""
    return pack_position(position.generation, position.partition, position.index)


@given(POSITIONS)
def test_a_position_survives_packing(position: Position) -> None:
    """Packing and unpacking give the position back, and the number fits a signed 64-bit one."""
    number = packed(position)

    assert unpack_position(number) == position
    assert 0 < number < 1 << 63


@given(POSITIONS, POSITIONS)
def test_numbers_sort_as_positions_do(one: Position, other: Position) -> None:
    """Generation, partition, index: in this order, also as numbers."""
    assert (packed(one) < packed(other)) == (one < other)


def test_the_frozen_layout() -> None:
    """7 bits of generation, 16 of partition, 40 of index: stored rows depend on it."""
    assert pack_position(1, 2, 3) == (1 << 56) + (2 << 40) + 3
    assert pack_position(127, 65_535, (1 << 40) - 1) == (1 << 63) - 1


@pytest.mark.parametrize(
    "position",
    [
        (0, 0, 0),
        (GENERATION_MAX + 1, 0, 0),
        (1, -1, 0),
        (1, PARTITIONS_MAX, 0),
        (1, 0, -1),
        (1, 0, INDEX_MAX + 1),
    ],
)
def test_what_does_not_fit_is_refused(position: tuple[int, int, int]) -> None:
    """A number out of its range would become another position."""
    with pytest.raises(ValueError, match="is not in"):
        pack_position(*position)


@pytest.mark.parametrize("number", [0, 1, (1 << 56) - 1, 1 << 63, -1, -(1 << 60)])
def test_what_is_no_position_is_refused(number: int) -> None:
    """0 means no position, and other numbers mean nothing."""
    with pytest.raises(ValueError, match="is no position"):
        unpack_position(number)
