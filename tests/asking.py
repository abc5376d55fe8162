"""A door to ask in tests: the query services of a real folder, on a real server."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from ledger.app.rpc import RpcServer
from ledger.backends.rocksdb_folder import open_folder
from ledger.v1.item_service_pb2_grpc import ItemServiceStub
from ledger.v1.progress_service_pb2_grpc import ProgressServiceStub
from ledger.v1.trail_service_pb2 import ListScanEventsRequest
from ledger.v1.trail_service_pb2_grpc import TrailServiceStub
from query.door import SERVICE_NAMES, QueryDoor
from tests.trails import NUMBER, PARTITIONS, Shelf

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from ledger.errors import LedgerError
    from ledger.facilities import Directory
    from ledger.issuing import Issuer
    from ledger.trail_store import TrailStore
    from ledger.v1.item_service_pb2_grpc import ItemServiceAsyncStub
    from ledger.v1.progress_service_pb2_grpc import ProgressServiceAsyncStub
    from ledger.v1.trail_service_pb2 import ListScanEventsResponse
    from ledger.v1.trail_service_pb2_grpc import TrailServiceAsyncStub
    from ledger.vocabulary import Mappings


class Asked(NamedTuple):
    """An open door, with a shelf behind it."""

    shelf: Shelf
    trails: TrailServiceAsyncStub
    progress: ProgressServiceAsyncStub
    items: ItemServiceAsyncStub
    listen: str

    async def list(self, **fields: object) -> ListScanEventsResponse:
        """List a trail, or a page of it."""
        return await self.trails.ListScanEvents(listing(**fields))

    async def pages(self, **fields: object) -> AsyncIterator[ListScanEventsResponse]:
        """Walk through the pages of a trail."""
        token = ""
        while True:
            page = await self.list(**fields, page_token=token)
            yield page
            token = page.next_page_token
            if not token:
                return


def listing(**fields: object) -> ListScanEventsRequest:
    """Ask for the trail of the usual number, unless the fields say otherwise."""
    return ListScanEventsRequest(**{"tracking_number": NUMBER, **fields})  # type: ignore[arg-type]


@asynccontextmanager
async def asked(
    folder: Path,
    *,
    generations: dict[int, int] | None = None,
    mappings: Mappings | None = None,
    facilities: Directory | None = None,
    now_ns: Callable[[], int] = time.time_ns,
) -> AsyncIterator[Asked]:
    """Open a folder, and a door to it on a port of its own."""
    async with (
        open_folder(folder, partitions=PARTITIONS, on_fatal=_fail) as opened,
        served(
            opened.store,
            generations or {1: PARTITIONS},
            mappings,
            facilities=facilities,
            now_ns=now_ns,
        ) as port,
    ):
        listen = f"127.0.0.1:{port}"
        async with grpc.aio.insecure_channel(listen) as channel:
            yield Asked(
                Shelf(opened.store),
                TrailServiceStub(channel),
                ProgressServiceStub(channel),
                ItemServiceStub(channel),
                listen,
            )


@asynccontextmanager
async def served(
    store: TrailStore,
    generations: dict[int, int],
    mappings: Mappings | None = None,
    issuer: Issuer | None = None,
    *,
    facilities: Directory | None = None,
    now_ns: Callable[[], int] = time.time_ns,
) -> AsyncIterator[int]:
    """Serve a store, as one process does."""
    door = QueryDoor(
        store,
        generations=generations,
        mappings=mappings,
        issuer=issuer,
        facilities=facilities,
        now_ns=now_ns,
        monotonic=time.monotonic,
    )
    server = RpcServer(door.handlers, service_names=SERVICE_NAMES)
    port = await server.start("127.0.0.1:0")
    running = asyncio.create_task(door.run())
    try:
        yield port
    finally:
        await server.stop(0)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def _fail(error: LedgerError) -> None:
    raise AssertionError("the folder broke") from error


class Failure(NamedTuple):
    """What a program reads of an error."""

    code: grpc.StatusCode
    reason: str
    field: str
    metadata: dict[str, str]
    retry: bool


@contextmanager
def failing() -> Iterator[list[Failure]]:
    """Expect an error of a call; what it says is in the list afterwards."""
    failures: list[Failure] = []
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        yield failures
    status = rpc_status.from_call(caught.value)  # type: ignore[arg-type] # It takes any call.
    assert status is not None
    info, bad, retry = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.BadRequest(),
        error_details_pb2.RetryInfo(),
    )
    found = [
        [detail.Unpack(kind) for detail in status.details].count(True)
        for kind in (info, bad, retry)
    ]
    assert found[0] == 1
    field = bad.field_violations[0].field if found[1] else ""
    failures.append(
        Failure(caught.value.code(), info.reason, field, dict(info.metadata), bool(found[2]))
    )
