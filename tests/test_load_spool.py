"""A load's scanner, as far as it can be told without a network: nothing is lost on its side."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given
from hypothesis import strategies as st

from ledger.v1.ingest_service_pb2 import (
    DURABILITY_SYNCED,
    RESEND_REASON_BUSY,
    SOURCE_STATUS_TAKEN_OVER,
    BatchResult,
    Credit,
    Draining,
    IndexRange,
    Limits,
    Opened,
    RecordScansResponse,
    Refusal,
    Resend,
    SourceState,
)
from ledger.v1.raw_pb2 import RawBatch, RawRecordScansRequest
from loadtest.load.spool import Broken, Settled, Spool
from loadtest.load.traffic import Scan

if TYPE_CHECKING:
    from collections.abc import Sequence

SPOOL_ID = bytes(16)


def scans(first: int, count: int) -> list[Scan]:
    """Scans whose ids tell their numbers."""
    return [
        Scan("RR000000010DE", number.to_bytes(16, "big"), f"event {number}".encode())
        for number in range(first, first + count)
    ]


def a_spool(window_batches: int = 4) -> Spool:
    """A spool without jitter."""
    return Spool("gate-1", SPOOL_ID, window_batches=window_batches, random=lambda: 0.0)


def opened(spool: Spool, scans_max: int = 1_000, now_s: float = 0.0) -> None:
    """Open a stream."""
    spool.open_message("test", "1")
    message = Opened(
        limits=Limits(batch_scans_max=500),
        window=Credit(window_events=scans_max, window_bytes=1 << 20),
        durability=DURABILITY_SYNCED,
    )
    spool.take(RecordScansResponse(opened=message), now_s)


def sent(spool: Spool, now_s: float = 0.0) -> list[RawBatch]:
    """All that it sends now."""
    batches = []
    while message := spool.next_message(now_s, 1):
        batches.append(RawRecordScansRequest.FromString(message).batch)
    return batches


def answer(spool: Spool, number: int, now_s: float = 0.0, **result: Any) -> Settled:  # noqa: ANN401
    """Give a result."""
    message = RecordScansResponse(result=BatchResult(batch_number=number, **result))
    settled = spool.take(message, now_s)
    assert settled is not None
    return settled


def events(batch: RawBatch) -> list[bytes]:
    """What a batch carries."""
    return [scan.event for scan in batch.scans]


def test_nothing_is_sent_before_the_server_has_opened() -> None:
    """Then several batches are in flight, with numbers and sequences without gaps."""
    spool = a_spool()
    spool.mint(scans(1, 3))
    spool.mint(scans(4, 2))
    assert sent(spool) == []

    opened(spool)
    batches = sent(spool)

    assert [(batch.batch_number, batch.first_sequence) for batch in batches] == [(1, 1), (2, 4)]
    assert events(batches[1]) == [b"event 4", b"event 5"]
    assert spool.batch_scans_max == 500
    assert spool.unsettled == 5


def test_the_window_bounds_what_has_no_outcome() -> None:
    """Its own bounds batches; the server's bounds scans, but one batch may always be on its way."""
    spool = a_spool(window_batches=2)
    opened(spool, scans_max=3)
    spool.mint(scans(1, 5))
    assert spool.has_room()
    spool.mint(scans(6, 2))
    assert not spool.has_room()
    assert len(sent(spool)) == 1

    answer(spool, 1, durable=[IndexRange(first=0, last=4)])

    assert spool.has_room()
    assert len(sent(spool)) == 1


def test_a_result_names_what_is_durable_refused_and_to_be_sent_again() -> None:
    """What is sent again keeps its id and its sequence; so is an index that is not named."""
    spool = a_spool()
    opened(spool)
    spool.mint(scans(1, 6))
    sent(spool)

    settled = answer(
        spool,
        1,
        durable=[IndexRange(first=0, last=1)],
        refusals=[Refusal(index=2, message="no")],
        resend=[Resend(range=IndexRange(first=3, last=4), reason=RESEND_REASON_BUSY)],
    )

    assert [scan.event for scan in settled.durable] == [b"event 1", b"event 2"]
    assert [(scan.event, no.message) for scan, no in settled.refused] == [(b"event 3", "no")]
    assert (settled.again, settled.reason) == (3, "BUSY")
    assert spool.unsettled == 3
    (again,) = sent(spool)
    assert (again.batch_number, again.first_sequence) == (2, 4)
    assert events(again) == [b"event 4", b"event 5", b"event 6"]


