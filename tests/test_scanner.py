"""The scanner's client against a real server: receipts, refusals, numbers, bounds and its end."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from ingest.limits import IngestLimits
from ingest.scanner import (
    BufferFull,
    Scanner,
    ScannerSettings,
    ScannerStopped,
    ScanRefused,
    new_event_id,
)
from ledger.event import TIME_NS_END
from ledger.v1.ingest_service_pb2 import (
    DURABILITY_SYNCED,
    REFUSAL_REASON_ENUM,
    REFUSAL_REASON_UNDECODABLE,
    Refusal,
)
from tests.faulty_log import FaultyLog
from tests.ingest_server import Served, faulty_log, records_of, serving
from tests.ingest_traffic import NOW_NS, SOURCE, SPOOL, an_encoded_event, an_event


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[FaultyLog]:
    """An embedded log whose appends can be held up and made to fail."""
    async with faulty_log(tmp_path) as log:
        yield log


@pytest.fixture
async def served(log: FaultyLog) -> AsyncIterator[Served]:
    """The door in, on that log."""
    async with asyncio.timeout(30), serving(log) as door:
        yield door


def a_scanner(served: Served, **settings: float) -> Scanner:
    """A scanner that speaks to that door."""
    return Scanner(
        served.address,
        source_id=SOURCE,
        settings=ScannerSettings(**settings),  # type: ignore[arg-type]
    )


class TestRecord:
    async def test_a_receipt_says_how_safe_the_scan_is_and_where(
        self, served: Served, log: FaultyLog
    ) -> None:
        """An event or its bytes; the record is in the log at the position that is named."""
        async with a_scanner(served) as scanner:
            first = await scanner.record(an_event(1))
            second = await scanner.record(an_encoded_event(2))

        assert (first.durability, first.sequence) == (DURABILITY_SYNCED, 1)
        assert (second.durability, second.sequence) == (DURABILITY_SYNCED, 2)
        (position,) = first.positions
        (value,) = await log.read(position.partition, position.index, 1)
        assert an_encoded_event(1) in value
        records = await records_of(log)
        assert {record.spool_id for record in records} == {scanner.spool_id}
        assert scanner.counts.durable == 2

    async def test_a_refused_scan_raises(self, served: Served) -> None:
        """With the wire's own refusal; the scan before and the scan after are recorded."""
        refused: list[tuple[bytes, Refusal]] = []
        scanner = Scanner(
            served.address,
            source_id=SOURCE,
            on_refused=lambda event, refusal: refused.append((event, refusal)),
        )
        async with scanner:
            outcomes = await asyncio.gather(
                scanner.record(an_event(1)),
                scanner.record(an_event(2, type=None)),
                scanner.record(an_event(3)),
                return_exceptions=True,
            )

        assert [type(outcome).__name__ for outcome in outcomes] == [
            "Receipt",
            "ScanRefused",
            "Receipt",
        ]
        assert isinstance(outcomes[1], ScanRefused)
        assert outcomes[1].refusal.reason == REFUSAL_REASON_ENUM
        assert outcomes[1].refusal.sequence == 2
        assert "event.type" in str(outcomes[1])
        assert refused == [(an_encoded_event(2, type=None), outcomes[1].refusal)]
        assert (scanner.counts.durable, scanner.counts.refused) == (2, 1)

    async def test_a_submission_says_which_of_its_events_are_refused(self, served: Served) -> None:
        """Indexes count within the submission, however it was cut into batches."""
        events = [an_encoded_event(n) if n % 7 else b"no event" for n in range(100)]
        async with a_scanner(served, batch_scans=13) as scanner:
            await (await scanner.submit([an_encoded_event(200)]))
            outcome = await (await scanner.submit(events))

        assert (outcome.first_sequence, outcome.scans) == (2, 100)
        assert [refusal.index for refusal in outcome.refusals] == list(range(0, 100, 7))
        assert [refusal.sequence for refusal in outcome.refusals] == list(range(2, 102, 7))
        assert {refusal.reason for refusal in outcome.refusals} == {REFUSAL_REASON_UNDECODABLE}
        assert outcome.durability == DURABILITY_SYNCED

    async def test_every_scan_has_its_number_and_its_bytes(
        self, served: Served, log: FaultyLog
    ) -> None:
        """Sequences without gaps over records and submissions, events to the byte."""
        events = [an_encoded_event(number) + b"\xc0\x3e\x07" for number in range(3_000)]
        async with a_scanner(served) as scanner:
            futures = [await scanner.submit(events[at : at + 70]) for at in range(0, 3_000, 70)]
            positions = [p for future in futures for p in (await future).positions]
        records = sorted(await records_of(log), key=lambda record: record.sequence)

        assert [record.event for record in records] == events
        assert [record.sequence for record in records] == list(range(1, 3_001))
        assert max(p.index for p in positions if p.partition == 0) + 1 == (await log.bounds(0)).next

    async def test_an_unnumbered_source(self, served: Served, log: FaultyLog) -> None:
        """An empty spool id sends without numbers."""
        async with Scanner(served.address, source_id=SOURCE, spool_id=b"") as scanner:
            receipt = await scanner.record(an_event())

        assert receipt.sequence == 0
        assert [(r.spool_id, r.sequence) for r in await records_of(log)] == [(b"", 0)]

    async def test_a_spool_goes_on_after_a_restart(self, served: Served, log: FaultyLog) -> None:
        """A program that kept its spool id gives it, with the next sequence."""
        for sequence in (1, 2):
            async with Scanner(
                served.address, source_id=SOURCE, spool_id=SPOOL, next_sequence=sequence
            ) as scanner:
                assert (await scanner.record(an_event(sequence))).sequence == sequence
                assert scanner.next_sequence == sequence + 1

        assert {record.spool_id for record in await records_of(log)} == {SPOOL}

    def test_event_ids_are_minted(self) -> None:
        """16 bytes, from the randomness that is given."""
        assert new_event_id(lambda size: b"x" * size) == b"x" * 16
        assert new_event_id() != new_event_id()


