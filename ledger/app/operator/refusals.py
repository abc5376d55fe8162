"""Refused scans, read out of the log `refusals` page by page: it may be long."""

from __future__ import annotations

import asyncio
from typing import Final

from google.protobuf.message import DecodeError

from ledger.app.operator import requests
from ledger.errors import Refused
from ledger.numbers import partition_of
from ledger.scan_log import ScanLog
from ledger.v1 import operator_service_pb2 as pb
from ledger.v1.refused_scan_pb2 import RefusedScan

PAGE_BYTES: Final = 1 << 20
"""Bytes of scans with which a page is full; one more of 68 KiB may be in it. A quarter of what an
answer may have.
"""

LOOK_RECORDS: Final = 50_000
"""Records that are looked at for one page: some seconds, within which the caller has an answer."""

_STEP: Final = 500
"""Records that are read together: a few milliseconds of the event loop."""


async def list_refusals(log: ScanLog, request: pb.ListRefusalsRequest) -> pb.ListRefusalsResponse:
    """Give a page. Raises Refused, and what the log raises."""
    most = requests.page_size_in(request)
    partition, index = requests.read_token(request)
    partitions = log.identity.partitions
    end = partitions
    if request.source_id:  # All of a source lies in one.
        own = partition_of(request.source_id.encode(), partitions)
        partition, end = max(partition, own), own + 1
    partition = max(partition, 0)
    if partition >= end:
        raise Refused(
            "`page_token` is not one that this service gave out. Ask again without it.",
            reason="PAGE_TOKEN_REFUSED",
            field="page_token",
        )
    response = pb.ListRefusalsResponse()
    looked_at = size = 0
    while partition < end:
        bounds = await log.bounds(partition)
        index = max(index, bounds.first)
        while index < bounds.next:
            values = await log.read(partition, index, min(_STEP, bounds.next - index))
            for value in values:
                if len(response.items) == most or size >= PAGE_BYTES or looked_at == LOOK_RECORDS:
                    response.next_page_token = requests.write_token(request, (partition, index))
                    return response
                looked_at += 1
                if (scan := _asked_for(value, request)) is not None:
                    item = response.items.add(scan=scan)
                    item.position.log = log.identity.name
                    item.position.generation = log.identity.generation
                    item.position.partition, item.position.index = partition, index
                    size += len(value)
                index += 1
            await asyncio.sleep(0)  # A log that answers at once lets nobody else run.
        partition, index = partition + 1, 0
    return response


def _asked_for(value: bytes, request: pb.ListRefusalsRequest) -> RefusedScan | None:
    try:
        scan = RefusedScan.FromString(value)
    except DecodeError:
        return None  # Another program's.
    if request.source_id and scan.source_id != request.source_id:
        return None
    return scan if not request.reason or scan.reason == request.reason else None
