"""The life of every process: it waits for its engine, serves, drains and ends, over real gRPC."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from ledger.app.client import reason_of
from ledger.app.exits import FAILED
from ledger.app.health import Health
from ledger.app.settings import Settings
from ledger.app.wiring.runner import Role, Running, Work, run_role
from ledger.app.wiring.waiting import opened
from ledger.errors import Busy, Diverged, LedgerError, Refused, Uncertain
from tests.shells import free_address
from tests.test_rpc import SERVICE, Echo, answers

AWAY = Uncertain("No broker answers.", reason="AWAY")
WITHIN_S = 10

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Play:
    """A role of one engine and one service, and what a test does to them."""

    def __init__(self, **settings: object) -> None:
        self.address = free_address()
        self.settings = Settings(listen=self.address, metrics="", **settings)  # type: ignore[arg-type]
        self.engine: LedgerError | None = None
        """What the engine answers."""
        self.opens = 0
        self.said: list[str] = []
        self.fails: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.up = asyncio.Event()
        self.running: Running | None = None

    async def job(self) -> None:
        """Go on until it is cancelled or told to fail."""
        try:
            await self.fails
        finally:
            self.said.append("job ended")

    async def ask(self) -> None:
        """Answer for the engine."""
        if self.engine:
            raise self.engine

    async def drain(self, seconds: float) -> None:
        """Finish what is on its way."""
        assert seconds == self.settings.drain_s
        await asyncio.sleep(0.05)
        self.said.append("drained")

    @asynccontextmanager
    async def open_engine(self) -> AsyncIterator[None]:
        """Open the engine, unless it is away."""
        self.opens += 1
        await self.ask()
        try:
            yield
        finally:
            self.said.append("closed")

    @asynccontextmanager
    async def open(self, _: Settings, health: Health) -> AsyncIterator[Work]:
        """Open the role."""
        async with opened("log", self.open_engine, health, retry_first_s=0.01):
            yield Work(
                jobs={"job": self.job()},
                asks={"log": self.ask},
                facts={},
                handlers=[Echo().handler()],
                drain=self.drain,
            )

    def on_up(self, running: Running) -> None:
        """Note that it serves."""
        self.running = running
        self.up.set()

    def start(self, *, waits: bool = True) -> asyncio.Task[None]:
        """Run it."""
        role = Role("play", ("log",), self.open, (SERVICE,), waits)
        return asyncio.create_task(run_role(role, self.settings, on_up=self.on_up))

    async def health(self, service: str) -> int:
        """Ask its health; -1 where nobody answers."""
        async with grpc.aio.insecure_channel(self.address) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            try:
                answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
            except grpc.aio.AioRpcError:
                return -1
            return int(answer.status)

    async def opened_times(self, count: int) -> None:
        """Wait until its engine has been opened so often."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                if self.opens >= count:
                    return
                await asyncio.sleep(0.01)

    async def until(self, service: str, status: int) -> None:
        """Wait for an answer of its health."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                if await self.health(service) == status:
                    return
                await asyncio.sleep(0.02)


def tell(number: signal.Signals = signal.SIGTERM) -> None:
    """Tell this process, whose loop runs the role, to end."""
    os.kill(os.getpid(), number)


async def ended(task: asyncio.Task[None]) -> None:
    """Wait for the end of a role."""
    async with asyncio.timeout(WITHIN_S):
        await task


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_serves_until_it_is_told_to_end(number: signal.Signals) -> None:
    """Then it drains, ends its jobs and closes its engine, in this order."""
    play = Play(drain_s=7)
    task = play.start()
    await play.up.wait()
    async with grpc.aio.insecure_channel(play.address) as channel:
        assert await answers(channel, "Unary") == [b"x"]
    assert await play.health(SERVICE) == SERVING
    tell(number)
    await ended(task)

    assert play.said == ["drained", "job ended", "closed"]
    assert play.running == Running(play.address, "", {}, None)


async def test_an_engine_that_is_away_is_waited_for() -> None:
    """The process lives and is not ready; calls are to be sent again; then it serves."""
    play = Play()
    play.engine = AWAY
    task = play.start()
    await play.until("", SERVING)
    before = await play.health(SERVICE)
    async with grpc.aio.insecure_channel(play.address) as channel:
        for method in ("Unary", "Stream"):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await answers(channel, method)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            assert reason_of(caught.value) == "SERVER_STARTING"
        await play.opened_times(2)
        play.engine = None
        await play.up.wait()
        after = await answers(channel, "Unary")
    status = await play.health(SERVICE)
    tell()
    await ended(task)

    assert before == NOT_SERVING
    assert after == [b"x"]
    assert status == SERVING


async def test_told_to_end_while_it_waits_it_ends() -> None:
    """At once, and without an error: nothing was on its way."""
    play = Play()
    play.engine = AWAY
    task = play.start()
    await play.until("", SERVING)
    tell()
    await ended(task)

    assert not play.up.is_set()
    assert play.said == []


async def test_an_engine_that_goes_away_makes_it_unready_and_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The services say so by health, the process lives on."""
    monkeypatch.setattr(Health.ask_forever, "__kwdefaults__", {"every_s": 0.01, "within_s": 1})
    play = Play()
    task = play.start()
    await play.up.wait()
    for engine, status in ((AWAY, NOT_SERVING), (None, SERVING)):
        play.engine = engine
        await play.until(SERVICE, status)
        assert await play.health("") == SERVING
    tell()
    await ended(task)