class TestBounds:
    async def test_the_buffer_is_bounded(self, served: Served, log: FaultyLog) -> None:
        """Beyond the bound one way of handing over fails and the other waits, in its turn."""
        log.gate.clear()
        async with a_scanner(served, buffer_scans=10) as scanner:
            first = scanner.submit_nowait([an_encoded_event(n) for n in range(8)])
            with pytest.raises(BufferFull):
                scanner.submit_nowait([an_encoded_event(n) for n in range(8, 11)])
            waiting = asyncio.create_task(scanner.submit([an_encoded_event(n) for n in range(3)]))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            with pytest.raises(BufferFull):
                scanner.submit_nowait([an_encoded_event(20)])
            log.gate.set()
            await first
            await (await waiting)

        assert scanner.counts.durable == 11

    async def test_the_buffer_is_bounded_in_bytes(self, served: Served, log: FaultyLog) -> None:
        """One submission is always taken; a second one only if there is room."""
        log.gate.clear()
        async with a_scanner(served, buffer_bytes=100) as scanner:
            scanner.submit_nowait([an_encoded_event(1)])
            with pytest.raises(BufferFull):
                scanner.submit_nowait([an_encoded_event(2)])
            log.gate.set()

    async def test_the_window_is_kept(self, log: FaultyLog) -> None:
        """A small window slows a scanner down, and never breaks its stream."""
        limits = IngestLimits(window_scans=50, window_bytes=5_000)
        async with (
            asyncio.timeout(30),
            serving(log, limits=limits) as served,
            a_scanner(served, batch_scans=20) as scanner,
        ):
            await scanner.submit([an_encoded_event(n) for n in range(1_000)])

        assert (scanner.counts.durable, scanner.counts.streams) == (1_000, 1)
        assert scanner.counts.sent_again == 0

    async def test_records_at_once_share_batches(self, served: Served, log: FaultyLog) -> None:
        """Many tasks that record at once do not make a batch each."""
        async with a_scanner(served) as scanner:
            await asyncio.gather(*(scanner.record(an_event(n)) for n in range(500)))

        assert len(log.appends) < 50


