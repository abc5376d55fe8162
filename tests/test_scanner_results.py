"""The scanner's client against a scripted server: what it does with every result it may get."""

import asyncio
import time

import pytest

from ingest.scanner import ScannerStopped
from ledger.v1.ingest_service_pb2 import (
    DURABILITY_WRITTEN,
    BatchResult,
    Credit,
    IndexRange,
)
from ledger.v1.raw_pb2 import RawBatch
from tests.ingest_traffic import an_event
from tests.scripted_server import (
    EVENTS,
    Answer,
    ScriptedServer,
    a_scanner,
    once,
    resend,
    response,
    scripted,
    taken,
)


class TestResults:
    async def test_ranges_are_sent_again_with_their_numbers(self) -> None:
        """Only these, with the same events and sequences, and all counts are right."""
        script = once(lambda batch: resend(batch, (1, 2), (5, 5), (8, 9)))
        async with scripted(script) as server, a_scanner(server) as scanner:
            outcome = await (await scanner.submit(EVENTS))

        assert server.events()[0] == EVENTS
        assert sorted(server.events()[1:]) == [EVENTS[1:3], [EVENTS[5]], EVENTS[8:]]
        assert sorted(batch.first_sequence for batch in server.batches) == [1, 2, 6, 9]
        assert outcome.refusals == []
        assert (scanner.counts.durable, scanner.counts.sent, scanner.counts.sent_again) == (
            10,
            15,
            5,
        )

    async def test_the_delay_is_kept(self) -> None:
        """Nothing is sent before it is over, new scans neither."""
        times: list[float] = []

        def script(batch: RawBatch) -> Answer:
            times.append(time.monotonic())
            return resend(batch, (0, 0), delay_s=0.3) if len(times) == 1 else taken(batch)

        async with scripted(script) as server, a_scanner(server) as scanner:
            first = await scanner.submit(EVENTS[:1])
            await server.heard.wait()
            await asyncio.sleep(0.1)
            await scanner.submit(EVENTS[1:2])
            await first

        assert len(times) == 3
        assert min(times[1:]) - times[0] >= 0.3

    async def test_what_a_result_forgets_is_sent_again(self) -> None:
        """A server that names too little loses nothing."""

        def forgetful(batch: RawBatch) -> Answer:
            part = IndexRange(first=0, last=3)
            return [response(result=BatchResult(batch_number=batch.batch_number, durable=[part]))]

        async with scripted(once(forgetful)) as server, a_scanner(server) as scanner:
            await scanner.submit(EVENTS)

        assert server.events() == [EVENTS, EVENTS[4:]]
        assert scanner.counts.durable == 10

    async def test_nonsense_in_a_result_is_passed_over(self) -> None:
        """Ranges beyond the batch, results of no batch, and messages that are not known."""

        def confused(batch: RawBatch) -> Answer:
            ranges = [IndexRange(first=0, last=4_000_000_000), IndexRange(first=7, last=3)]
            result = BatchResult(batch_number=batch.batch_number, durable=ranges)
            stray = BatchResult(batch_number=99, durable=[IndexRange(last=3)])
            return [response(result=stray), response(), response(result=result)]

        async with scripted(confused) as server, a_scanner(server) as scanner:
            await scanner.submit(EVENTS)

        assert server.events() == [EVENTS]
        assert scanner.counts.durable == 10

    async def test_credit_replaces_the_window(self) -> None:
        """A window of nothing leaves one batch at a time, until it grows."""
        in_flight: list[int] = []

        def script(batch: RawBatch) -> Answer:
            in_flight.append(batch.batch_number)
            window = Credit() if batch.batch_number < 5 else Credit(window_events=1_000)
            return [response(credit=window), *taken(batch)]  # type: ignore[misc]

        async with scripted(script) as server, a_scanner(server) as scanner:
            for event in EVENTS:
                await scanner.submit([event])

        assert in_flight == sorted(in_flight)
        assert scanner.counts.durable == 10

    async def test_the_limits_of_the_server_are_kept(self) -> None:
        """No batch has more scans, and none more bytes, than the server says."""
        async with scripted(taken) as server:
            server.opened.limits.batch_scans_max = 4
            server.opened.limits.batch_bytes_max = 700
            async with a_scanner(server) as scanner:
                await scanner.submit(EVENTS)

        assert max(len(batch.scans) for batch in server.batches) <= 4
        assert max(batch.ByteSize() for batch in server.batches) <= 700
        assert [event for events in server.events() for event in events] == EVENTS

    async def test_the_durability_is_the_streams(self) -> None:
        """A receipt says what the server promised."""
        async with scripted(taken) as server:
            server.opened.durability = DURABILITY_WRITTEN
            async with a_scanner(server) as scanner:
                assert (await scanner.record(an_event())).durability == DURABILITY_WRITTEN

    async def test_an_unknown_durability_acknowledges_nothing(self) -> None:
        """The scans stay with the sender: the scanner stops before it sends any."""
        async with scripted(taken) as server:
            server.opened.durability = 77  # type: ignore[assignment]
            with pytest.raises(ScannerStopped, match="durability"):
                await self._record(server)

        assert server.batches == []

    async def _record(self, server: ScriptedServer) -> None:
        async with a_scanner(server) as scanner:
            await scanner.record(an_event())
