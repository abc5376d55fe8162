"""A real gRPC server with the door in, on a free port, for the tests of ingest."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from grpc_status import rpc_status

from ingest.batcher import AppendLog
from ingest.limits import IngestLimits
from ingest.minted import Minted
from ingest.policy import AdmissionPolicy
from ingest.service import SERVICE_NAMES, IngestService
from ledger.app.rpc import RpcServer
from ledger.backends.rocksdb_folder import open_folder
from ledger.position import RECEIPTS_LOG, REFUSALS_LOG
from ledger.scan_log import ScanLog
from ledger.v1.ingest_service_pb2 import (
    BatchResult,
    Open,
    Opened,
    RecordScanBatchResponse,
    RecordScansResponse,
    SourceProgress,
)
from ledger.v1.log_record_pb2 import LogRecord
from ledger.v1.raw_pb2 import RawBatch, RawRecordScanBatchRequest, RawRecordScansRequest
from tests.faulty_log import FaultyLog

PARTITIONS = 4
READ_RECORDS = 10_000


class Served(NamedTuple):
    """The door and where it is."""

    service: IngestService
    address: str
    channel: grpc.aio.Channel


@asynccontextmanager
async def serving(
    log: AppendLog,
    *,
    port: int = 0,
    limits: IngestLimits | None = None,
    lag_records: Callable[[], int | None] = lambda: None,
    minted: Minted | None = None,
    refusals: AppendLog | None = None,
    policy: AdmissionPolicy | None = None,
) -> AsyncIterator[Served]:
    """Serve a log until the end of the block; whatever runs then is cut off."""
    beside = log.beside if isinstance(log, FaultyLog) else {}
    service = IngestService(
        log,
        refusals=refusals or beside.get(REFUSALS_LOG),
        receipts=beside.get(RECEIPTS_LOG),
        minted=minted,
        policy=policy,
        lag_records=lag_records,
        now_ns=time.time_ns,
        monotonic=time.monotonic,
        limits=limits,
        server_version="test",
    )
    server = RpcServer(service.handlers, service_names=SERVICE_NAMES)
    address = f"127.0.0.1:{await server.start(f'127.0.0.1:{port}')}"
    running = asyncio.create_task(service.run())
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            yield Served(service, address, channel)
    finally:
        await server.stop(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


class Caller:
    """One stream, message by message, with nothing that helps."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.call: Any = channel.stream_stream(
            "/ledger.v1.IngestService/RecordScans",
            response_deserializer=RecordScansResponse.FromString,
        )()

    async def open(self, sources: Sequence[SourceProgress] = ()) -> Opened:
        """Open the stream and take the first response."""
        await self.send(
            RawRecordScansRequest(open=Open(client="test", version="1", sources=sources))
        )
        return (await self.next()).opened

    async def send(self, message: RawRecordScansRequest) -> None:
        """Send one message."""
        await self.call.write(message.SerializeToString())

    async def send_batch(self, batch: RawBatch) -> None:
        """Send a batch."""
        await self.send(RawRecordScansRequest(batch=batch))

    async def next(self) -> RecordScansResponse:
        """Take the next response, or raise the stream's error."""
        response = await self.call.read()
        assert isinstance(response, RecordScansResponse), response
        return response

    async def result(self) -> BatchResult:
        """Take the next result, and pass over other responses."""
        while (response := await self.next()).WhichOneof("message") != "result":
            pass
        return response.result

    async def error(self) -> grpc.aio.AioRpcError:
        """Take the error that ends the stream; no result may come before it."""
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            pytest.fail(f"a result came before the error: {await self.result()}")
        return raised.value

    async def close(self) -> list[RecordScansResponse]:
        """Close the sending side, and take what still comes."""
        await self.call.done_writing()
        left = []
        while isinstance(response := await self.call.read(), RecordScansResponse):
            left.append(response)
        return left


async def record_batch(
    channel: grpc.aio.Channel, batch: RawBatch, *, validate_only: bool = False
) -> RecordScanBatchResponse:
    """Call the unary twin."""
    request = RawRecordScanBatchRequest(batch=batch, validate_only=validate_only)
    return await record_bytes(channel, request.SerializeToString())


async def record_bytes(channel: grpc.aio.Channel, message: bytes) -> RecordScanBatchResponse:
    """Call the unary twin with whatever it is."""
    method: Any = channel.unary_unary(
        "/ledger.v1.IngestService/RecordScanBatch",
        response_deserializer=RecordScanBatchResponse.FromString,
    )
    response = await method(message)
    assert isinstance(response, RecordScanBatchResponse)
    return response


async def records_of(log: ScanLog) -> list[LogRecord]:
    """All records of a log, partition by partition."""
    return [
        LogRecord.FromString(value)
        for partition in range(log.identity.partitions)
        for value in await values_of(log, partition)
    ]


async def values_of(log: ScanLog, partition: int) -> Sequence[bytes]:
    """All values of a partition."""
    bounds = await log.bounds(partition)
    values: list[bytes] = []
    while bounds.first + len(values) < bounds.next:
        values += await log.read(partition, bounds.first + len(values), READ_RECORDS)
    return values


def details_of(error: grpc.aio.AioRpcError) -> tuple[str, str, bool]:
    """The reason, the field at fault, and whether the error says when to try again."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type] # It has what is read.
    assert status is not None
    info, bad, retry = ErrorInfo(), BadRequest(), RetryInfo()
    unpacked = [any(d.Unpack(kind) for d in status.details) for kind in (info, bad, retry)]
    assert unpacked[0]
    return info.reason, bad.field_violations[0].field if unpacked[1] else "", unpacked[2]


def durable(result: BatchResult) -> list[tuple[int, int]]:
    """The durable ranges of a result."""
    return [(part.first, part.last) for part in result.durable]


def again(result: BatchResult) -> list[tuple[int, int, int]]:
    """The ranges to send again, with their reason."""
    return [(part.range.first, part.range.last, part.reason) for part in result.resend]


@asynccontextmanager
async def faulty_log(folder: Path) -> AsyncIterator[FaultyLog]:
    """An embedded log in a folder, whose appends can be held up and made to fail."""
    async with open_folder(
        folder / "data", partitions=PARTITIONS, on_fatal=lambda error: pytest.fail(str(error))
    ) as opened:
        log = FaultyLog(opened.log)
        for other in (opened.receipts, opened.refusals):
            log.beside[other.identity.name] = FaultyLog(other)
        yield log
