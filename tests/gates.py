"""Gates: scanners that say how many scans they have minted, and send some of them."""

from __future__ import annotations

import time

from google.protobuf.timestamp_pb2 import Timestamp

from ledger.app.client import open_channel
from ledger.v1.ingest_service_pb2 import (
    Batch,
    Open,
    RecordScanBatchRequest,
    RecordScansRequest,
    SourceProgress,
)
from ledger.v1.ingest_service_pb2_grpc import IngestServiceStub
from ledger.v1.scan_event_pb2 import Scan, ScanEvent
from tests.ingest_traffic import an_event

SPOOL = bytes(range(16))
"""The spool of all gates."""

_WITHIN_S = 30.0


def a_scan(source: str, sequence: int, *, is_bad: bool, facility: str = "DEFRAA") -> ScanEvent:
    """What a source, which ends with its number of two digits, scans; a bad one has no number."""
    number = 1_000 * int(source[-2:]) + sequence
    tracking_number = None if is_bad else f"X{number}"
    return an_event(number, facility=facility, tracking_number=tracking_number)


def send(
    address: str,
    source: str,
    sequences: range,
    *,
    minted: int,
    bad: frozenset[int] = frozenset(),
    facility: str = "DEFRAA",
) -> None:
    """Send one batch; those that are bad are refused."""
    events = [a_scan(source, n, is_bad=n in bad, facility=facility) for n in sequences]
    batch = Batch(
        source_id=source,
        spool_id=SPOOL,
        first_sequence=sequences[0],
        minted_through=minted,
        scans=[Scan(event=event) for event in events],
        send_time=Timestamp(seconds=int(time.time())),
    )
    with open_channel(address) as channel:
        stub = IngestServiceStub(channel)
        result = stub.RecordScanBatch(RecordScanBatchRequest(batch=batch), timeout=_WITHIN_S).result
    assert {refusal.sequence for refusal in result.refusals} == bad


def speak(address: str, source: str, *, minted: int) -> None:
    """Open a stream that says how far the source has come, and sends nothing."""
    said = SourceProgress(source_id=source, spool_id=SPOOL, minted_through=minted)
    opening = RecordScansRequest(open=Open(client="test", version="1", sources=[said]))
    with open_channel(address) as channel:
        stub = IngestServiceStub(channel)
        responses = list(stub.RecordScans(iter([opening]), timeout=_WITHIN_S))
    assert responses[0].HasField("opened")
