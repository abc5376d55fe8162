"""A gRPC server that does nothing: it answers the ledger's methods with empty results.

What it reaches is what gRPC alone reaches with the same messages; no ledger can be faster.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Any

import grpc.aio

from ledger.v1.ingest_service_pb2 import BatchResult, IndexRange, RecordScansResponse
from ledger.v1.trail_service_pb2 import ListScanEventsResponse
from loadtest.bench.traffic import BATCH_SCANS

_MESSAGE_BYTES_MAX = 4 << 20
_RESULT = RecordScansResponse(
    result=BatchResult(durable=[IndexRange(first=0, last=BATCH_SCANS - 1)])
).SerializeToString()
_PAGE = ListScanEventsResponse().SerializeToString()


async def _record_scans(requests: Any, context: Any) -> None:  # noqa: ANN401 - grpc's own types.
    await context.read()
    while await context.read() is not grpc.aio.EOF:
        await context.write(_RESULT)


async def _list_scan_events(request: bytes, context: Any) -> bytes:  # noqa: ANN401
    return _PAGE


async def serve(port: int) -> None:
    """Serve until told to end."""
    ends = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ends.set)
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", _MESSAGE_BYTES_MAX)])
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(
                "ledger.v1.IngestService",
                {"RecordScans": grpc.stream_stream_rpc_method_handler(_record_scans)},
            ),
            grpc.method_handlers_generic_handler(
                "ledger.v1.TrailService",
                {"ListScanEvents": grpc.unary_unary_rpc_method_handler(_list_scan_events)},
            ),
        )
    )
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await ends.wait()
    await server.stop(0)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
