"""What no mapping explains: counted with examples, within bounds, and through the port alone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from ledger.app.operator import unmapped
from ledger.app.operator.unmapped import CODES_MAX, EXAMPLES_MAX, list_unmapped
from ledger.numbers import filing_key, partition_of
from ledger.position import Position
from ledger.v1 import scan_event_pb2 as pb
from ledger.vocabulary import built_in, load_mappings
from tests.folders import PARTITIONS, opened
from tests.trails import Arrival, at_minute, row, scan

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from ledger.scan_log import ScanLog
    from ledger.v1.operator_service_pb2 import ListUnmappedResponse


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[ScanLog]:
    """The log of an empty folder."""
    async with opened(tmp_path) as ledger:
        yield ledger.log


def arrival(number: int, code: str, system: str = "usps", **fields: object) -> Arrival:
    """A scan with a source's own code."""
    event = scan(
        (number, code),
        number=f"ITEM{number}",
        minute=number,
        type=pb.SCAN_EVENT_TYPE_UNMAPPED,
        code_system=system,
        source_code=code,
        **fields,
    )
    return Arrival(event, f"partner-{number % 5}")


async def append(log: ScanLog, *arrivals: Arrival) -> None:
    """Append scans, as ingest does, each to the partition of its item."""
    for one in arrivals:
        key = filing_key(one.event.tracking_number)
        partition = partition_of(key, PARTITIONS)
        value = row(one, Position(1, partition, 0), record_time_ns=time.time_ns()).record
        await log.append(partition, [key], [value])


async def look(log: ScanLog, records_max: int = 0) -> ListUnmappedResponse:
    """Ask with the mappings that are built in."""
    return await list_unmapped(log, built_in(), records_max=records_max, monotonic=time.monotonic)


async def test_codes_are_counted_the_most_frequent_first(log: ScanLog) -> None:
    """With when, where from and for which items; explained and canonical scans are left out."""
    await append(
        log,
        *(arrival(number, "Q9", source_text="Gone fishing") for number in range(7)),
        *(arrival(number, "K1", "acme", source_reason_code="5") for number in range(3)),
        *(arrival(number, "01") for number in range(4)),
        Arrival(scan("sorted", number="ITEM1")),
    )

    found = await look(log)

    first, second = found.codes
    assert (first.code_system, first.source_code, first.count) == ("usps", "Q9", 7)
    assert (second.code_system, second.source_code, second.count) == ("acme", "K1", 3)
    assert (first.system_is_known, second.system_is_known) == (True, False)
    assert (first.first_scan_time, first.last_scan_time) == (at_minute(0), at_minute(6))
    assert list(first.source_texts) == ["Gone fishing"]
    assert list(second.source_reason_codes) == ["5"]
    assert len(first.tracking_keys) == len(first.source_ids) == EXAMPLES_MAX
    assert set(first.tracking_keys) <= {f"ITEM{number}" for number in range(7)}
    assert (found.looked_at_count, found.record_count, found.mapped_count) == (15, 15, 4)


async def test_only_the_newest_records_are_looked_through(log: ScanLog) -> None:
    """As many as were asked for, whichever partitions they lie in."""
    await append(log, *(arrival(number, f"Q{number}") for number in range(40)))

    found = await look(log, 8)

    assert (found.looked_at_count, found.record_count) == (8, 40)
    assert sum(code.count for code in found.codes) == 8
    assert (await look(log, 1 << 31)).looked_at_count == 40


async def test_a_partition_alone_gets_the_share_of_all(log: ScanLog) -> None:
    """What lies in one partition is looked through as deep as was asked, if it is the last."""
    last = [n for n in range(200) if partition_of(b"ITEM%d" % n, PARTITIONS) == PARTITIONS - 1]
    await append(log, *(arrival(number, "Q9") for number in last[:20]))

    assert (await look(log, 20)).looked_at_count == 20


async def test_a_long_partition_is_looked_through_step_by_step(log: ScanLog) -> None:
    """Each record once: none is counted twice or left out where one step ends."""
    many = [arrival(number, f"Q{number % 7}") for number in range(1_200)]
    values = [row(one, Position(1, 0, 0), record_time_ns=1).record for one in many]
    await log.append(0, [b"K"] * len(values), values)

    found = await look(log)

    assert sum(code.count for code in found.codes) == found.looked_at_count == 1_200
    assert sorted(code.count for code in found.codes) == [171] * 4 + [172] * 3


async def test_a_long_look_ends_in_time(log: ScanLog) -> None:
    """And says how much it has looked through."""
    await append(log, *(arrival(number, "Q9") for number in range(20)))
    ticks = iter(range(0, 1_000, 15))

    found = await list_unmapped(
        log, built_in(), records_max=0, monotonic=lambda: float(next(ticks))
    )

    assert 0 < found.looked_at_count < found.record_count == 20


async def test_codes_without_end_are_counted_and_not_kept(
    log: ScanLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A source that sends another code each time fills no memory."""
    assert CODES_MAX == 1_000
    monkeypatch.setattr(unmapped, "CODES_MAX", 5)
    await append(log, *(arrival(number, f"Q{number}") for number in range(9)))

    found = await look(log)

    assert len(found.codes) == 5
    assert found.left_out_count == 4


async def test_what_cannot_be_read_is_passed_over(log: ScanLog) -> None:
    """It lies in quarantine; the look goes on behind it."""
    await log.append(0, [b"K"], [b"\xff garbage"])
    await append(log, arrival(1, "Q9"))

    found = await look(log)

    assert (found.looked_at_count, len(found.codes)) == (2, 1)


async def test_a_mapping_that_comes_later_empties_the_list(log: ScanLog, tmp_path: Path) -> None:
    """The scans are the same; what explains them is new."""
    await append(log, arrival(1, "K1", "acme"))
    own = tmp_path / "own"
    own.mkdir()
    (own / "acme.csv").write_text("# code-system: acme\n# version: 1\ncode,event\nK1,LOST\n")

    found = await list_unmapped(log, load_mappings(own), records_max=0, monotonic=time.monotonic)

    assert (await look(log)).codes
    assert not found.codes
    assert found.mapped_count == 1