class TestEnd:
    async def test_leaving_waits_for_every_outcome(self, served: Served, log: FaultyLog) -> None:
        """Nobody has to await the futures."""
        async with a_scanner(served) as scanner:
            await scanner.submit([an_encoded_event(n) for n in range(100)])

        assert len(await records_of(log)) == 100

    async def test_flushing_waits_for_every_outcome(self, served: Served, log: FaultyLog) -> None:
        """And the scanner goes on afterwards."""
        async with a_scanner(served) as scanner:
            for round_number in (1, 2):
                await scanner.submit([an_encoded_event(n) for n in range(100)])
                await scanner.flush()
                assert len(await records_of(log)) == round_number * 100

    async def test_leaving_with_an_error_ends_at_once(self, served: Served, log: FaultyLog) -> None:
        """The error comes out as it is, and what had no outcome says that the scanner stopped."""
        log.gate.clear()
        scanner = a_scanner(served)
        futures = []

        async def fail() -> None:
            async with scanner:
                futures.append(await scanner.submit([an_encoded_event(1)]))
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()
        with pytest.raises(ScannerStopped):
            await futures[0]
        with pytest.raises(ScannerStopped):
            await scanner.record(an_event(2))
        log.gate.set()

    async def test_a_newer_scanner_takes_over(self, served: Served, log: FaultyLog) -> None:
        """Two scanners with one spool: the older one stops and says why."""
        async with Scanner(served.address, source_id=SOURCE, spool_id=SPOOL) as older:
            await older.record(an_event(1))
            async with Scanner(served.address, source_id=SOURCE, spool_id=SPOOL) as newer:
                await newer.record(an_event(2))
                with pytest.raises(ScannerStopped, match="newer stream"):
                    await older.record(an_event(3))

        assert len(await records_of(log)) == 2

    async def test_a_server_without_the_service_stops_the_scanner(self) -> None:
        """No later attempt can do better: the error says so at once, and again at the end."""
        server = grpc.aio.server()
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        scanner = Scanner(f"127.0.0.1:{port}", source_id=SOURCE)
        with pytest.raises(ScannerStopped, match="UNIMPLEMENTED"):
            async with asyncio.timeout(10), scanner:
                await scanner.submit([an_encoded_event(1)])
        await server.stop(0)

    async def test_a_bad_source_id_stops_the_scanner(self, served: Served, log: FaultyLog) -> None:
        """A rule that every batch would break: nothing is sent, and nothing counts as refused."""
        async with Scanner(served.address, source_id="gate\t17") as scanner:
            with pytest.raises(ScannerStopped, match="source_id has a control character"):
                await scanner.record(an_event(1))

        assert scanner.counts.refused == 0
        assert await records_of(log) == []

    async def test_a_bad_source_id_of_an_unnumbered_source(
        self, served: Served, log: FaultyLog
    ) -> None:
        """Its first batch breaks the rule: its scans are not refused, they have no outcome."""
        refused: list[bytes] = []
        async with Scanner(
            served.address,
            source_id="gate\t17",
            spool_id=b"",
            on_refused=lambda event, _: refused.append(event),
        ) as scanner:
            with pytest.raises(ScannerStopped, match="SOURCE_MALFORMED at "):
                await scanner.record(an_event(1))

        assert (refused, scanner.counts.refused, scanner.unsettled) == ([], 0, 1)
        assert await records_of(log) == []

    async def test_a_clock_beyond_all_times_loses_no_scan(
        self, served: Served, log: FaultyLog
    ) -> None:
        """The scanner stops and says why; with the clock set a later one sends the same scans."""
        events = [an_encoded_event(number) for number in range(1, 6)]
        clock = [NOW_NS]
        async with Scanner(
            served.address, source_id=SOURCE, spool_id=SPOOL, now_ns=lambda: clock[0]
        ) as scanner:
            await (await scanner.submit(events[:2]))
            clock[0] = TIME_NS_END
            await scanner.submit(events[2:])
            with pytest.raises(ScannerStopped, match="SEND_TIME_OUT_OF_RANGE") as stopped:
                await scanner.flush()

        assert str(stopped.value).endswith("scans that have no outcome: 3")
        assert (scanner.counts.durable, scanner.counts.refused) == (2, 0)
        assert (scanner.unsettled, scanner.acked_through) == (3, 2)
        async with Scanner(
            served.address, source_id=SOURCE, spool_id=SPOOL, next_sequence=3, acked_through=2
        ) as later:
            await (await later.submit(events[2:]))
        records = sorted(await records_of(log), key=lambda record: record.sequence)
        assert [record.event for record in records] == events
        assert (later.unsettled, later.acked_through) == (0, 5)
