"""Whatever is appended, written, built, killed or dropped, in any order: the store that serves is
what the log says of all that is marked, and no number is used twice.
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import NotPossibleNow
from tests.folders import opened
from tests.quarantined import KINDS, put
from tests.rebuilds import (
    Cancelling,
    carried,
    rebuilding_of,
    rebuilt,
    rows_of_generation,
    rows_served,
)
from tests.scale import scaled
from tests.upkeep import compared, settle
from tests.writing import fill

if TYPE_CHECKING:
    from ledger.backends.rocksdb_folder import Folder

ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 40)),
        st.tuples(st.just("quarantine"), st.integers(0, len(KINDS) - 1)),
        st.tuples(st.just("write"), st.just(0)),
        st.tuples(st.just("begin"), st.just(0)),
        st.tuples(st.just("bring"), st.integers(1, 60)),
        st.tuples(st.just("rebuild"), st.just(0)),
        st.tuples(st.just("drop"), st.integers(1, 5)),
        st.tuples(st.just("restart"), st.just(0)),
    ),
    min_size=3,
    max_size=14,
)


@pytest.mark.slow
@pytest.mark.timeout(scaled(240, soak=3_600))
@settings(max_examples=scaled(40, soak=2_000), deadline=None)
@given(acts=ACTS)
def test_any_order_of_acts_keeps_the_trails(acts: list[tuple[str, int]]) -> None:
    """After each act the rows are those of all records below a mark; in the end a writer and a last
    rebuilding give the log, and the generation before has the same rows.
    """
    asyncio.run(_act(acts))


async def _act(acts: list[tuple[str, int]]) -> None:
    numbers = itertools.count()
    built = [1]
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            ledger = await stack.enter_async_context(opened(Path(folder)))
            for act, many in acts:
                if act == "restart":
                    before = await ledger.generations.standing()
                    await stack.aclose()
                    ledger = await stack.enter_async_context(opened(Path(folder)))
                    assert await ledger.generations.standing() == before
                else:
                    await _one(ledger, act, many, numbers)
                standing = await ledger.generations.standing()
                newest = standing.building or standing.serving
                assert newest >= built[-1] or not standing.building
                built.append(max(newest, built[-1]))
                await settle(ledger)
                assert (await compared(ledger)).is_same
            await carried(ledger)
            last = await rebuilt(ledger)
            assert last.comparison.is_same
            assert last.generation >= built[-1]
            assert (await compared(ledger)).is_same
            assert await rows_served(ledger) == await rows_of_generation(ledger, last.before)


async def _one(ledger: Folder, act: str, many: int, numbers: itertools.count[int]) -> None:
    match act:
        case "append":
            first = next(numbers)
            await fill(ledger, range(first, first + many))
            next(itertools.islice(numbers, many - 1, None))
        case "quarantine":
            await put(ledger.log, KINDS[many](next(numbers)))
        case "write":
            await carried(ledger)
        case "begin":
            await ledger.generations.begin()
        case "bring":
            work = asyncio.create_task(rebuilding_of(ledger).rebuild(Cancelling(many)))
            await asyncio.sleep(0.05)
            work.cancel()
            await asyncio.wait([work])
        case "rebuild":
            await rebuilt(ledger)
        case "drop":
            try:
                await ledger.generations.drop(many)
            except NotPossibleNow:
                standing = await ledger.generations.standing()
                assert many not in (standing.building, *standing.kept)
