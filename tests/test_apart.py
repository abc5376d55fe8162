"""Keys that cannot be read, told apart from those that can, with a bounded number of reads."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import Busy, Diverged
from query.apart import Patience, read_apart

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from query.apart import NotRead

KEYS = [b"%d" % number for number in range(100)]
BUSY = Busy("busy", reason="STORE_BUSY", retry_after_s=1)
PATIENCE_S = 5.0


class Reads:
    """Reads that fail where they have a bad key, and are counted."""

    def __init__(self, bad: set[bytes], error: Exception = BUSY) -> None:
        self.count = 0
        self._bad = bad
        self._error = error

    async def __call__(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Give each key for itself."""
        self.count += 1
        if self._bad.intersection(keys):
            raise self._error
        return {key: key for key in keys}

    def apart(
        self, keys: Sequence[bytes], more_reads: int
    ) -> tuple[Mapping[bytes, bytes], Mapping[bytes, NotRead]]:
        """Read these."""
        return asyncio.run(read_apart(self, keys, Patience(PATIENCE_S, more_reads)))


keys_and_bad = st.integers(1, len(KEYS)).flatmap(
    lambda count: st.tuples(st.just(KEYS[:count]), st.sets(st.sampled_from(KEYS[:count])))
)


@given(keys_and_bad, st.integers(0, 40))
def test_each_key_is_read_or_said_and_no_read_is_beyond_the_bound(
    given_keys: tuple[list[bytes], set[bytes]], more_reads: int
) -> None:
    """No key is lost, no bad one is found, and nothing is failed where nothing is bad."""
    keys, bad = given_keys
    reads = Reads(bad)

    found, failed = reads.apart(keys, more_reads)

    assert sorted([*found, *failed]) == sorted(keys)
    assert bad <= failed.keys()
    assert not failed or bad
    assert reads.count <= 1 + more_reads


@given(keys_and_bad)
def test_with_reads_enough_only_bad_ones_fail(
    given_keys: tuple[list[bytes], set[bytes]],
) -> None:
    """Twice as many as there are keys are enough for all."""
    keys, bad = given_keys

    _, failed = Reads(bad).apart(keys, 2 * len(keys))

    assert failed.keys() == bad


@pytest.mark.parametrize("key", [KEYS[0], KEYS[41], KEYS[-1]])
def test_one_among_a_hundred_is_found_with_fourteen_reads_more(key: bytes) -> None:
    """Twice the logarithm."""
    reads = Reads({key})

    _, failed = reads.apart(KEYS, 14)

    assert [*failed] == [key]
    assert reads.count <= 15


async def test_without_patience_and_for_other_errors_it_raises() -> None:
    """Who asks for one wants to hear of it; and what no waiting mends is nobody's bad key."""
    with pytest.raises(Busy):
        await read_apart(Reads({KEYS[0]}), KEYS, None)
    reads = Reads({KEYS[0]}, Diverged("cut", reason="LOG_CUT"))
    with pytest.raises(Diverged):
        await read_apart(reads, KEYS, Patience(PATIENCE_S, 40))
