"""Whatever the mix of good and bad records, and wherever writers die: the trails are the same, and
each bad record is open in quarantine once.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.codec import Fault, fault_of, read_record
from ledger.errors import Diverged, LedgerError
from ledger.numbers import partition_of
from ledger.position import pack_position
from ledger.quarantine.items import State
from ledger.quarantine.records import Unfit, stub_of, stub_row
from ledger.v1.quarantine_pb2 import QuarantineReason
from tests.faults.known import all_rows, append, contents, known
from tests.faulty_log import FaultyLog
from tests.faulty_store import FaultyStore
from tests.folders import PARTITIONS, opened
from tests.quarantined import KINDS, items_of, put
from tests.rows import rows_of_one
from tests.scale import scaled
from tests.writing import UnderAnotherName, caught_up, writer

if TYPE_CHECKING:
    from ledger.backends.rocksdb_folder import Folder

STEPS = {"put", "put_marks", "append"}
"""What is durable: rows, marks, and records of either log."""


class Death(NamedTuple):
    """When a writer dies: at its nth durable step, before or after it has had its effect."""

    step: int
    after: bool
    both: bool
    """Whether a second writer of the same partitions runs beside it."""


GOOD = len(KINDS)
MIXES = st.lists(st.integers(0, 2 * GOOD), min_size=1, max_size=25)
DEATHS = st.lists(st.builds(Death, st.integers(1, 12), st.booleans(), st.booleans()), max_size=6)


@pytest.mark.slow
@pytest.mark.timeout(scaled(180, soak=3_600))
@settings(max_examples=scaled(200, soak=10_000), deadline=None)
@given(mix=MIXES, deaths=DEATHS)
def test_deaths_change_nothing(mix: list[int], deaths: list[Death]) -> None:
    """Rows are those of the log's records and stubs; items are those that cannot be kept."""
    asyncio.run(_live_and_die(mix, deaths))


async def _live_and_die(mix: list[int], deaths: list[Death]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with opened(Path(folder), sync=False) as ledger:
            bad = set()
            for number, kind in enumerate(mix):
                if kind < GOOD:
                    bad.add(await put(ledger.log, KINDS[kind](number)))
                else:
                    await append(ledger.log, known(number, partitions=PARTITIONS))
            for death in deaths:
                await _life(ledger, death)
            await _life(ledger, None)

            items = await items_of(ledger)
            assert items.keys() == bad
            assert {item.state for item in items.values()} <= {State.OPEN}
            assert await all_rows(ledger.store) == await _wanted(ledger)


async def _life(ledger: Folder, death: Death | None) -> None:
    """Run a writer until it dies, or all is carried; what runs then is killed."""
    lives = [asyncio.create_task(_writer(ledger, FaultyLog(ledger.log), death))]
    if death and death.both:
        lives.append(asyncio.create_task(_writer(ledger, UnderAnotherName(ledger.log), death)))
    done = asyncio.create_task(caught_up(ledger))
    await asyncio.wait([*lives, done], return_when=asyncio.FIRST_COMPLETED)
    for task in (*lives, done):
        task.cancel()
    await asyncio.gather(*lives, done, return_exceptions=True)
    if death is None:
        done.result()


async def _writer(ledger: Folder, log: FaultyLog, death: Death | None) -> None:
    store, quarantine = FaultyStore(ledger.store), FaultyLog(ledger.quarantine)
    steps = 0

    def dies(what: object) -> LedgerError | None:
        nonlocal steps
        step = what if isinstance(what, str) else "append"
        steps += step in STEPS
        return Diverged("dead", reason="TEST") if death and steps >= death.step else None

    name = "fails_written" if death and death.after else "fails_unwritten"
    for engine in (log, store, quarantine):
        setattr(engine, name, dies)
    await writer(log, quarantine, store).run()


async def _wanted(ledger: Folder) -> set[tuple[bytes, bytes, bytes]]:
    """Say in the plainest way which rows there have to be."""
    wanted = set()
    for (partition, index), value in (await contents(ledger.log)).items():
        position = pack_position(1, partition, index)
        if fault := fault_of(value):
            stub = stub_of(Unfit(position, value, fault))
            rows = [stub_row(stub, position)] if stub else []
        elif partition_of(read_record(value).tracking_key, PARTITIONS) != partition:
            rows = []  # Its stub is a record of the log.
            await _check_stub(ledger, position, value)
        else:
            rows = rows_of_one(read_record(value), value, position)
        wanted |= {(row.tracking_key, row.order, row.record) for row in rows}
    return wanted


async def _check_stub(ledger: Folder, position: int, value: bytes) -> None:
    fault = Fault(QuarantineReason.QUARANTINE_REASON_WRONG_PARTITION, "")
    stub = stub_of(Unfit(position, value, fault))
    assert stub is not None
    assert stub.SerializeToString(deterministic=True) in (await contents(ledger.log)).values()
