"""The scanner's client against a scripted server: what it does when a stream ends, in any way."""

import asyncio
import time

import pytest

from ingest.scanner import Scanner, ScannerSettings, ScannerStopped, ScanRefused
from ledger.errors import Busy, LedgerError, Refused, TooLarge, Uncertain
from ledger.v1.ingest_service_pb2 import (
    REFUSAL_REASON_TOO_LARGE,
    SOURCE_STATUS_REFUSED,
    Draining,
    SourceState,
)
from ledger.v1.raw_pb2 import RawBatch
from tests.ingest_traffic import SOURCE, SPOOL, an_event
from tests.scripted_server import (
    EVENTS,
    FAST,
    Answer,
    a_scanner,
    once,
    response,
    scripted,
    taken,
)

pytestmark = pytest.mark.slow


class TestEndings:
    @pytest.mark.parametrize(
        "error",
        [
            Busy("Full.", reason="TEST", retry_after_s=0.01),
            Uncertain("Gone.", reason="TEST"),
            None,
        ],
        ids=["busy", "uncertain", "closed"],
    )
    async def test_what_was_in_flight_is_sent_again(self, error: LedgerError | None) -> None:
        """On a new stream, with the same events and numbers."""
        script = once(lambda _: error or [response(draining=Draining())])
        async with scripted(script) as server, a_scanner(server) as scanner:
            await scanner.submit(EVENTS)

        assert server.events() == [EVENTS, EVENTS]
        assert [batch.first_sequence for batch in server.batches] == [1, 1]
        assert [batch.batch_number for batch in server.batches] == [1, 1]
        assert server.streams == 2
        assert scanner.counts.sent_again == 10

    async def test_a_retry_waits_as_it_is_told(self) -> None:
        """RetryInfo is the least wait before the next stream."""
        script = once(lambda _: Busy("Full.", reason="TEST", retry_after_s=0.3))
        started = time.monotonic()
        async with scripted(script) as server, a_scanner(server) as scanner:
            await scanner.record(an_event())

        assert time.monotonic() - started >= 0.3

    async def test_draining_moves_to_another_stream(self) -> None:
        """Batches that have no result are waited for; nothing new is sent on the old stream."""
        script = once(lambda batch: [response(draining=Draining()), *taken(batch)])  # type: ignore[misc]
        async with scripted(script) as server, a_scanner(server) as scanner:
            await scanner.record(an_event(1))
            await scanner.record(an_event(2))

        assert server.streams == 2
        assert scanner.counts.sent_again == 0

    async def test_a_broken_batch_rule_stops_the_scanner(self) -> None:
        """INVALID_ARGUMENT: nothing of the batch was recorded and none of it counts as refused. The
        error names the rule; the scans stay as they are, those of later batches too.
        """
        refused: list[bytes] = []

        def script(batch: RawBatch) -> Answer:
            if batch.first_sequence == 1:
                return taken(batch)
            return Refused("Bad spool.", reason="TEST_RULE", field="batch.spool_id")

        async with scripted(script) as server:
            server.opened.limits.batch_scans_max = 4
            async with Scanner(
                server.address,
                source_id=SOURCE,
                settings=FAST,
                on_refused=lambda event, _: refused.append(event),
            ) as scanner:
                await scanner.record(an_event())
                future = await scanner.submit(EVENTS)
                with pytest.raises(ScannerStopped) as stopped:
                    await scanner.flush()
                with pytest.raises(ScannerStopped):
                    await future

        assert "Bad spool. (TEST_RULE at batch.spool_id)" in str(stopped.value)
        assert str(stopped.value).endswith("scans that have no outcome: 10")
        assert (refused, scanner.counts.refused, scanner.counts.durable) == ([], 0, 1)
        assert (scanner.acked_through, scanner.unsettled, scanner.next_sequence) == (1, 10, 12)
        # A batch that is on its way at that moment hides why the stream ended: then it takes two.
        assert server.streams <= 2

    async def test_nobody_waits_for_room_in_a_scanner_that_has_stopped(self) -> None:
        """What has no outcome fills the buffer for good: handing over says why, in either way."""
        settings = ScannerSettings(buffer_scans=10, backoff_first_s=0.001)
        error = Refused("Bad spool.", reason="TEST_RULE", field="batch.spool_id")
        async with scripted(lambda _: error) as server, a_scanner(server, settings) as scanner:
            await scanner.submit(EVENTS)
            with pytest.raises(ScannerStopped, match="Bad spool"):
                await scanner.submit(EVENTS)
            with pytest.raises(ScannerStopped, match="Bad spool"):
                scanner.submit_nowait(EVENTS)

        assert scanner.unsettled == 10

    async def _record(
        self, scanner: Scanner, number: int, wait_s: float = 0.0
    ) -> ScanRefused | None:
        await asyncio.sleep(wait_s)
        try:
            await scanner.record(an_event(number))
        except ScanRefused as refused:
            return refused
        return None

    async def test_a_batch_that_is_too_large_is_split(self) -> None:
        """Without RetryInfo it never goes out again as it is; a scan that is too large alone is
        refused, and its neighbours are recorded.
        """

        def script(batch: RawBatch) -> Answer:
            if len(batch.scans) > 3 or any(scan.event == EVENTS[7] for scan in batch.scans):
                return TooLarge("Too large.", reason="TEST")
            return taken(batch)

        async with scripted(script) as server, a_scanner(server) as scanner:
            outcome = await (await scanner.submit(EVENTS))

        assert [refusal.index for refusal in outcome.refusals] == [7]
        assert outcome.refusals[0].reason == REFUSAL_REASON_TOO_LARGE
        assert scanner.counts.durable == 9
        assert server.events().count(EVENTS) == 1

    async def test_a_source_that_is_refused_stops_the_scanner(self) -> None:
        """What is in flight gets its result; the rest says why nothing more is sent."""
        state = SourceState(source_id=SOURCE, status=SOURCE_STATUS_REFUSED, reason="Not yours.")
        script = once(lambda batch: [response(source_state=state), *taken(batch)])  # type: ignore[misc]
        async with scripted(script) as server, a_scanner(server) as scanner:
            assert await self._record(scanner, 1) is None
            with pytest.raises(ScannerStopped, match="Not yours"):
                await scanner.record(an_event(2))

        assert len(server.batches) == 1

    async def test_silence_ends_the_stream(self) -> None:
        """A stream that owes a result for too long is dead; the batch goes out on the next one."""
        settings = ScannerSettings(result_deadline_s=0.2, backoff_first_s=0.001)
        async with scripted(once(lambda _: [])) as server, a_scanner(server, settings) as scanner:
            await scanner.record(an_event())

        assert server.streams == 2
        assert scanner.counts.sent_again == 1

    async def test_a_server_that_does_not_end_a_stream_is_left(self) -> None:
        """Everything has its outcome: the scanner waits no longer than for any answer."""
        settings = ScannerSettings(result_deadline_s=0.2, heartbeat_s=0.01)
        started = time.monotonic()
        async with scripted(taken) as server:
            server.lingers_s = 60.0
            async with a_scanner(server, settings) as scanner:
                await scanner.record(an_event())
            assert 0.2 <= time.monotonic() - started < 5

    async def test_a_silent_scanner_gives_signs_of_life(self) -> None:
        """A heartbeat says how far it is minted and acknowledged."""
        settings = ScannerSettings(heartbeat_s=0.05)
        async with scripted(taken) as server, a_scanner(server, settings) as scanner:
            await (await scanner.submit(EVENTS))
            server.heard.clear()
            await server.heard.wait()
        (progress,) = server.others[0].heartbeat.sources

        assert (progress.source_id, progress.spool_id) == (SOURCE, scanner.spool_id)
        assert (progress.minted_through, progress.acked_through) == (10, 10)

    async def test_every_stream_opens_with_how_far_the_source_is(self) -> None:
        """So a device that comes back says what was minted, also before it sends anything."""
        script = once(lambda _: Uncertain("Gone.", reason="TEST"))
        async with scripted(script) as server:
            async with Scanner(
                server.address,
                source_id=SOURCE,
                spool_id=SPOOL,
                next_sequence=4,
                acked_through=3,
                settings=FAST,
            ) as scanner:
                await server.greeted.wait()
                await scanner.submit(EVENTS)
            told = [source for opened in server.opens for source in opened.sources]

        assert {(source.source_id, source.spool_id) for source in told} == {(SOURCE, SPOOL)}
        assert [(source.minted_through, source.acked_through) for source in told] == [
            (3, 3),
            (13, 3),
        ]

    async def test_an_unnumbered_source_opens_without_progress(self) -> None:
        """It has no spool, and a progress without one would break the stream."""
        async with (
            scripted(taken) as server,
            Scanner(server.address, source_id=SOURCE, spool_id=b"", settings=FAST) as scanner,
        ):
            await scanner.record(an_event())

        assert [len(opened.sources) for opened in server.opens] == [0]

    async def test_nobody_there_is_waited_for(self) -> None:
        """A scanner may start before its server; attempts go on until there is one."""
        async with scripted(taken) as server:
            address = server.address
        async with (
            asyncio.timeout(20),
            Scanner(address, source_id=SOURCE, settings=FAST) as scanner,
        ):
            future = await scanner.submit(EVENTS)
            await asyncio.sleep(0.3)
            assert not future.done()
            async with scripted(taken, address):
                await future