@pytest.mark.parametrize("kind", [Refused, Diverged])
async def test_an_engine_that_is_wrong_is_not_waited_for(kind: type[LedgerError]) -> None:
    """The process ends with its words."""
    play = Play()
    play.engine = kind("The topic has other partitions.", reason="R")

    with pytest.raises(kind, match="other partitions"):
        await ended(play.start())

    assert await play.health("") == -1


async def test_a_job_that_cannot_go_on_ends_the_process() -> None:
    """With its error, and everything closed."""
    play = Play()
    task = play.start()
    await play.up.wait()
    play.fails.set_exception(Diverged("The log is shorter.", reason="R"))

    with pytest.raises(Diverged, match="shorter"):
        await ended(task)

    assert play.said == ["job ended", "closed"]
    assert await play.health("") == -1


@pytest.mark.parametrize("how", [{"share_port": True}, {"waits": False}])
async def test_on_a_shared_port_nobody_listens_before_he_can_serve(how: dict[str, bool]) -> None:
    """Connections are for those that serve already. The embedded engine never waits for others."""
    play = Play(share_port=how.get("share_port", False))
    play.engine = Busy("Too many.", reason="R", retry_after_s=1)
    task = play.start(waits=how.get("waits", True))
    await play.opened_times(3)
    before = await play.health("")
    play.engine = None
    await play.up.wait()
    after = await play.health("")
    tell()
    await ended(task)

    assert before == -1
    assert after == SERVING


async def test_an_end_that_hangs_is_broken_off(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A driver that never closes does not keep the process; the log says what it was about."""
    play = Play(drain_s=0.1)
    left = asyncio.Event()
    loop = asyncio.get_running_loop()
    codes = []

    def leave(code: int) -> None:
        codes.append(code)
        loop.call_soon_threadsafe(left.set)

    async def hang(_: float) -> None:
        await left.wait()

    monkeypatch.setattr("ledger.app.wiring.ending.CLOSING_S", 0.1)
    monkeypatch.setattr("ledger.app.wiring.ending.os._exit", leave)
    play.drain = hang  # type: ignore[assignment]
    task = play.start()
    await play.up.wait()
    tell()
    await ended(task)

    assert codes == [FAILED]
    [record] = [each for each in caplog.records if each.levelname == "ERROR"]
    assert any(__file__ in line for line in record.__dict__["tasks"])


async def test_a_port_that_is_taken_ends_it() -> None:
    """Also where it was to wait: nobody would reach it."""
    play = Play()
    play.engine = AWAY
    host, port = play.address.split(":")
    with (
        socket.create_server((host, int(port))),
        pytest.raises(Refused, match="--share-port") as caught,
    ):
        await ended(play.start())

    assert caught.value.reason == "ADDRESS_NOT_FREE"
