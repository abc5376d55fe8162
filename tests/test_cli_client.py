"""What commands make of an error of a call: sent again, after how long, or never."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from ledger.app.client import open_channel
from ledger.app.exits import CommandFailed
from ledger.app.lines import Line
from ledger.app.scan_file import Refusal
from ledger.app.sending import Item, Sender
from ledger.v1.ingest_service_pb2 import (
    BatchResult,
    IndexRange,
    RecordScanBatchRequest,
    RecordScanBatchResponse,
    RecordScansResponse,
)
from ledger.v1.ingest_service_pb2_grpc import (
    IngestServiceServicer,
    add_IngestServiceServicer_to_server,
)
from ledger.v1.scan_event_pb2 import ScanEvent

ITEM = Item(Line(2, {"tracking_number": "RR1"}, ["RR1"]), ScanEvent(tracking_number="RR1"))

AGAIN = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.INTERNAL,
)
NEVER = (
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.DATA_LOSS,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
)


class FailsFirst(IngestServiceServicer):
    """Answers its first batch with an error, and takes all behind it."""

    def __init__(self, code: grpc.StatusCode, retry_delay: Duration | None = None) -> None:
        self.batches = 0
        self._status = status_pb2.Status(code=code.value[0], message="as the test says")
        if retry_delay:
            packed = Packed()
            packed.Pack(error_details_pb2.RetryInfo(retry_delay=retry_delay))
            self._status.details.append(packed)

    def RecordScanBatch(  # noqa: N802 - the name in the proto file.
        self, request: RecordScanBatchRequest, context: grpc.ServicerContext
    ) -> RecordScanBatchResponse:
        """Fail, or take all."""
        self.batches += 1
        if self.batches == 1:
            context.abort_with_status(rpc_status.to_status(self._status))
        whole = IndexRange(last=len(request.batch.scans) - 1)
        return RecordScanBatchResponse(result=BatchResult(durable=[whole]))

    def RecordScans(  # noqa: N802 - as above.
        self, request_iterator: object, context: grpc.ServicerContext
    ) -> Iterator[RecordScansResponse]:
        """No test streams."""
        raise NotImplementedError


@contextmanager
def sender_to(service: FailsFirst, on_refused: Callable[[Refusal], None]) -> Iterator[Sender]:
    """Serve, and give a sender that is connected."""
    server = grpc.server(ThreadPoolExecutor(1))
    add_IngestServiceServicer_to_server(service, server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        with open_channel(address) as channel:
            yield Sender(channel, server=address, give_up_s=10, on_refused=on_refused)
    finally:
        server.stop(None).wait()


def send(service: FailsFirst) -> int:
    """Send one scan; give how many are durable."""
    refused: list[Refusal] = []
    with sender_to(service, refused.append) as sender:
        sender.send("s", [ITEM])
        sender.finish()
    assert not refused
    return sender.durable


@pytest.mark.parametrize("code", AGAIN, ids=lambda code: code.name)
def test_what_may_have_happened_is_sent_again(code: grpc.StatusCode) -> None:
    """The same batch once more, and then it is durable."""
    service = FailsFirst(code)

    assert send(service) == 1
    assert service.batches == 2


@pytest.mark.parametrize("code", NEVER, ids=lambda code: code.name)
def test_what_would_fail_again_ends_the_sending(code: grpc.StatusCode) -> None:
    """RESOURCE_EXHAUSTED among them, where no RetryInfo says that the ledger is only busy."""
    service = FailsFirst(code)

    with pytest.raises(CommandFailed):
        send(service)
    assert service.batches == 1


def test_a_busy_ledger_says_how_long_to_wait() -> None:
    """RESOURCE_EXHAUSTED with a RetryInfo: the same again, and not before its delay."""
    service = FailsFirst(grpc.StatusCode.RESOURCE_EXHAUSTED, Duration(nanos=300_000_000))
    began_s = time.monotonic()

    assert send(service) == 1
    assert service.batches == 2
    assert time.monotonic() - began_s >= 0.3
