"""OperatorService: what an operator does with a ledger that runs. It raises the ledger's errors.

It is served on loopback alone, whatever the settings say, until the ledger knows who speaks.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

import grpc

from ledger.aliases.desk import AliasDesk
from ledger.app.operator import requests
from ledger.app.operator.aliases import record_alias
from ledger.app.operator.completeness import findings_page, settle
from ledger.app.operator.jobs import Jobs, Progress
from ledger.app.operator.quarantined import STATES, item_message, replay_all
from ledger.app.operator.rebuilds import REBUILD, Rebuilds
from ledger.app.operator.refusals import list_refusals
from ledger.app.operator.unmapped import list_unmapped
from ledger.app.operator.upkeep import BACKUP, COMPARE, Kept, backup_work, compare_work
from ledger.completeness.audit import Audit
from ledger.completeness.paged import PagedReports
from ledger.errors import LedgerError
from ledger.quarantine.desk import Desk
from ledger.scan_log import ScanLog
from ledger.v1 import operator_service_pb2 as pb
from ledger.vocabulary import Mappings
from query.requests import keys_of

logger = logging.getLogger(__name__)

OPERATOR_SERVICE: Final = "ledger.v1.OperatorService"
"""Full name of the service."""

QUARANTINE_REPLAY: Final = "quarantine-replay"
"""Kind of the job that replays many records."""

COMPLETENESS_LOOK: Final = "completeness-look"
"""Kind of the job that looks through all records for scans without a receipt."""

COUNT_EVERY_S: Final = 10.0
"""How often open items are counted for the metrics."""

_UNARY: Final = (
    *("ListQuarantined", "GetQuarantined", "ReplayQuarantined", "DropQuarantined"),
    *("StartQuarantineReplay", "StartCompare", "StartBackup", "StartRebuild"),
    *("ListStoreGenerations", "DropStoreGeneration"),
    *("ListCompletenessFindings", "StartCompletenessLook", "SettleSequences", "ListUnmapped"),
    "ListRefusals",
    *("RecordAlias", "ListJobs", "GetJob", "CancelJob"),
)


class OperatorService:
    """`ledger.v1.OperatorService`. Add `handlers` to a server, and keep `run` running."""

    def __init__(
        self,
        desk: Desk,
        kept: Kept,
        audit: Audit,
        refusals: ScanLog,
        *,
        mappings: Mappings,
        audits: bool = True,
        now_ns: Callable[[], int],
        monotonic: Callable[[], float],
    ) -> None:
        """`desk` is the quarantine's; `refusals` is the log of refused scans; `mappings` explain
        sources' own codes; `audits` is whether this process counts what is missing also where
        nobody asks; `now_ns` gives nanoseconds since 1970, `monotonic` seconds.
        """
        self._desk = desk
        self._aliases = AliasDesk(kept.scans, kept.store, now_ns=now_ns)
        self._kept = kept
        self._rebuilds = Rebuilds(kept, desk, monotonic=monotonic)
        self._audit = audit
        self._refusals = refusals
        self._audits = audits
        self._paged = PagedReports(monotonic=monotonic)
        self._mappings = mappings
        self._monotonic = monotonic
        self._jobs = Jobs(now_ns=now_ns, new_id=lambda: secrets.token_hex(8))

    @property
    def handlers(self) -> Sequence[grpc.GenericRpcHandler]:
        """The service for a gRPC server."""
        methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            name: grpc.unary_unary_rpc_method_handler(
                getattr(self, name),
                request_deserializer=getattr(pb, f"{name}Request").FromString,
                response_serializer=getattr(pb, f"{name}Response").SerializeToString,
            )
            for name in _UNARY
        }
        methods["WatchJob"] = grpc.unary_stream_rpc_method_handler(
            self.WatchJob,
            request_deserializer=pb.WatchJobRequest.FromString,
            response_serializer=pb.WatchJobResponse.SerializeToString,
        )
        return (grpc.method_handlers_generic_handler(OPERATOR_SERVICE, methods),)

    async def run(self) -> None:
        """Run jobs, and count what is open and what is missing, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._jobs.run())
            if self._audits:
                tasks.create_task(self._audit.run())
            tasks.create_task(self._count_open())

    async def ListQuarantined(
        self, request: pb.ListQuarantinedRequest, _: object
    ) -> pb.ListQuarantinedResponse:
        """Answer with one page of items."""
        most = requests.page_size_in(request)
        keys = keys_of(request.tracking_number) if request.tracking_number else ()
        begin = requests.read_token(request)
        items = await self._desk.items()
        found = [
            item
            for item in items.all()
            if item.rank > begin
            and (not keys or item.tracking_key in keys)
            and (not request.reason or item.reason == request.reason)
            and (not request.state or STATES[item.state] == request.state)
        ]
        response = pb.ListQuarantinedResponse(
            items=map(item_message, found[:most]), open_count=items.open_count
        )
        if len(found) > most:
            response.next_page_token = requests.write_token(request, found[most - 1].rank)
        return response

    async def GetQuarantined(
        self, request: pb.GetQuarantinedRequest, _: object
    ) -> pb.GetQuarantinedResponse:
        """Answer with one item, whole."""
        item, record = await self._desk.get(requests.position_in(request.position))
        return pb.GetQuarantinedResponse(item=item_message(item), record=record)

    async def ReplayQuarantined(
        self, request: pb.ReplayQuarantinedRequest, _: object
    ) -> pb.ReplayQuarantinedResponse:
        """Replay one."""
        item = await self._desk.replay(
            requests.position_in(request.position),
            by=requests.who(request.by),
            why=requests.reason_given(request.why, needed=False),
        )
        return pb.ReplayQuarantinedResponse(item=item_message(item))

    async def DropQuarantined(
        self, request: pb.DropQuarantinedRequest, _: object
    ) -> pb.DropQuarantinedResponse:
        """Settle that one stays out."""
        item = await self._desk.drop(
            requests.position_in(request.position),
            by=requests.who(request.by),
            why=requests.reason_given(request.why, needed=True),
        )
        return pb.DropQuarantinedResponse(item=item_message(item))

    async def StartQuarantineReplay(
        self, request: pb.StartQuarantineReplayRequest, _: object
    ) -> pb.StartQuarantineReplayResponse:
        """Start to replay many."""
        by, why = requests.who(request.by), requests.reason_given(request.why, needed=False)

        async def replay(progress: Progress) -> None:
            await replay_all(self._desk, request.reason, progress, by=by, why=why)

        return pb.StartQuarantineReplayResponse(job=self._jobs.start(QUARANTINE_REPLAY, replay))

    async def StartCompare(self, _: pb.StartCompareRequest, __: object) -> pb.StartCompareResponse:
        """Start to compare the store with the log."""
        work = compare_work(self._kept, self._desk)
        return pb.StartCompareResponse(job=self._jobs.start(COMPARE, work))

    async def StartBackup(
        self, request: pb.StartBackupRequest, _: object
    ) -> pb.StartBackupResponse:
        """Start to back up the folder."""
        work = backup_work(self._kept, request.folder)
        return pb.StartBackupResponse(job=self._jobs.start(BACKUP, work))

    async def StartRebuild(self, _: pb.StartRebuildRequest, __: object) -> pb.StartRebuildResponse:
        """Start to make the store again."""
        return pb.StartRebuildResponse(job=self._jobs.start(REBUILD, self._rebuilds.work()))

    async def ListStoreGenerations(
        self, _: pb.ListStoreGenerationsRequest, __: object
    ) -> pb.ListStoreGenerationsResponse:
        """Answer with all generations."""
        return pb.ListStoreGenerationsResponse(generations=await self._rebuilds.all())

    async def DropStoreGeneration(
        self, request: pb.DropStoreGenerationRequest, _: object
    ) -> pb.DropStoreGenerationResponse:
        """Remove one that does not serve."""
        left = await self._rebuilds.drop(request.store_generation)
        return pb.DropStoreGenerationResponse(generations=left)

    async def ListCompletenessFindings(
        self, request: pb.ListCompletenessFindingsRequest, _: object
    ) -> pb.ListCompletenessFindingsResponse:
        """Answer with one page of what is not in a trail."""
        return await findings_page(self._audit, self._paged, request)

    async def SettleSequences(
        self, request: pb.SettleSequencesRequest, _: object
    ) -> pb.SettleSequencesResponse:
        """Note that nobody waits for sequences any more."""
        return await settle(self._audit, request)

    async def StartCompletenessLook(
        self, _: pb.StartCompletenessLookRequest, __: object
    ) -> pb.StartCompletenessLookResponse:
        """Start to look through all records."""

        async def look(progress: Progress) -> None:
            def told(done: int, total: int) -> None:
                progress.total(total)
                progress.done(done, f"{done:,} records looked through")

            await self._audit.look_through(told)

        return pb.StartCompletenessLookResponse(job=self._jobs.start(COMPLETENESS_LOOK, look))

    async def ListRefusals(
        self, request: pb.ListRefusalsRequest, _: object
    ) -> pb.ListRefusalsResponse:
        """Answer with one page of refused scans."""
        return await list_refusals(self._refusals, request)

    async def ListUnmapped(
        self, request: pb.ListUnmappedRequest, _: object
    ) -> pb.ListUnmappedResponse:
        """Answer with codes that no mapping explains."""
        return await list_unmapped(
            self._kept.scans,
            self._mappings,
            records_max=request.records_max,
            monotonic=self._monotonic,
        )

    async def RecordAlias(
        self, request: pb.RecordAliasRequest, _: object
    ) -> pb.RecordAliasResponse:
        """Say that two numbers are one item."""
        return await record_alias(self._aliases, request)

    async def ListJobs(self, _: pb.ListJobsRequest, __: object) -> pb.ListJobsResponse:
        """Answer with all jobs."""
        return pb.ListJobsResponse(jobs=self._jobs.all())

    async def GetJob(self, request: pb.GetJobRequest, _: object) -> pb.GetJobResponse:
        """Answer with one job."""
        return pb.GetJobResponse(job=self._jobs.get(request.job_id))

    async def CancelJob(self, request: pb.CancelJobRequest, _: object) -> pb.CancelJobResponse:
        """Cancel a job."""
        return pb.CancelJobResponse(job=await self._jobs.cancel(request.job_id))

    async def WatchJob(
        self, request: pb.WatchJobRequest, _: object
    ) -> AsyncIterator[pb.WatchJobResponse]:
        """Answer with a job as it goes on."""
        async for job in self._jobs.watch(request.job_id):
            yield pb.WatchJobResponse(job=job)

    async def _count_open(self) -> None:
        while True:
            try:
                await self._desk.items()
            except LedgerError as error:
                # Nothing of the ledger hangs on this count, so nothing ends with it.
                logger.warning("the quarantine cannot be counted", extra={"error": error.message})
            await asyncio.sleep(COUNT_EVERY_S)
