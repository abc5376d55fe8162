"""One stream of a scanner without a network: what it says of the scans that have no outcome."""

import asyncio

import pytest

from ingest.scanner_outgoing import Outgoing
from ingest.scanner_session import Session
from ingest.scanner_settings import ScannerCounts, ScannerSettings
from ledger.v1.ingest_service_pb2 import (
    DURABILITY_SYNCED,
    BatchResult,
    Credit,
    Heartbeat,
    IndexRange,
    Opened,
    RecordScansResponse,
    Refusal,
    SourceProgress,
)
from ledger.v1.raw_pb2 import RawRecordScansRequest
from tests.ingest_traffic import NOW_NS, SOURCE, SPOOL
from tests.scripted_server import EVENTS

HEARTBEAT_S = 5.0
SETTINGS = ScannerSettings(
    batch_scans=5, heartbeat_s=HEARTBEAT_S, linger_s=0.0, backoff_first_s=0.0
)


class Told:
    """A source with a stream that is told everything by hand, the time too."""

    def __init__(
        self, *, next_sequence: int = 1, acked_through: int = 0, is_careful: bool = False
    ) -> None:
        self.now_s = 0.0
        self.acked_at_refusals: list[int] = []
        counts = ScannerCounts()
        self.outgoing = Outgoing(
            source_id=SOURCE,
            spool_id=SPOOL,
            next_sequence=next_sequence,
            acked_through=acked_through,
            batch_scans=SETTINGS.batch_scans,
            batch_bytes=SETTINGS.batch_bytes,
            counts=counts,
            on_left=lambda: None,
            on_refused=lambda *_: self.acked_at_refusals.append(self.outgoing.acked_through()),
        )
        self.session = Session(
            self.outgoing,
            settings=SETTINGS,
            counts=counts,
            random=lambda: 0.0,
            now_s=self.now_s,
            is_careful=is_careful,
        )

    def submit(self, events: list[bytes]) -> None:
        """Hand events over."""
        self.outgoing.submit(events, asyncio.get_running_loop().create_future())

    def take(self, **message: object) -> None:
        """Take a response."""
        self.session.take(RecordScansResponse(**message), self.now_s)  # type: ignore[arg-type]

    def open(self) -> None:
        """Take the first response, with a window for everything."""
        window = Credit(window_events=1_000, window_bytes=1 << 20)
        self.take(opened=Opened(window=window, durability=DURABILITY_SYNCED))

    def send(self) -> RawRecordScansRequest:
        """Take the next message that the stream would send, a moment later."""
        self.now_s += 0.001
        message = self.session.next_message(self.now_s, NOW_NS)
        assert message is not None
        return RawRecordScansRequest.FromString(message)

    def heartbeat(self) -> SourceProgress:
        """Let time pass, and take what the sign of life says."""
        self.now_s += HEARTBEAT_S
        heartbeat = self.send().heartbeat
        assert isinstance(heartbeat, Heartbeat)
        (progress,) = heartbeat.sources
        return progress


class TestHeartbeats:
    @pytest.mark.parametrize("for_many", [True, False])
    async def test_a_stream_that_never_rests_speaks_for_who_is_quiet(self, for_many: bool) -> None:
        """A gateway's batches are of one scanner each, and say nothing of the others that are
        connected to it: without a word they would look silent. A single source says it all in its
        batches.
        """
        told = Told()
        told.outgoing.speaks_for_many = for_many
        told.open()
        kinds = []
        for number in range(1, 40):
            told.submit(EVENTS[:1])
            told.now_s += HEARTBEAT_S / 10
            message = told.send()
            kinds.append(message.WhichOneof("message"))
            if message.HasField("batch"):
                told.take(result=BatchResult(batch_number=number, durable=[IndexRange()]))
        at = [place for place, kind in enumerate(kinds) if kind == "heartbeat"]

        assert at == ([9, 19, 29] if for_many else [])


class TestAckedThrough:
    async def test_a_batch_that_waits_for_the_window_is_not_acked(self) -> None:
        """It is to be sent again, and a later one is on its way: nothing below that is acked."""
        told = Told()
        told.submit(EVENTS)
        told.open()
        assert [told.send().batch.first_sequence for _ in range(2)] == [1, 6]
        told.take(result=BatchResult(batch_number=1))  # Names nothing: all is to be sent again.
        told.take(credit=Credit(window_events=1))

        assert told.heartbeat().acked_through == 0

    async def test_what_has_its_outcome_is_acked_up_to_the_first_that_has_not(self) -> None:
        """Results that overtake change nothing; a gap that is filled does."""
        told = Told()
        told.submit(EVENTS)
        told.open()
        told.send()
        told.send()
        told.take(result=BatchResult(batch_number=2, durable=[IndexRange(last=4)]))
        assert told.heartbeat().acked_through == 0

        told.take(result=BatchResult(batch_number=1, durable=[IndexRange(last=2)]))
        assert told.outgoing.acked_through() == 3

    async def test_a_refusal_is_told_before_it_is_acked(self) -> None:
        """Who is told, and looks, never sees a scan acked that is about to be sent again."""
        told = Told()
        told.submit(EVENTS[:5])
        told.open()
        told.send()
        told.take(result=BatchResult(batch_number=1, refusals=[Refusal(index=4)]))

        assert told.acked_at_refusals == [0]
        assert told.outgoing.acked_through() == 0

    @pytest.mark.parametrize(("known", "then"), [(0, 0), (3, 3), (6, 8)])
    async def test_what_an_earlier_program_sent_is_not_guessed(self, known: int, then: int) -> None:
        """A spool that goes on says no more of its earlier scans than it was told."""
        told = Told(next_sequence=7, acked_through=known)
        told.submit(EVENTS[:2])
        told.open()
        told.send()
        assert told.outgoing.acked_through() == known
        told.take(result=BatchResult(batch_number=1, durable=[IndexRange(last=1)]))

        assert told.heartbeat().acked_through == then


class TestTakeBack:
    async def test_what_was_never_sent_cannot_be_at_fault(self) -> None:
        """All that has no result goes out again, but only what was sent may have broken a rule."""
        told = Told()
        told.submit(EVENTS)
        told.open()
        told.send()
        told.send()
        told.take(result=BatchResult(batch_number=1))
        told.take(credit=Credit(window_events=1))
        told.heartbeat()

        assert [batch.first_sequence for batch in told.session.take_back()] == [6]
        again = [told.outgoing.take(told.now_s, fresh=False) for _ in range(2)]
        assert [batch.first_sequence for batch in again if batch] == [1, 6]


class TestRoom:
    async def test_a_batch_without_room_waits_for_a_response(self) -> None:
        """Nothing is looked at again before: neither time nor another batch makes room."""
        told = Told()
        told.submit([*EVENTS, *EVENTS])
        told.open()
        for _ in range(4):
            told.send()
        told.take(result=BatchResult(batch_number=1))
        told.take(result=BatchResult(batch_number=2))
        told.take(credit=Credit(window_events=1))

        assert told.session.next_message(told.now_s, NOW_NS) is None
        assert told.session.due_s() > told.now_s + 1

    async def test_a_careful_stream_sends_one_batch_until_a_result_comes(self) -> None:
        """The window is used from then on."""
        told = Told(is_careful=True)
        told.submit([*EVENTS, *EVENTS])
        told.open()
        told.send()
        assert told.session.next_message(told.now_s + 0.001, NOW_NS) is None

        told.take(result=BatchResult(batch_number=1, durable=[IndexRange(last=4)]))
        assert [told.send().batch.batch_number for _ in range(3)] == [2, 3, 4]
