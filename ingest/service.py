"""IngestService: the door in, on gRPC. It raises the ledger's errors and knows no status codes.

Requests are parsed here and not by gRPC, so that bytes that are no message are refused with words,
and scan events stay bytes.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import grpc
from google.protobuf.message import DecodeError

from ingest.admission import check_batch
from ingest.batcher import Batcher, first_of
from ingest.intake import Intake
from ingest.limits import MESSAGE_BYTES_MAX, IngestLimits
from ingest.pace import Pace
from ingest.policy import AdmissionPolicy
from ingest.receipts import Receipts
from ingest.refusals import Refusals
from ingest.stream import Stream
from ledger.errors import Busy, Refused, Uncertain
from ledger.event import BATCH_BYTES_MAX, BATCH_SCANS_MAX, EVENT_BYTES_MAX, PERSONAL_BYTES_MAX
from ledger.metrics import INGEST_STREAMS
from ledger.v1.ingest_service_pb2 import (
    Draining,
    Limits,
    Opened,
    RecordScanBatchResponse,
    RecordScansResponse,
)
from ledger.v1.raw_pb2 import RawRecordScanBatchRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from ingest.batcher import AppendLog
    from ingest.minted import Minted
    from ingest.recent import Source
    from ingest.stream import Context
    from ledger.scan_log import ScanLog

INGEST_SERVICE: Final = "ledger.v1.IngestService"

SERVICE_NAMES: Final = (INGEST_SERVICE,)
"""Full names of the services."""


def _unknown() -> None:
    """Tell nothing of a lag."""


class IngestService:
    """Takes scans. Add `handlers` to a gRPC server, and keep `run` running."""

    def __init__(
        self,
        log: AppendLog,
        *,
        refusals: AppendLog | None = None,
        receipts: ScanLog | None = None,
        minted: Minted | None = None,
        policy: AdmissionPolicy | None = None,
        lag_records: Callable[[], int | None] = _unknown,
        now_ns: Callable[[], int],
        monotonic: Callable[[], float],
        limits: IngestLimits | None = None,
        server_version: str = "",
    ) -> None:
        """`now_ns` gives the ledger's clock in ns since 1970, `monotonic` seconds for waits.

        `refusals` keeps refused scans; without it they are refused all the same. `receipts` keeps
        what numbered sources were told; a gateway has `minted` instead. `policy` says what is
        refused by who sends it; nothing by default.
        `lag_records` tells how many records no trail shows yet, where that is known.
        """
        self._limits = limits or IngestLimits()
        self._batcher = Batcher(log, self._limits, monotonic=monotonic)
        self._refusals = Refusals(refusals, self._limits, monotonic=monotonic) if refusals else None
        self._receipts = (
            Receipts(receipts, self._limits, now_ns=now_ns, monotonic=monotonic)
            if receipts
            else None
        )
        self._lag_records = lag_records
        self._intake = Intake(
            log.identity,
            self._batcher,
            Pace(self._limits),
            self._refusals,
            self._receipts,
            minted=minted,
            policy=policy or AdmissionPolicy(),
            now_ns=now_ns,
            monotonic=monotonic,
        )
        self._server_version = server_version
        self._speakers: dict[Source, Stream] = {}
        self._streams: set[Stream] = set()
        self._calls = 0
        self._no_calls = asyncio.Event()
        self._no_calls.set()

    def handler(self) -> grpc.GenericRpcHandler:
        """The service for a gRPC server."""
        return grpc.method_handlers_generic_handler(
            INGEST_SERVICE,
            {
                # Without a deserializer a request stays bytes.
                "RecordScans": grpc.stream_stream_rpc_method_handler(
                    self.RecordScans, response_serializer=RecordScansResponse.SerializeToString
                ),
                "RecordScanBatch": grpc.unary_unary_rpc_method_handler(
                    self.RecordScanBatch,
                    response_serializer=RecordScanBatchResponse.SerializeToString,
                ),
            },
        )

    @property
    def handlers(self) -> Sequence[grpc.GenericRpcHandler]:
        """The services, in the order of SERVICE_NAMES."""
        return (self.handler(),)

    @property
    def sources(self) -> int:
        """Sources that all streams speak for now."""
        return self._intake.sources

    @property
    def speaking(self) -> Iterable[Source]:
        """Numbered sources for which a stream speaks now."""
        return self._speakers

    async def run(self) -> None:
        """Carry scans to the log until cancelled, or raise what ends a log."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._batcher.run())
                tasks.create_task(self._keep_pace())
                if self._refusals is not None:
                    tasks.create_task(self._refusals.run())
                if self._receipts is not None:
                    tasks.create_task(self._receipts.run())
        except BaseExceptionGroup as group:
            raise first_of(group) from group

    async def drain(self, grace_s: float) -> None:
        """Ask all senders to finish, and return when they have, or when the grace is over.

        What was taken before gets its result; what comes later is to be sent again. `run` must be
        running. Streams that are open after the grace end with an error.
        """
        self._intake.is_draining = True
        draining = Draining()
        draining.finish_before_time.FromNanoseconds(self._intake.now_ns() + int(grace_s * 1e9))
        for stream in list(self._streams):
            stream.send(RecordScansResponse(draining=draining))
        try:
            async with asyncio.timeout(grace_s):
                await self._batcher.wait_until_idle()
                if self._refusals is not None:
                    await self._refusals.wait_until_idle()
                await self._no_calls.wait()
                if self._receipts is not None:
                    await self._receipts.write_rest()
        except TimeoutError:
            for stream in list(self._streams):
                stream.end(_ending())

    async def RecordScans(self, _: AsyncIterator[bytes], context: Context) -> None:
        """Serve one stream."""
        if self._intake.is_draining:
            raise _ending()
        stream = Stream(context, intake=self._intake, limits=self._limits, speakers=self._speakers)
        self._streams.add(stream)
        self._enter()
        INGEST_STREAMS.inc()
        try:
            await stream.serve(self._opened)
        finally:
            INGEST_STREAMS.dec()
            self._leave()
            self._streams.discard(stream)

    async def RecordScanBatch(
        self, message: bytes, _: grpc.aio.ServicerContext[bytes, RecordScanBatchResponse]
    ) -> RecordScanBatchResponse:
        """Record or check one batch."""
        if not self._batcher.has_room:
            raise Busy(
                "Too much is on its way to the log; send again later.",
                reason="INGEST_BUSY",
                retry_after_s=self._limits.busy_retry_s,
            )
        try:
            request = RawRecordScanBatchRequest.FromString(message)
        except DecodeError as error:
            raise Refused(
                "The message cannot be decoded: it is no RecordScanBatchRequest, or an id in it "
                "is not UTF-8.",
                reason="MESSAGE_UNDECODABLE",
            ) from error
        check_batch(request.batch, len(message))
        durability = self._intake.identity.durability
        if request.validate_only:
            result = self._intake.validate(request.batch)
            return RecordScanBatchResponse(result=result, durability=durability)
        taken = self._intake.take(request.batch, len(message))
        self._enter()
        try:
            del request, message  # What waits for its result is in memory once.
            result = await self._intake.result(taken)
        except asyncio.CancelledError:  # The caller is gone; what became of it is written down.
            self._intake.abandon(taken)
            raise
        finally:
            self._leave()
        if taken.nothing_happened is not None:
            raise taken.nothing_happened
        result.batch_number = 0
        return RecordScanBatchResponse(result=result, durability=durability)

    async def _keep_pace(self) -> None:
        pace = self._intake.pace
        while True:
            await asyncio.sleep(self._limits.pace_tick_s)
            pace.look(
                self._batcher.oldest_s(),
                settled_bytes=self._batcher.take_settled_bytes(),
                lag_records=self._lag_records(),
            )
            self._batcher.keep_to(pace)

    def _opened(self) -> Opened:
        opened = Opened(
            limits=Limits(
                batch_scans_max=BATCH_SCANS_MAX,
                batch_bytes_max=BATCH_BYTES_MAX,
                event_bytes_max=EVENT_BYTES_MAX,
                personal_bytes_max=PERSONAL_BYTES_MAX,
                message_bytes_max=MESSAGE_BYTES_MAX,
                stream_sources_max=self._limits.sources_per_stream_max,
            ),
            window=self._intake.pace.window,
            durability=self._intake.identity.durability,
            server_version=self._server_version,
        )
        opened.server_time.FromNanoseconds(self._intake.now_ns())
        return opened

    def _enter(self) -> None:
        self._calls += 1
        self._no_calls.clear()

    def _leave(self) -> None:
        self._calls -= 1
        if not self._calls:
            self._no_calls.set()


def _ending() -> Uncertain:
    return Uncertain("The server ends; connect again and send again.", reason="SERVER_ENDING")
