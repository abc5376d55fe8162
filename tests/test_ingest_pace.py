"""The window follows the log: smaller while it is slow, full again when it is not, fair always."""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import grpc
import pytest

from ingest.limits import ROOM_RETRY_S, IngestLimits
from ingest.pace import SHARE_MIN, Pace
from ingest.window import Window
from ledger.errors import Busy
from ledger.v1.ingest_service_pb2 import RESEND_REASON_BUSY, Credit
from tests.faulty_log import FaultyLog
from tests.ingest_server import (
    Caller,
    again,
    details_of,
    durable,
    faulty_log,
    record_batch,
    serving,
)
from tests.ingest_traffic import a_batch, an_encoded_event
from tests.scale import scaled

LIMITS = IngestLimits(slow_s=0.05, pace_tick_s=0.01, room_wait_s=0.1)


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[FaultyLog]:
    """An embedded log whose appends can be held up."""
    async with asyncio.timeout(30), faulty_log(tmp_path) as log:
        yield log


class TestPace:
    def test_it_halves_while_the_log_is_slow_and_doubles_when_it_is_not(self) -> None:
        """Down to a least share and up to the full one; in between it stays."""
        limits = IngestLimits()
        pace = Pace(limits)
        shares = []
        for oldest_s in (0.1, 0.8, 0.6, 0.4, 0.2, 0.0, 0.0):
            pace.look(oldest_s, settled_bytes=0, lag_records=None)
            shares.append(pace.share)
        assert shares == [1, 0.5, 0.25, 0.25, 0.5, 1, 1]

        for _ in range(20):
            pace.look(9, settled_bytes=0, lag_records=None)
        assert pace.share == SHARE_MIN
        assert pace.window.window_events == limits.window_scans // 64
        assert pace.pending_bytes_max == limits.pending_bytes_min
        for _ in range(6):
            pace.look(0, settled_bytes=0, lag_records=None)
        assert pace.window == Credit(
            window_events=limits.window_scans, window_bytes=limits.window_bytes
        )

    @pytest.mark.parametrize("log_bytes_s", [500_000, 4_000_000, 12_000_000])
    def test_it_keeps_two_seconds_of_what_the_log_takes(self, log_bytes_s: int) -> None:
        """However long a batch waits: so a log that takes much, but late, is not starved."""
        limits = IngestLimits()
        pace = Pace(limits)
        for _ in range(40):
            settled = int(log_bytes_s * limits.pace_tick_s)
            pace.look(3.0, settled_bytes=settled, lag_records=None)

        wanted = max(2 * log_bytes_s, limits.pending_bytes_min)
        assert pace.pending_bytes_max == pytest.approx(wanted, rel=0.01)

    def test_a_lag_closes_the_door_until_it_is_clearly_over(self) -> None:
        """Beyond the limit nothing more is taken; just below it that stays so, unless nobody can
        tell any more.
        """
        pace = Pace(IngestLimits(lag_records_max=1_000))
        held = []
        for lag in (None, 900, 1_000, 1_001, 950, 901, 900, 950, 1_001, None):
            pace.look(0, settled_bytes=0, lag_records=lag)
            held.append(pace.is_held)

        assert held == [False, False, False, True, True, True, False, False, True, False]


class TestWindow:
    @pytest.mark.parametrize("seed", range(scaled(400, soak=20_000)))
    def test_who_keeps_to_what_it_was_told_is_never_refused(self, seed: int) -> None:
        """However late credits, results and batches arrive, and however windows change."""
        choose = random.Random(seed)
        window, in_flight = choose.randint(1, 40), 0  # As the sender knows them.
        server = Window(Credit(window_events=window, window_bytes=1_000_000))
        to_server: deque[int] = deque()
        taken: deque[int] = deque()
        to_sender: deque[tuple[str, int]] = deque()
        for _ in range(200):
            what, number = choose.choice("sssrrrgggaaac"), choose.randint(1, 10)
            if what == "s" and (not in_flight or in_flight + number <= window):
                to_server.append(number)
                in_flight += number
            elif what == "r" and to_server:
                server.take(to_server[0], 1, retry_s=1)
                taken.append(to_server.popleft())
            elif what == "c":
                credit = choose.randint(1, 40)
                server.grant(Credit(window_events=credit, window_bytes=1_000_000))
                to_sender.append(("credit", credit))
            elif what == "g" and taken:
                server.settle(taken[0], 1)
                to_sender.append(("result", taken.popleft()))
            elif what == "a" and to_sender:
                kind, value = to_sender.popleft()
                if kind == "credit":
                    window = value
                else:
                    in_flight -= value

    def test_who_does_not_is_refused_once_it_must_know(self) -> None:
        """After as many results as the larger window could hide, the smaller one holds."""
        window = Window(Credit(window_events=10, window_bytes=100))
        for _ in range(5):
            window.take(2, 1, retry_s=1)
        window.grant(Credit(window_events=4, window_bytes=100))
        for _ in range(4):
            window.settle(2, 1)
        window.take(2, 1, retry_s=1)

        with pytest.raises(Busy):
            window.take(1, 1, retry_s=1)


