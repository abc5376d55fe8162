"""A server that opens streams, and answers each batch as a test's script says."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import grpc
from google.protobuf.duration_pb2 import Duration

from ingest.scanner import Scanner, ScannerSettings
from ledger.app.rpc import ErrorsToStatus
from ledger.errors import LedgerError
from ledger.v1.ingest_service_pb2 import (
    DURABILITY_SYNCED,
    RESEND_REASON_BUSY,
    RESEND_REASON_UNCERTAIN,
    BatchResult,
    Credit,
    IndexRange,
    Limits,
    Open,
    Opened,
    RecordScansResponse,
    Resend,
    SourceState,
)
from ledger.v1.raw_pb2 import RawBatch, RawRecordScansRequest
from tests.ingest_traffic import SOURCE, an_encoded_event

Answer: TypeAlias = Sequence[RecordScansResponse] | LedgerError
Script: TypeAlias = Callable[[RawBatch], Answer]

FAST = ScannerSettings(backoff_first_s=0.001, backoff_max_s=0.002, linger_s=0.0)


def taken(batch: RawBatch) -> Answer:
    """All of a batch is durable."""
    whole = IndexRange(last=len(batch.scans) - 1)
    return [response(result=BatchResult(batch_number=batch.batch_number, durable=[whole]))]


def response(**message: Any) -> RecordScansResponse:  # noqa: ANN401 - any message.
    """One response."""
    return RecordScansResponse(**message)


class ScriptedServer:
    """Opens streams, and answers each batch as the script says."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.opened = Opened(
            limits=Limits(batch_scans_max=100, batch_bytes_max=1 << 20),
            window=Credit(window_events=1_000, window_bytes=1 << 20),
            durability=DURABILITY_SYNCED,
        )
        self.batches: list[RawBatch] = []
        self.opens: list[Open] = []
        self.others: list[RawRecordScansRequest] = []
        self.address = ""
        self.scans_per_s = 0.0
        """How fast it is; 0 is as fast as it can."""

        self.lingers_s = 0.0
        """How long a stream stays after the sender has closed its side."""

        self.states: Sequence[SourceState] = ()
        """What it says of sources behind each opening."""

        self.heard = asyncio.Event()
        """Set by each message behind the opening."""

        self.greeted = asyncio.Event()
        """Set by each opening."""

    @property
    def streams(self) -> int:
        """How many streams were opened."""
        return len(self.opens)

    async def record_scans(self, _: AsyncIterator[bytes], context: Any) -> None:  # noqa: ANN401
        """Serve one stream."""
        self.opens.append(RawRecordScansRequest.FromString(await context.read()).open)
        self.greeted.set()
        await context.write(response(opened=self.opened))
        for state in self.states:
            await context.write(response(source_state=state))
        while isinstance(message := await context.read(), bytes):
            self.heard.set()
            request = RawRecordScansRequest.FromString(message)
            if request.WhichOneof("message") != "batch":
                self.others.append(request)
                continue
            self.batches.append(request.batch)
            if self.scans_per_s:
                await asyncio.sleep(len(request.batch.scans) / self.scans_per_s)
            answer = self.script(request.batch)
            if isinstance(answer, LedgerError):
                raise answer
            for each in answer:
                await context.write(each)
        await asyncio.sleep(self.lingers_s)

    def events(self) -> list[list[bytes]]:
        """The events of each batch that came."""
        return [[scan.event for scan in batch.scans] for batch in self.batches]


@asynccontextmanager
async def scripted(script: Script, address: str = "127.0.0.1:0") -> AsyncIterator[ScriptedServer]:
    """Run a scripted server."""
    door = ScriptedServer(script)
    server = grpc.aio.server(interceptors=[ErrorsToStatus()])
    method: grpc.RpcMethodHandler[bytes, RecordScansResponse] = (
        grpc.stream_stream_rpc_method_handler(
            door.record_scans, response_serializer=RecordScansResponse.SerializeToString
        )
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("ledger.v1.IngestService", {"RecordScans": method}),)
    )
    door.address = f"127.0.0.1:{server.add_insecure_port(address)}"
    await server.start()
    try:
        async with asyncio.timeout(20):
            yield door
    finally:
        await server.stop(0)


def once(answer: Callable[[RawBatch], Answer]) -> Script:
    """Answer the first batch in this way, and take all others."""
    answers = iter([answer])

    def script(batch: RawBatch) -> Answer:
        return next(answers, taken)(batch)

    return script


def resend(batch: RawBatch, *ranges: tuple[int, int], delay_s: float = 0.0) -> Answer:
    """Take a batch but for these ranges, which are to be sent again."""
    delay = Duration()
    delay.FromNanoseconds(int(delay_s * 1e9))
    missing = {index for first, last in ranges for index in range(first, last + 1)}
    kept = [index for index in range(len(batch.scans)) if index not in missing]
    result = BatchResult(
        batch_number=batch.batch_number,
        durable=[IndexRange(first=index, last=index) for index in kept],
        resend=[
            Resend(
                range=IndexRange(first=first, last=last),
                reason=RESEND_REASON_BUSY if first % 2 else RESEND_REASON_UNCERTAIN,
                delay=delay,
            )
            for first, last in ranges
        ],
    )
    return [response(result=result)]


def a_scanner(server: ScriptedServer, settings: ScannerSettings = FAST) -> Scanner:
    """A scanner that speaks to the scripted server."""
    return Scanner(server.address, source_id=SOURCE, settings=settings)


EVENTS = [an_encoded_event(number) for number in range(10)]