def test_slowing_down_means_all() -> None:
    """Until the delay is over nothing is sent, new scans neither."""
    spool = a_spool()
    opened(spool)
    spool.mint(scans(1, 2))
    sent(spool)
    resend = Resend(range=IndexRange(first=0, last=1), delay=Duration(seconds=2))
    answer(spool, 1, now_s=10.0, resend=[resend])
    spool.mint(scans(3, 2))

    assert sent(spool, now_s=11.9) == []
    assert spool.due_s() == 12.0
    assert [batch.first_sequence for batch in sent(spool, now_s=12.0)] == [3, 1]


def test_what_was_in_flight_when_a_stream_ended_is_sent_again_as_it_was() -> None:
    """On a new stream, whose numbers begin anew."""
    spool = a_spool()
    opened(spool)
    spool.mint(scans(1, 2))
    spool.mint(scans(3, 2))
    first = sent(spool)
    spool.stream_ended()
    assert sent(spool) == []

    opened(spool)
    second = sent(spool)

    assert [batch.batch_number for batch in second] == [1, 2]
    assert [events(batch) for batch in second] == [events(batch) for batch in first]
    assert [batch.first_sequence for batch in second] == [1, 3]


def test_a_server_that_drains_gets_nothing_more() -> None:
    """What it has still gets its results."""
    spool = a_spool()
    opened(spool)
    spool.mint(scans(1, 2))
    sent(spool)
    spool.take(RecordScansResponse(draining=Draining()), 0.0)
    spool.mint(scans(3, 2))

    assert sent(spool) == []
    assert len(answer(spool, 1, durable=[IndexRange(first=0, last=1)]).durable) == 2


@pytest.mark.parametrize(
    "message",
    [
        RecordScansResponse(opened=Opened()),
        RecordScansResponse(source_state=SourceState(status=SOURCE_STATUS_TAKEN_OVER)),
        RecordScansResponse(result=BatchResult(batch_number=2, durable=[IndexRange(last=1)])),
        RecordScansResponse(result=BatchResult(batch_number=1, durable=[IndexRange(last=2)])),
        RecordScansResponse(
            result=BatchResult(batch_number=1, refusals=[Refusal(index=7), Refusal(index=0)])
        ),
    ],
)
def test_a_broken_contract_is_said(message: RecordScansResponse) -> None:
    """An unknown durability, a source that is taken, a result out of turn or beside its batch."""
    spool = a_spool()
    opened(spool)
    spool.mint(scans(1, 2))
    spool.mint(scans(3, 2))
    sent(spool)

    with pytest.raises(Broken):
        spool.take(message, 0.0)


FATES = st.lists(st.sampled_from(["durable", "refused", "busy", "unnamed"]), min_size=4, max_size=4)


@given(st.lists(st.one_of(st.just(None), FATES), max_size=12))
def test_whatever_happens_each_scan_gets_one_outcome(story: Sequence[list[str] | None]) -> None:
    """Results of every kind, and streams that end (None): at the end each scan is durable or
    refused, once, and was always sent under the same sequence.
    """
    spool = a_spool(window_batches=3)
    for first in (1, 5, 9):
        spool.mint(scans(first, 4))
    outcomes: Counter[bytes] = Counter()
    sequences: dict[bytes, set[int]] = {}
    steps = iter([*story, *[["durable"] * 4] * 40])
    opened(spool)
    in_flight: list[RawBatch] = []
    now_s = 0.0
    while spool.unsettled:
        now_s += 10
        in_flight += sent(spool, now_s)
        fates = next(steps)
        if fates is None:
            spool.stream_ended()
            opened(spool)
            in_flight = []
            continue
        batch = in_flight.pop(0)
        for index, scan in enumerate(batch.scans):
            sequences.setdefault(scan.event, set()).add(batch.first_sequence + index)
        settled = answer(spool, batch.batch_number, now_s, **result_of(batch, fates))
        outcomes.update(scan.event for scan in settled.durable)
        outcomes.update(scan.event for scan, _ in settled.refused)

    assert outcomes == {f"event {number}".encode(): 1 for number in range(1, 13)}
    assert {event: {int(event.split()[1])} for event in outcomes} == sequences


def result_of(batch: RawBatch, fates: Sequence[str]) -> dict[str, Any]:
    """A result in which each index has its fate."""
    result: dict[str, Any] = {"durable": [], "refusals": [], "resend": []}
    for index in range(len(batch.scans)):
        run = IndexRange(first=index, last=index)
        if fates[index] == "durable":
            result["durable"].append(run)
        elif fates[index] == "refused":
            result["refusals"].append(Refusal(index=index))
        elif fates[index] == "busy":
            result["resend"].append(Resend(range=run, reason=RESEND_REASON_BUSY))
    return result
