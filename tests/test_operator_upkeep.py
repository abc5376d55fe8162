"""Comparisons, backups and rebuildings as jobs of the operator's service, over gRPC."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import grpc
import pytest

from ledger.app.operator.service import OPERATOR_SERVICE
from ledger.app.rpc import RpcServer
from ledger.trail_store import Row
from ledger.v1 import operator_service_pb2 as pb
from ledger.v1.comparison_pb2 import ComparedFault
from ledger.v1.operator_service_pb2_grpc import OperatorServiceStub
from ledger.v1.rebuild_pb2 import StoreGenerationState
from tests.asking import failing
from tests.folders import PARTITIONS, opened, operator_service
from tests.quarantined import KINDS, put
from tests.upkeep import rows_in, settle, tamper
from tests.writing import caught_up, fill, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from ledger.backends.rocksdb_folder import Folder
    from ledger.v1.operator_service_pb2_grpc import OperatorServiceAsyncStub

pytestmark = pytest.mark.slow

RECORDS = 3_000
FAILED_PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION


@asynccontextmanager
async def operated(
    ledger: Folder, *, embedded: bool = True
) -> AsyncIterator[OperatorServiceAsyncStub]:
    """Serve the operator of a folder on a port of its own."""
    service = operator_service(ledger, embedded=embedded)
    server = RpcServer(service.handlers, service_names=[OPERATOR_SERVICE])
    port = await server.start("127.0.0.1:0")
    task = asyncio.create_task(service.run())
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield OperatorServiceStub(channel)
    finally:
        await server.stop(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def filled(folder: Path) -> AsyncIterator[Folder]:
    """A settled ledger with something of each kind in quarantine."""
    async with opened(folder) as ledger:
        for number, kind in enumerate(KINDS):
            await put(ledger.log, kind(number))
        await fill(ledger, range(RECORDS))
        async with running(ledger.log, ledger.quarantine, ledger.store):
            await caught_up(ledger)
        await settle(ledger)
        yield ledger


async def ended(stub: OperatorServiceAsyncStub, job: pb.Job) -> list[pb.Job]:
    """Watch a job to its end."""
    return [one.job async for one in stub.WatchJob(pb.WatchJobRequest(job_id=job.job_id))]


async def test_a_comparison_is_told_whole(tmp_path: Path) -> None:
    """What was compared, with digests that anybody can work out; then what differs, by position
    and item.
    """
    async with filled(tmp_path) as ledger, operated(ledger) as stub:
        rows = await rows_in(ledger)
        job = (await stub.StartCompare(pb.StartCompareRequest())).job
        same = (await ended(stub, job))[-1]
        tamper(ledger, rows[11], None)
        job = (await stub.StartCompare(pb.StartCompareRequest())).job
        differ = (await ended(stub, job))[-1]

    found = same.comparison
    assert (same.kind, same.state) == ("compare", pb.JobState.JOB_STATE_DONE)
    assert found.same
    assert found.rows == len(rows)
    assert found.records > RECORDS
    sums = [0] * PARTITIONS
    for key, order, record in rows:
        whole = hashlib.sha256(bytes([len(key)]) + key + order + record).digest()
        sums[int.from_bytes(order[-8:], "big") >> 40 & 0xFFFF] += int.from_bytes(whole, "big")
    assert {one.partition: one.digest for one in found.partitions} == {
        partition: (total % 2**256).to_bytes(32, "big") for partition, total in enumerate(sums)
    }
    assert differ.state == pb.JobState.JOB_STATE_DONE
    assert not differ.comparison.same
    [one] = differ.comparison.positions
    assert one.fault == ComparedFault.COMPARED_FAULT_MISSING
    assert one.tracking_key == rows[11].tracking_key.decode()
    assert one.position.index == int.from_bytes(rows[11].order[-8:], "big") & (1 << 40) - 1


async def test_a_comparison_can_be_cancelled(tmp_path: Path) -> None:
    """It ends at once, without a result, and another one can be made."""
    async with filled(tmp_path) as ledger, operated(ledger) as stub:
        job = (await stub.StartCompare(pb.StartCompareRequest())).job
        cancelled = (await stub.CancelJob(pb.CancelJobRequest(job_id=job.job_id))).job
        job = (await stub.StartCompare(pb.StartCompareRequest())).job
        told = await ended(stub, job)

    assert cancelled.state == pb.JobState.JOB_STATE_CANCELLED
    assert cancelled.WhichOneof("result") is None
    assert told[-1].comparison.same
    assert told[-1].total == 2 * told[-1].comparison.records


async def test_a_backup_is_told(tmp_path: Path) -> None:
    """Which folder, how many files and bytes, and what it covers; a second one to the same folder
    fails and says why.
    """
    async with filled(tmp_path / "a") as ledger, operated(ledger) as stub:
        request = pb.StartBackupRequest(folder=str(tmp_path / "backup"))
        made = (await ended(stub, (await stub.StartBackup(request)).job))[-1]
        again = (await ended(stub, (await stub.StartBackup(request)).job))[-1]
        ends = [(await ledger.log.bounds(each)).next for each in range(PARTITIONS)]

    assert (made.kind, made.state) == ("backup", pb.JobState.JOB_STATE_DONE), made.error
    assert made.backup.folder == str(tmp_path / "backup")
    assert made.backup.bytes > 0
    assert [one.next_index for one in made.backup.partitions] == ends
    assert again.state == pb.JobState.JOB_STATE_FAILED
    assert "not an empty folder" in again.error


@pytest.mark.parametrize(
    ("folder", "backups", "wanted"),
    [
        ("/b", False, (grpc.StatusCode.FAILED_PRECONDITION, "NO_BACKUP_HERE")),
        ("", True, (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")),
        ("/x" * 3_000, True, (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")),
    ],
)
async def test_what_cannot_be_backed_up_is_refused_at_once(
    tmp_path: Path, folder: str, backups: bool, wanted: tuple[grpc.StatusCode, str]
) -> None:
    """Kafka and Cassandra have tools of their own; no path, or one that is too long, is none."""
    async with opened(tmp_path) as ledger, operated(ledger, embedded=backups) as stub:
        with failing() as failures:
            await stub.StartBackup(pb.StartBackupRequest(folder=folder))

    assert (failures[0].code, failures[0].reason) == wanted


async def test_a_rebuilding_is_told(tmp_path: Path) -> None:
    """Which generation serves and how much was brought to it; the generations are listed, and the
    one before can be dropped, once.
    """
    async with filled(tmp_path) as ledger, operated(ledger) as stub:
        rows = await rows_in(ledger)
        job = (await stub.StartRebuild(pb.StartRebuildRequest())).job
        told = await ended(stub, job)
        listed = await stub.ListStoreGenerations(pb.ListStoreGenerationsRequest())
        request = pb.DropStoreGenerationRequest(store_generation=1)
        left = await stub.DropStoreGeneration(request)
        with failing() as failures:
            await stub.DropStoreGeneration(request)
        serving = pb.DropStoreGenerationRequest(store_generation=2)
        with failing() as serves:
            await stub.DropStoreGeneration(serving)
        assert await rows_in(ledger) == rows

    last = told[-1]
    assert (last.kind, last.state) == ("rebuild", pb.JobState.JOB_STATE_DONE), last.error
    assert last.rebuild.store_generation == 2
    assert last.rebuild.previous_store_generation == 1
    assert last.rebuild.records > RECORDS
    assert last.rebuild.compared_rows == len(rows)
    assert [(one.store_generation, one.state) for one in listed.generations] == [
        (1, StoreGenerationState.STORE_GENERATION_STATE_KEPT),
        (2, StoreGenerationState.STORE_GENERATION_STATE_SERVING),
    ]
    assert [one.store_generation for one in left.generations] == [2]
    for each in (*failures, *serves):
        assert (each.code, each.reason) == (FAILED_PRECONDITION, "GENERATION_NOT_FIT")


async def test_a_rebuilding_can_be_cancelled_and_goes_on(tmp_path: Path) -> None:
    """It ends at once and leaves the old one serving; the half built one is listed, and another
    job ends it. Two at once are one too many.
    """
    async with filled(tmp_path) as ledger, operated(ledger) as stub:
        first = (await stub.StartRebuild(pb.StartRebuildRequest())).job
        second = (await stub.StartRebuild(pb.StartRebuildRequest())).job
        too_many = (await ended(stub, second))[-1]
        await stub.CancelJob(pb.CancelJobRequest(job_id=first.job_id))
        listed = await stub.ListStoreGenerations(pb.ListStoreGenerationsRequest())
        generation = ledger.store.generation
        third = (await stub.StartRebuild(pb.StartRebuildRequest())).job
        done = (await ended(stub, third))[-1]

    assert too_many.state == pb.JobState.JOB_STATE_FAILED
    assert "being rebuilt" in too_many.error
    assert generation == 1
    assert [one.state for one in listed.generations] == [
        StoreGenerationState.STORE_GENERATION_STATE_SERVING,
        StoreGenerationState.STORE_GENERATION_STATE_BUILDING,
    ]
    assert done.rebuild.store_generation == 2


async def test_a_rebuilding_that_differs_fails_and_says_where(tmp_path: Path) -> None:
    """The old one goes on, and the job's comparison names the position."""
    async with filled(tmp_path) as ledger, operated(ledger) as stub:
        building = await ledger.generations.begin()
        stray = (await rows_in(ledger))[7]._replace(tracking_key=b"STRAY")
        await building.put([Row(*stray, record_time_us=1)])
        job = (await stub.StartRebuild(pb.StartRebuildRequest())).job
        last = (await ended(stub, job))[-1]
        assert ledger.store.generation == 1

    assert last.state == pb.JobState.JOB_STATE_FAILED
    assert "rebuild drop 2" in last.error
    assert [one.tracking_key for one in last.comparison.positions] == ["STRAY"]
