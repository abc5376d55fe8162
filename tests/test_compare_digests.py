"""Digests of rows: order does not matter, and nothing else is forgiven."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.compare import digests
from ledger.compare.digests import Digests, Scope, first_of, range_of, row_digest
from ledger.event import order_key
from ledger.position import pack_position
from ledger.scan_log import Bounds
from ledger.trail_store import KeptRow

keys = st.binary(min_size=1, max_size=4).filter(lambda key: b"\0" not in key)
rows = st.builds(
    lambda key, time, index, record: KeptRow(
        key, order_key(time, bytes(16), pack_position(1, index % 3, index)), record
    ),
    keys,
    st.integers(0, 3),
    st.integers(0, 200_000),
    st.binary(max_size=3),
)


def digest_of(some: list[KeptRow]) -> Digests:
    """Their digests."""
    made = Digests()
    made.add(some)
    return made


@given(st.lists(rows, max_size=20), st.randoms())
def test_the_order_of_rows_does_not_matter(some: list[KeptRow], random: object) -> None:
    """Rows in another order, and in several pages, have the same digests."""
    shuffled = sorted(some, key=lambda _: random.random())  # type: ignore[attr-defined]
    there = digest_of(shuffled[: len(some) // 2])
    there.add(shuffled[len(some) // 2 :])

    assert digest_of(some).differing(there) == []
    assert there.rows == len(some)


@given(st.lists(rows, max_size=8), st.lists(rows, max_size=8))
def test_other_rows_have_other_digests(one: list[KeptRow], other: list[KeptRow]) -> None:
    """Exactly those ranges differ in which there are other rows, or another number of them."""
    places = {range_of(digests.position_of(row)) for row in one + other}
    differ = [
        place
        for place in sorted(places)
        if sorted(row for row in one if range_of(digests.position_of(row)) == place)
        != sorted(row for row in other if range_of(digests.position_of(row)) == place)
    ]

    assert digest_of(one).differing(digest_of(other)) == differ


@pytest.mark.parametrize("times", [2, 4])
def test_what_comes_twice_does_not_cancel_itself(times: int) -> None:
    """A row that comes an even number of times is seen, as with an exclusive or it would not be."""
    row = KeptRow(b"K", order_key(1, bytes(16), pack_position(1, 0, 7)), b"record")

    assert digest_of([row] * times).differing(digest_of([])) == [range_of(pack_position(1, 0, 7))]
    assert digest_of([row] * times).differing(digest_of([row])) != []


def test_the_digest_is_as_the_wire_says() -> None:
    """The sum modulo 2^256 of SHA-256 over the key's length, key, order and record: anybody can
    work it out.
    """
    some = [
        KeptRow(b"K" * size, order_key(size, bytes(16), pack_position(1, 2, size)), b"r" * size)
        for size in (1, 2, 128)
    ]
    total = sum(
        int.from_bytes(hashlib.sha256(bytes([len(key)]) + key + order + record).digest(), "big")
        for key, order, record in some
    )

    found = digest_of(some).of_partition(1, 2)

    assert found == (3, total % 2**256)
    assert digest_of(some).of_partition(1, 1) == (0, 0)
    assert sum(int.from_bytes(row_digest(row), "big") for row in some) == total


def test_a_scope_gives_its_spans() -> None:
    """Whole partitions, or what some ranges have of them."""
    begin, end = pack_position(1, 3, 10), pack_position(1, 3, 200_000)
    scope = Scope(1, {3: Bounds(10, 200_000), 5: Bounds(0, 1)})
    ranges = [range_of(begin), range_of(end), range_of(pack_position(1, 4, 0))]

    assert next(iter(scope.spans())) == (begin, end)
    assert list(scope.spans(ranges)) == [
        (begin, pack_position(1, 3, 65_536)),
        (first_of(range_of(end)), end),
    ]
    assert scope.positions == 199_991