class TestStreams:
    async def test_a_slow_log_takes_credit_and_gives_it_back(self, log: FaultyLog) -> None:
        """A sender is told of a smaller window while a batch waits, and of the full one after."""
        async with serving(log, limits=LIMITS) as served:
            caller = Caller(served.channel)
            full = (await caller.open()).window
            log.gate.clear()
            await caller.send_batch(a_batch([an_encoded_event(1)]))
            await log.wait_for_appends(1)
            await asyncio.sleep(0.2)
            await caller.send_batch(a_batch([an_encoded_event(2)], batch_number=2))
            smaller = await next_credit(caller)
            log.gate.set()
            credit = smaller
            for number in count(3):  # A sender hears of it as it sends; a busy disk is slow, too.
                await asyncio.sleep(0.05)
                batch = a_batch([an_encoded_event(number)], batch_number=number)
                await caller.send_batch(batch)
                credit = await last_credit(caller, number) or credit
                if credit == full:
                    break
                assert credit.window_events < full.window_events

        assert 0 < smaller.window_events < full.window_events
        assert 0 < smaller.window_bytes < full.window_bytes

    async def test_who_finds_no_room_for_long_is_told_to_come_back(self, log: FaultyLog) -> None:
        """Nothing happens to the batch; the stream goes on, and the next one is taken."""
        limits = IngestLimits(room_wait_s=0.05, pending_bytes_max=100)
        async with serving(log, limits=limits) as served:
            caller, other = Caller(served.channel), Caller(served.channel)
            await caller.open()
            await other.open()
            log.gate.clear()
            await caller.send_batch(a_batch([an_encoded_event(1)]))
            await log.wait_for_appends(1)
            await other.send_batch(a_batch([an_encoded_event(2)], source_id="gate-18"))
            turned_away = await other.result()
            log.gate.set()
            await caller.result()
            await other.send_batch(
                a_batch([an_encoded_event(2)], source_id="gate-18", batch_number=2)
            )

            assert again(turned_away) == [(0, 0, RESEND_REASON_BUSY)]
            assert turned_away.resend[0].delay.seconds == ROOM_RETRY_S
            assert durable(await other.result()) == [(0, 0)]
        assert len(log.appends) == 2

    async def test_a_lag_of_the_trails_reaches_senders(self, log: FaultyLog) -> None:
        """Beyond the limit batches are to be sent again, calls are turned away, and the window
        shrinks; when the trails have caught up all is taken again.
        """
        lag: list[int | None] = [None]
        limits = IngestLimits(pace_tick_s=0.01, room_wait_s=0.05, lag_records_max=100)
        async with serving(log, limits=limits, lag_records=lambda: lag[0]) as served:
            caller = Caller(served.channel)
            await caller.open()
            lag[0] = 101
            await asyncio.sleep(0.1)
            await caller.send_batch(a_batch([an_encoded_event(1)]))
            turned_away = await caller.result()
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await record_batch(served.channel, a_batch([an_encoded_event(1)]))
            lag[0] = 10
            await asyncio.sleep(0.1)
            await caller.send_batch(a_batch([an_encoded_event(1)], batch_number=2))
            taken = await caller.result()

        assert again(turned_away) == [(0, 0, RESEND_REASON_BUSY)]
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert details_of(caught.value) == ("INGEST_BUSY", "", True)
        assert durable(taken) == [(0, 0)]
        assert len(log.appends) == 1


async def last_credit(caller: Caller, batch_number: int) -> Credit | None:
    """Read until the result of a batch."""
    credit = None
    while True:
        response = await caller.next()
        if response.HasField("credit"):
            credit = response.credit
        elif response.HasField("result") and response.result.batch_number >= batch_number:
            return credit


async def next_credit(caller: Caller) -> Credit:
    """Pass over everything else."""
    while (response := await caller.next()).WhichOneof("message") != "credit":
        pass
    return response.credit
