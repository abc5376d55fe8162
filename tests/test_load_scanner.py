"""A load's scanner on a network, by sync stubs: over restarts, refusals and silence."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import grpc
import pytest

from ledger.errors import Busy, Refused, Uncertain
from ledger.v1.ingest_service_pb2 import Draining, RecordScansResponse
from loadtest.load import scanner as module
from loadtest.load.scanner import Scanner, ScannerStopped
from loadtest.load.spool import Spool
from loadtest.load.traffic import Scan
from tests.ingest_traffic import an_encoded_event
from tests.scripted_server import Answer, ScriptedServer, once, resend, response, scripted, taken

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ledger.v1.raw_pb2 import RawBatch
    from loadtest.load.spool import Settled
    from loadtest.load.status import Status

WITHIN_S = 15.0


class Told:
    """What a scanner has told."""

    def __init__(self) -> None:
        self.settled: list[Settled] = []
        self.ended: list[Status] = []

    def durable(self) -> list[bytes]:
        """The events that are durable, in the order of results."""
        return [scan.event for result in self.settled for scan in result.durable]


@contextmanager
def a_scanner(server: ScriptedServer, told: Told) -> Iterator[Scanner]:
    """A scanner that speaks to the scripted server."""
    with grpc.insecure_channel(server.address) as channel:
        scanner = Scanner(
            channel.stream_stream(
                "/ledger.v1.IngestService/RecordScans",
                response_deserializer=RecordScansResponse.FromString,
            ),
            Spool("gate-1", bytes(16), window_batches=3, random=lambda: 0.01),
            on_settled=lambda _, settled: told.settled.append(settled),
            on_ended=told.ended.append,
            random=lambda: 0.01,
        )
        scanner.join()
        try:
            yield scanner
        finally:
            scanner.close()


def batches(count: int, size: int = 3) -> list[list[Scan]]:
    """Batches of good scans."""
    return [
        [
            Scan("ITEM", number.to_bytes(16, "big"), an_encoded_event(number))
            for number in range(batch * size, (batch + 1) * size)
        ]
        for batch in range(count)
    ]


def scan(server: ScriptedServer, told: Told, *, count: int = 6) -> int:
    """Hand batches over, and wait until all have their outcome."""
    with a_scanner(server, told) as scanner:
        for batch in batches(count):
            scanner.hand_over(batch)
        scanner.leave()
        return scanner.drain(WITHIN_S)


EVENTS = [scan.event for batch in batches(6) for scan in batch]


async def test_every_scan_gets_its_outcome() -> None:
    """On one stream, which ends by itself when the scanner is wanted no more."""
    told = Told()
    async with scripted(taken) as server:
        left = await asyncio.to_thread(scan, server, told)

    assert left == 0
    assert told.durable() == EVENTS
    assert server.streams == 1
    assert told.ended == []


async def test_several_batches_are_in_flight() -> None:
    """A server that answers nothing before it has three still gets three, and no fourth."""
    waiting: list[RawBatch] = []

    def answer_later(batch: RawBatch) -> Answer:
        waiting.append(batch)
        if len(waiting) < 3:
            return []
        answers = [each for one in waiting for each in taken(one)]  # type: ignore[union-attr]
        waiting.clear()
        return answers

    told = Told()
    async with scripted(answer_later) as server:
        left = await asyncio.to_thread(scan, server, told)

    assert left == 0
    assert told.durable() == EVENTS


async def test_what_is_to_be_sent_again_is_sent_again() -> None:
    """With the same ids, after the delay, by itself: nobody has to hand anything over."""
    told = Told()
    script = once(lambda batch: resend(batch, (0, 0), (2, 2), delay_s=0.05))
    async with scripted(script) as server:
        left = await asyncio.to_thread(scan, server, told, count=1)

    assert left == 0
    assert sorted(told.durable()) == sorted(EVENTS[:3])
    assert told.settled[0].again == 2
    assert server.streams == 1


@pytest.mark.parametrize(
    "error", [Uncertain("gone", reason="GONE"), Busy("too much", reason="BUSY", retry_after_s=0.01)]
)
async def test_a_stream_that_ends_is_opened_again(error: Uncertain | Busy) -> None:
    """What was in flight is sent again, and the end is told."""
    told = Told()
    async with scripted(once(lambda _: error)) as server:
        left = await asyncio.to_thread(scan, server, told)

    assert left == 0
    assert sorted(set(told.durable())) == sorted(EVENTS)
    assert len(told.durable()) == len(EVENTS)
    assert server.streams == 2
    assert [status.may_pass for status in told.ended] == [True]


async def test_a_server_that_drains_is_left_and_met_again() -> None:
    """All that was sent on the first stream has its result there; that is no failure."""
    told = Told()
    script = once(lambda batch: [*taken(batch), response(draining=Draining())])  # type: ignore[misc]
    async with scripted(script) as server:
        left = await asyncio.to_thread(scan, server, told)

    assert left == 0
    assert sorted(set(told.durable())) == sorted(EVENTS)
    assert server.streams >= 2
    assert told.ended == []


def hand_over_all(scanner: Scanner, many: Sequence[Sequence[Scan]]) -> None:
    """Hand one batch over after the other."""
    for batch in many:
        scanner.hand_over(batch)


async def test_what_can_never_pass_stops_the_scanner() -> None:
    """Nothing is sent again for ever, and whoever hands over is told why."""
    told = Told()

    def go(server: ScriptedServer) -> None:
        stopped = pytest.raises(ScannerStopped, match="spool_id")
        with a_scanner(server, told) as scanner, stopped:
            hand_over_all(scanner, batches(100))

    async with scripted(
        once(lambda _: Refused("spool_id is wrong", reason="BATCH_RULE"))
    ) as server:
        await asyncio.to_thread(go, server)

    assert [status.may_pass for status in told.ended] == [False]
    assert server.streams == 1


async def test_a_server_that_says_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream on which no answer comes is given up, and the next one does better."""
    monkeypatch.setattr(module, "RESULT_WITHIN_S", 0.2)
    told = Told()
    async with scripted(once(lambda _: [])) as server:
        left = await asyncio.to_thread(scan, server, told, count=1)

    assert left == 0
    assert told.durable() == EVENTS[:3]
    assert server.streams == 2
    assert [status.code for status in told.ended] == [grpc.StatusCode.CANCELLED]


async def test_a_scanner_that_is_joined_again_goes_on() -> None:
    """Another user takes it in hand: same source, a new stream."""
    told = Told()
    threads = threading.active_count()

    def go(server: ScriptedServer) -> None:
        with a_scanner(server, told) as scanner:
            for batch in batches(2):
                scanner.join()
                assert scanner.wait_open(WITHIN_S)
                assert scanner.batch_scans_max == 100
                scanner.hand_over(batch)
                scanner.leave()
                assert scanner.drain(WITHIN_S) == 0

    async with scripted(taken) as server:
        await asyncio.to_thread(go, server)

    assert told.durable() == EVENTS[:6]
    assert threading.active_count() <= threads + 3
