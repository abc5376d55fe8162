"""The same workload on both engines: the same results, and the same trails, field by field."""

from __future__ import annotations

import itertools
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import pytest

from ledger.app.client import open_channel
from ledger.v1.ingest_service_pb2 import Batch, BatchResult, RecordScanBatchRequest
from ledger.v1.ingest_service_pb2_grpc import IngestServiceStub
from ledger.v1.progress_service_pb2 import GetProgressRequest
from ledger.v1.progress_service_pb2_grpc import ProgressServiceStub
from ledger.v1.trail_service_pb2 import (
    TRAIL_ORDER_RECORDED,
    TRAIL_ORDER_SCAN_TIME,
    TRAIL_VIEW_FULL,
    ListScanEventsRequest,
    TrailEntry,
    TrailOrder,
)
from ledger.v1.trail_service_pb2_grpc import TrailServiceStub
from tests.distributed.ledger import Ledger
from tests.distributed.workload import SHARES, Workload
from tests.scale import scaled
from tests.shells import ledger_up

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import grpc

    from ledger.app.engines import Cassandra, Kafka

pytestmark = pytest.mark.timeout(scaled(600, soak=7_200))

PARTITIONS = 32
"""As many as `up` makes: the same record then has the same position in both."""

BATCHES = 60
PAGE = 7
WITHIN_S = 60


class Doors(NamedTuple):
    """A ledger by its doors, wherever they are."""

    ingest: grpc.Channel
    query: grpc.Channel

    def record(self, batch: Batch) -> BatchResult:
        """Record a batch; give its result without what the clock says."""
        request = RecordScanBatchRequest(batch=batch)
        result = IngestServiceStub(self.ingest).RecordScanBatch(request, timeout=WITHIN_S).result
        assert not result.resend
        result.ClearField("server_time")
        return result

    def wait_readable(self, results: Sequence[BatchResult]) -> None:
        """Wait until trails show all of it."""
        ends: dict[int, int] = {}
        for place in itertools.chain.from_iterable(each.highest_positions for each in results):
            ends[place.partition] = max(place.index + 1, ends.get(place.partition, 0))
        until_s = time.monotonic() + WITHIN_S
        while True:
            answer = ProgressServiceStub(self.query).GetProgress(GetProgressRequest(), timeout=20)
            readable = {one.partition: one.readable_index for one in answer.partitions}
            if all(readable.get(partition, 0) >= end for partition, end in ends.items()):
                return
            assert time.monotonic() < until_s, (readable, ends)
            time.sleep(0.05)

    def trail(self, number: str, order: TrailOrder.ValueType, *, descending: bool) -> list[bytes]:
        """Read a whole trail, page by page; give every entry without what the clock said.

        Positions stay: a batch was recorded before the next was sent, so they have to be equal.
        """
        request = ListScanEventsRequest(
            tracking_number=number,
            order=order,
            descending=descending,
            page_size=PAGE,
            view=TRAIL_VIEW_FULL,
        )
        entries: list[bytes] = []
        while True:
            page = TrailServiceStub(self.query).ListScanEvents(request, timeout=WITHIN_S)
            assert len(page.entries) <= PAGE
            entries += map(_timeless, page.entries)
            if not page.next_page_token:
                return entries
            request.page_token = page.next_page_token


def _timeless(entry: TrailEntry) -> bytes:
    """Drop when it was recorded, also from within the log record."""
    entry.ClearField("record_time")
    entry.ClearField("log_record")
    return entry.SerializeToString(deterministic=True)


@contextmanager
def embedded(folder: Path) -> Iterator[Doors]:
    """`up` in a folder."""
    folder.mkdir()
    with (
        ledger_up(folder) as ledger,
        open_channel(ledger.address) as channel,
    ):
        yield Doors(channel, channel)


@contextmanager
def distributed(folder: Path, kafka: Kafka, cassandra: Cassandra) -> Iterator[Doors]:
    """The roles on Kafka and Cassandra."""
    with Ledger(folder, kafka, cassandra, name="differential", partitions=PARTITIONS) as ledger:
        ledger.start("writer")
        with (
            open_channel(ledger.ingest.address) as ingest,
            open_channel(ledger.query.address) as query,
        ):
            yield Doors(ingest, query)


def test_both_engines_tell_the_same(
    tmp_path: Path, one_kafka: Kafka, one_cassandra: Cassandra
) -> None:
    """Copies, conflicts, corrections, late scans, containers, other sources' ids and bad scans:
    both engines answer every batch alike, and show every trail alike in every order.
    """
    with (
        embedded(tmp_path / "embedded") as one,
        distributed(tmp_path / "distributed", one_kafka, one_cassandra) as other,
    ):
        for seed in range(scaled(3, soak=150)):
            workload = Workload(seed)
            results = []
            for batch in workload.batches(BATCHES):
                result = one.record(batch)
                assert other.record(batch) == result
                results.append(result)
            one.wait_readable(results)
            other.wait_readable(results)

            shown = 0
            for number in workload.numbers:
                for order in (TRAIL_ORDER_SCAN_TIME, TRAIL_ORDER_RECORDED):
                    up = one.trail(number, order, descending=False)
                    assert other.trail(number, order, descending=False) == up
                    down = other.trail(number, order, descending=True)
                    assert one.trail(number, order, descending=True) == down == up[::-1]
                    shown += len(up)
            _check_worth(workload, results, one, shown)


def _check_worth(
    workload: Workload, results: Sequence[BatchResult], doors: Doors, shown: int
) -> None:
    """See that the workload had everything in it, and that trails show what it made of it."""
    assert min(workload.made[kind] for kind in (*SHARES, "batch again")) > 0, workload.made
    assert sum(len(each.refusals) for each in results) >= workload.made["bad"]
    durable = sum(part.last - part.first + 1 for each in results for part in each.durable)
    assert 0 < shown < 2 * durable, "copies are shown once"
    marks = [
        TrailEntry.FromString(entry).marks
        for number in workload.numbers
        for entry in doors.trail(number, TRAIL_ORDER_SCAN_TIME, descending=False)
    ]
    assert any(each.conflict for each in marks)
    assert any(each.corrected for each in marks)
    assert any(each.duplicate_count for each in marks)
