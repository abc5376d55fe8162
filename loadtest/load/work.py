"""What partners and auditors do: each reads, is counted, and compares what it read."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Final

import grpc

from ledger.v1.trail_service_pb2 import (
    LOOKUP_STATUS_FAILED_RETRY,
    LOOKUP_STATUS_FOUND,
    LOOKUP_STATUS_INVALID_NUMBER,
    LOOKUP_STATUS_NOT_YET_SEEN,
    TRAIL_ORDER_RECORDED,
    TRAIL_ORDER_SCAN_TIME,
    ListScanEventsRequest,
)
from loadtest.load.check import UNANSWERED, Fault, Identity
from loadtest.load.reading import answers_fault, whole
from loadtest.load.status import status_of

if TYPE_CHECKING:
    from ledger.v1.raw_pb2 import RawBatchGetTrailsResponse, RawTrailEntry
    from loadtest.load.remembered import Expected
    from loadtest.load.run import Run
    from loadtest.load.verifier import Fresh

LOOK_UP: Final = 100
"""Numbers in one look-up of a partner."""

NO_NUMBER: Final = "\x01"
"""What no item can have on its label."""

PAGE_SIZES: Final = range(2, 6)
"""Of an auditor: trails have about ten entries, and are to come in several pages."""

POSITIONS_MAX: Final = 64
"""Most positions that a request may name."""


def look_up_hundred(run: Run) -> None:
    """Look up items that are known, one that is not, and what is no number at all."""
    known = run.verifier.sample.some(LOOK_UP - 2)
    expected = {item: run.verifier.sample.expected(item) for item in known}
    numbers = [*known, f"NEVER{random.getrandbits(64):020}", NO_NUMBER]
    random.shuffle(numbers)
    query = run.query()
    began_s = time.monotonic()
    try:
        answers = list(query.trails(numbers))
        elapsed_s = time.monotonic() - began_s
        run.report.request("BatchGetTrails", elapsed_s, sum(one.ByteSize() for one in answers))
        run.report.count("trails looked up", len(answers), elapsed_s)
        if fault := answers_fault(numbers, answers):
            run.verifier.fault(fault)
            return
        for answer in answers:
            _judge_answer(run, answer, expected)
            if answer.status == LOOKUP_STATUS_FOUND:
                item = answer.tracking_number
                run.verifier.judge_under_way(item, expected[item], whole(query, answer))
    except grpc.RpcError as error:
        _failed(run, "BatchGetTrails", time.monotonic() - began_s, error)


def audit(run: Run) -> None:
    """Page through a whole trail, in one order or the other."""
    for item in run.verifier.sample.some(1):
        request = ListScanEventsRequest(
            tracking_number=item,
            page_size=random.choice(PAGE_SIZES),
            order=random.choice((TRAIL_ORDER_SCAN_TIME, TRAIL_ORDER_RECORDED)),
            descending=random.random() < 0.5,
        )
        _read(run, request, run.verifier.sample.expected(item))


def read_own_writes(run: Run) -> None:
    """Ask for an item of a batch that was acknowledged just now: its trail must show it."""
    if not run.verifier.fresh:
        return
    batch: Fresh = random.choice(run.verifier.fresh)
    if len(batch.positions) > POSITIONS_MAX:
        return
    item = random.choice(batch.scans)[0].item
    expected = {
        Identity(batch.source_id, scan.event_id): digest
        for scan, digest in batch.scans
        if scan.item == item
    }
    request = ListScanEventsRequest(
        tracking_number=item, page_size=max(PAGE_SIZES), at_least=batch.positions
    )
    _read(run, request, expected)


def _read(run: Run, request: ListScanEventsRequest, expected: Expected) -> None:
    entries: list[RawTrailEntry] = []
    first_s = began_s = time.monotonic()
    try:
        for page in run.query().pages(request):
            elapsed_s = time.monotonic() - began_s
            run.report.request("ListScanEvents", elapsed_s, page.ByteSize())
            entries += page.entries
            began_s = time.monotonic()
    except grpc.RpcError as error:
        _failed(run, "ListScanEvents", time.monotonic() - began_s, error)
        return
    run.report.count("trails audited", 1, time.monotonic() - first_s)
    run.verifier.judge_under_way(
        request.tracking_number,
        expected,
        entries,
        recorded=request.order == TRAIL_ORDER_RECORDED,
        descending=request.descending,
    )


def _judge_answer(
    run: Run, answer: RawBatchGetTrailsResponse, expected: dict[str, Expected]
) -> None:
    """Judge the status of an answer."""
    number, status = answer.tracking_number, answer.status
    if status == LOOKUP_STATUS_FAILED_RETRY:
        return
    if number == NO_NUMBER:
        is_right = status == LOOKUP_STATUS_INVALID_NUMBER
    elif number not in expected:
        is_right = status == LOOKUP_STATUS_NOT_YET_SEEN
    else:
        is_right = status in {LOOKUP_STATUS_FOUND, LOOKUP_STATUS_NOT_YET_SEEN}
        if status == LOOKUP_STATUS_NOT_YET_SEEN:
            run.verifier.suspect(number, expected[number])
    if not is_right:
        run.verifier.fault(Fault(UNANSWERED, number, f"looked up with the status {status}"))


def _failed(run: Run, name: str, seconds: float, error: grpc.RpcError) -> None:
    status = status_of(error)
    run.report.request(name, seconds, 0, status.words)
    if not status.may_pass:
        run.verifier.fault(Fault(UNANSWERED, name, status.words))
    time.sleep(max(status.retry_after_s, 0.2))
