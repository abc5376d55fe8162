"""Random damage to good requests, over real gRPC: the door answers, and never breaks."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from ledger.v1.ingest_service_pb2 import BatchResult
from ledger.v1.raw_pb2 import RawBatch, RawRecordScanBatchRequest, RawRecordScansRequest
from tests.faulty_log import FaultyLog
from tests.ingest_server import (
    Caller,
    Served,
    details_of,
    durable,
    faulty_log,
    record_batch,
    record_bytes,
    serving,
)
from tests.ingest_traffic import a_batch, an_encoded_event
from tests.scale import is_soak, scaled
from tests.test_admission import KEPT

INVALID = grpc.StatusCode.INVALID_ARGUMENT
TOO_MUCH = grpc.StatusCode.RESOURCE_EXHAUSTED
GOOD = an_encoded_event(99)
MUTATIONS = scaled(20_000, soak=1_000_000)


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[FaultyLog]:
    """An embedded log."""
    async with faulty_log(tmp_path) as log:
        yield log


@pytest.fixture
async def served(log: FaultyLog) -> AsyncIterator[Served]:
    """The door in, on that log."""
    async with serving(log) as door:
        yield door


def mutated(message: bytes, random_source: random.Random) -> bytes:
    """The message with a few bytes changed, put in, left out or repeated."""
    out = bytearray(message)
    for _ in range(random_source.randint(1, 4)):
        at, length = random_source.randrange(len(out) + 1), random_source.randint(0, 3)
        piece = random_source.choice(
            [
                random_source.randbytes(random_source.randint(0, 3)),
                bytes(out[at : at + random_source.randint(0, 40)]) * 2,
                b"\xff" * 9 + b"\x01",
                b"\x00",
            ]
        )
        out[at : at + length] = piece
    return bytes(out)


@pytest.mark.slow
@pytest.mark.timeout(scaled(150, soak=7_200))
class TestMutations:
    async def test_no_mutation_breaks_the_door(self, served: Served) -> None:
        """Damaged requests, by call and by stream: an answer that names every scan once, or a named
        error; never an error of the server's own, and good batches are served in between.
        """
        seed = random.randrange(2**32) if is_soak() else 20_261_121
        source = random.Random(seed)
        events = [an_encoded_event(n, **KEPT[n % len(KEPT)]) for n in range(1, 6)]
        call = RawRecordScanBatchRequest(batch=a_batch(events)).SerializeToString()
        stream = RawRecordScansRequest(batch=a_batch(events)).SerializeToString()
        for number in range(MUTATIONS):
            if number % 4:
                await self._call(served, mutated(call, source), seed)
            else:
                await self._stream(served, mutated(stream, source), seed)
            if number % 50 == 0:
                good = await record_batch(served.channel, a_batch([GOOD]))
                assert durable(good.result) == [(0, 0)]

    async def _call(self, served: Served, message: bytes, seed: int) -> None:
        try:
            result = (await record_bytes(served.channel, message)).result
        except grpc.aio.AioRpcError as error:
            self._is_named(error, seed, message)
            return
        request = RawRecordScanBatchRequest.FromString(message)
        if not request.validate_only:
            self._names_every_scan(request.batch, result)

    async def _stream(self, served: Served, message: bytes, seed: int) -> None:
        caller = Caller(served.channel)
        await caller.open()
        await caller.call.write(message)
        try:
            responses = await asyncio.wait_for(caller.close(), timeout=10)
        except grpc.aio.AioRpcError as error:
            self._is_named(error, seed, message)
            return
        for response in responses:
            if response.HasField("result"):
                batch = RawRecordScansRequest.FromString(message).batch
                self._names_every_scan(batch, response.result)

    def _is_named(self, error: grpc.aio.AioRpcError, seed: int, message: bytes) -> None:
        assert error.code() in {INVALID, TOO_MUCH}, (seed, message, error)
        assert details_of(error)[0], (seed, message, error)

    def _names_every_scan(self, batch: RawBatch, result: BatchResult) -> None:
        named = [i for first, last in durable(result) for i in range(first, last + 1)]
        named += [refusal.index for refusal in result.refusals]

        assert sorted(named) == list(range(len(batch.scans)))
