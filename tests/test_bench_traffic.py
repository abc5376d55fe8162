"""The bench's traffic and its count: every scan is one of its own, and every fault is seen."""

import itertools
from collections.abc import Iterator

import grpc
import pytest

from ingest.admission import admit
from ledger.v1.ingest_service_pb2 import RecordScansRequest
from ledger.v1.raw_pb2 import RawBatch
from loadtest.bench.client import Batch
from loadtest.bench.counting import Counted, compared
from loadtest.bench.patience import patient
from loadtest.bench.reads import fullest
from loadtest.bench.streams import REPEATED, batches, repeated
from loadtest.bench.traffic import (
    BATCH_SCANS,
    RUNS_MAX,
    STEPS,
    event_id,
    number_of,
    templates,
    waves,
)
from loadtest.bench.worker import START_TIME_NS

RESTS = [b"\x18\x01", b"\x18\x02"]
ALL = (1 << STEPS) - 1
"""Every step of an item acknowledged."""


def made(run: int, stream: int, count: int) -> Iterator[Batch]:
    """Give the first batches of a stream."""
    return itertools.islice(batches(run, stream, 8, items_at_once=400, rests=RESTS), count)


def test_no_item_is_on_two_streams_or_in_two_runs() -> None:
    """Trails of one run have no scan of another, and each item is on one stream."""
    seen: set[int] = set()
    for run in (0, 1, 2, RUNS_MAX - 1):
        for stream in range(8):
            for group in itertools.islice(waves(run, stream, 8, 400), 3):
                for wave in group:
                    items = set(range(wave.first_item, wave.first_item + wave.items))
                    assert not items & seen
                    seen |= items
    numbers = {number_of(item) for item in seen}
    assert len(numbers) == len(seen)


def test_a_batch_is_a_request_of_the_wire() -> None:
    """What is put together by hand reads as a batch, with the ids that the count expects."""
    sequence = 1
    for number, batch in enumerate(made(3, 2, 45), 1):
        request = RecordScansRequest.FromString(batch.request)
        assert request.batch.batch_number == number
        assert request.batch.source_id == "bench-02"
        assert request.batch.first_sequence == sequence
        assert len(request.batch.scans) == batch.wave.items == BATCH_SCANS
        for offset, scan in enumerate(request.batch.scans):
            item = batch.wave.first_item + offset
            assert scan.event.event_id == event_id(3, item, batch.step)
            assert scan.event.tracking_number == number_of(item)
        sequence += batch.wave.items


def test_the_ledger_takes_all_of_it() -> None:
    """Events of the fleet with other items in them break no rule: a refused scan is no load."""
    rests = templates(7, START_TIME_NS)
    for batch in itertools.islice(batches(1, 0, 8, items_at_once=400, rests=rests), 40):
        request = RecordScansRequest.FromString(batch.request)
        raw = RawBatch.FromString(request.batch.SerializeToString())
        found = admit(raw, partitions=32, now_ns=START_TIME_NS, principal="anonymous")
        assert not found.refusals


def test_an_item_gets_each_step_once() -> None:
    """After a whole group every item has had all its steps, in order."""
    steps: dict[int, list[int]] = {}
    for batch in made(1, 0, 2 * STEPS):
        for item in range(batch.wave.first_item, batch.wave.first_item + batch.wave.items):
            steps.setdefault(item, []).append(batch.step)

    assert len(steps) == 400
    assert all(seen == list(range(STEPS)) for seen in steps.values())


def test_prepared_batches_come_again() -> None:
    """A reference sends the same few batches without end."""
    some = list(itertools.islice(repeated(made(1, 0, 100)), 2 * REPEATED))

    assert some[:REPEATED] == some[REPEATED:]


@pytest.mark.parametrize(
    ("told", "seen", "conflicts", "expected"),
    [
        (ALL, range(STEPS), 0, Counted(expected=20, found=20)),
        (0b111, (0, 1, 2, 3), 0, Counted(expected=3, found=3)),  # One was not acknowledged.
        (0b101, (0,), 0, Counted(expected=2, found=1, lost=1)),
        (0b1, (0, 0, 0), 0, Counted(expected=1, found=1, doubled=2)),
        (0b1, (0,), 1, Counted(expected=1, found=1, conflicts=1)),
        (0b1, (0, 77), 0, Counted(expected=1, found=1, strange=1)),
        (0b1, (), 0, Counted(expected=1, lost=1)),
    ],
)
def test_every_fault_of_a_trail_is_counted(
    told: int, seen: tuple[int, ...], conflicts: int, expected: Counted
) -> None:
    """Lost, doubled, in conflict, of another item: each is seen, and nothing else is a fault."""
    found = compared(2, 9, told, [event_id(2, 9, step) for step in seen], conflicts)

    assert found == expected
    assert found.good == (not (found.lost or found.doubled or found.conflicts or found.strange))


def test_counts_add_up() -> None:
    """Runs are counted one by one, and summed up field by field."""
    assert Counted(1, 2, 3, 4, 5, 6).plus(Counted(lost=1)) == Counted(1, 2, 4, 4, 5, 6)


def test_the_fullest_trails_are_read() -> None:
    """Of trails that did not all become full, those with most steps are taken."""
    assert fullest({1: 0b11, 2: 0b111, 3: 0b1011}) == ([2, 3], 3)


class Says(grpc.RpcError):
    """An answer that is an error."""

    def __init__(self, code: grpc.StatusCode) -> None:
        self._code = code

    def code(self) -> grpc.StatusCode:
        return self._code


def test_a_busy_ledger_is_asked_again_and_a_broken_one_is_not() -> None:
    """Busy answers cost time and fail nothing; any other error ends the measurement."""
    answers: list[Says | str] = [Says(grpc.StatusCode.RESOURCE_EXHAUSTED), "told"]
    asked = []

    def call(request: str) -> str:
        asked.append(request)
        answer = answers.pop(0)
        if isinstance(answer, Says):
            raise answer
        return answer

    assert patient(call, "how far") == "told"
    assert asked == ["how far", "how far"]
    answers = [Says(grpc.StatusCode.DATA_LOSS)]
    with pytest.raises(Says):
        patient(call, "how far")
