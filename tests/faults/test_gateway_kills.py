"""A real gateway under load is killed, or loses its power, and loses and doubles nothing."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from ingest.scanner import Scanner, ScannerSettings
from ledger.app.client import open_channel
from ledger.app.exits import DONE
from ledger.v1.trail_service_pb2_grpc import TrailServiceStub
from loadtest.verify import trails
from tests.faults.test_power_cut import cut_power, shim
from tests.ingest_traffic import an_encoded_event
from tests.roles import RoleProcess, point
from tests.scale import scaled
from tests.shells import ledger_up

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ledger.app.demo.processes import LedgerProcess

__all__ = ["shim"]

SCANNERS = 4
ITEMS = 50
KILLS = scaled(4, soak=100)
MORE = 200
"""Acknowledgements that a wait is for."""

WITHIN_S = 60
FAST = ScannerSettings(backoff_first_s=0.02, backoff_max_s=0.2)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(scaled(180, soak=3_600))]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[LedgerProcess]:
    """A ledger of one process."""
    with ledger_up(tmp_path / "ledger") as running:
        yield running


@pytest.fixture(autouse=True)
def folders(tmp_path: Path) -> None:
    """Where things go."""
    (tmp_path / "ledger").mkdir()


def a_gateway(folder: Path, ledger: LedgerProcess, listen: str = "") -> RoleProcess:
    """`parcel-ledger gateway` before that ledger."""
    config = point(folder / "settings", ledger=ledger.address, data=str(folder / "data"))
    return RoleProcess("gateway", config, listen=listen)


class Senders:
    """Scanners that record until they are told to stop, and remember what was acknowledged."""

    def __init__(self, address: str) -> None:
        self.acknowledged: set[tuple[str, bytes]] = set()
        self.stop = asyncio.Event()
        self._address = address

    async def run(self) -> None:
        """Record."""
        await asyncio.gather(*(self._one(number) for number in range(SCANNERS)))

    async def _one(self, number: int) -> None:
        source = f"gate-{number}"
        count = 0
        async with Scanner(self._address, source_id=source, settings=FAST) as scanner:
            while not self.stop.is_set():
                ids = [number << 32 | count + n for n in range(20)]
                count += 20
                batch = [an_encoded_event(one, tracking_number=f"ITEM{one % ITEMS}") for one in ids]
                await (await scanner.submit(batch))
                self.acknowledged |= {(source, one.to_bytes(16, "big")) for one in ids}
                await asyncio.sleep(0.005)

    async def more(self) -> None:
        """Wait for further acknowledgements."""
        before = len(self.acknowledged)
        async with asyncio.timeout(WITHIN_S):
            while len(self.acknowledged) < before + MORE:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


def in_trails(ledger: LedgerProcess) -> Counter[tuple[str, bytes]]:
    """How often each scan is shown."""
    keys = [b"ITEM%d" % n for n in range(ITEMS)]
    with open_channel(ledger.address) as channel:
        return Counter(
            (entry.source_id, entry.event.event_id)
            for _, entries in trails(TrailServiceStub(channel), keys)
            for entry in entries
        )


def is_forwarded(gateway: RoleProcess) -> bool:
    """Whether nothing waits in it."""
    return gateway.metric("ledger_spool_unsettled_scans") == 0


async def judge(
    gateway: RoleProcess, ledger: LedgerProcess, senders: Senders, *, waits: int
) -> None:
    """When all is forwarded, every acknowledged scan is in its trail, and none twice."""
    await asyncio.sleep(1.1)  # Metrics are taken once a second.
    await asyncio.to_thread(gateway.wait, lambda: is_forwarded(gateway), "an empty spool")
    async with asyncio.timeout(WITHIN_S):
        while senders.acknowledged - (shown := in_trails(ledger)).keys():  # noqa: ASYNC110
            await asyncio.sleep(0.2)

    assert set(shown.values()) == {1}
    assert len(senders.acknowledged) >= MORE * waits


async def under_load(folder: Path, ledger: LedgerProcess, *, seed: int) -> None:
    """Kill the gateway again and again, and judge in the end."""
    dice = random.Random(seed)
    first = a_gateway(folder, ledger)
    senders = Senders(first.address)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(senders.run())
        for _ in range(KILLS):
            with a_gateway(folder, ledger, first.address) as gateway:
                await asyncio.to_thread(gateway.wait_ready)
                await senders.more()
                await asyncio.sleep(dice.uniform(0, 0.3))
                # Leaving it kills it with -9.
        with a_gateway(folder, ledger, first.address) as gateway:
            await asyncio.to_thread(gateway.wait_ready)
            await senders.more()
            senders.stop.set()
            await running
            await judge(gateway, ledger, senders, waits=KILLS + 1)
            code = await asyncio.to_thread(gateway.end)

    assert code == DONE


async def test_a_gateway_is_killed_under_load(tmp_path: Path, ledger: LedgerProcess) -> None:
    """kill -9, again and again: what it acknowledged is in the trails, once each."""
    await under_load(tmp_path, ledger, seed=1)


async def test_the_ledger_is_away_for_a_while(tmp_path: Path, ledger: LedgerProcess) -> None:
    """Scanners do not notice; when it is back, all that was taken meanwhile arrives."""
    with a_gateway(tmp_path, ledger) as gateway:
        gateway.wait_ready()
        senders = Senders(gateway.address)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(senders.run())
            await senders.more()
            await asyncio.to_thread(ledger.kill)
            for _ in range(5):
                await senders.more()
            await asyncio.to_thread(ledger.start)
            await senders.more()
            senders.stop.set()
            await running
        await judge(gateway, ledger, senders, waits=7)


@pytest.mark.parametrize("seed", range(scaled(2, soak=100)))
async def test_a_gateway_loses_its_power(
    tmp_path: Path, ledger: LedgerProcess, shim: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files fall back to what was synced; what it acknowledged is in the trails all the same. The
    scans lie in its spool: the ledger is away until the power is cut.
    """
    notes = tmp_path / "notes"
    notes.mkdir()
    ledger.kill()
    with monkeypatch.context() as patch:
        patch.setenv("LD_PRELOAD", str(shim))
        patch.setenv("POWERCUT_NOTES", str(notes))
        gateway = a_gateway(tmp_path, ledger)
        with gateway:
            patch.delenv("LD_PRELOAD")
            await asyncio.to_thread(gateway.wait_ready)
            senders = Senders(gateway.address)
            running = asyncio.create_task(senders.run())
            await senders.more()
            await asyncio.sleep(random.Random(seed).uniform(0.1, 1.0))
    cut_power(tmp_path / "data" / "gateway", notes)
    ledger.start()
    with a_gateway(tmp_path, ledger, gateway.address) as gateway:
        await asyncio.to_thread(gateway.wait_ready)
        await senders.more()
        senders.stop.set()
        await running
        await judge(gateway, ledger, senders, waits=2)


async def test_without_syncs_a_power_cut_is_noticed(
    tmp_path: Path, ledger: LedgerProcess, shim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same with syncs that do nothing loses scans, or is refused: the test above can fail."""
    notes = tmp_path / "notes"
    notes.mkdir()
    ledger.kill()
    with monkeypatch.context() as patch:
        patch.setenv("LD_PRELOAD", str(shim))
        patch.setenv("POWERCUT_NOTES", str(notes))
        gateway = a_gateway(tmp_path, ledger)
        with gateway:
            patch.delenv("LD_PRELOAD")
            await asyncio.to_thread(gateway.wait_ready)
            senders = Senders(gateway.address)
            running = asyncio.create_task(senders.run())
            await senders.more()
            running.cancel()
            await asyncio.wait([running])
    for note in notes.iterdir():
        if note.name.startswith(("length", "bytes")):
            note.unlink()
    cut_power(tmp_path / "data" / "gateway", notes)
    ledger.start()
    with a_gateway(tmp_path, ledger, gateway.address) as gateway:
        try:
            await asyncio.to_thread(gateway.wait_ready)
        except AssertionError:
            assert "damaged" in gateway.last_words() or "missing" in gateway.last_words()
            return
        await asyncio.sleep(2.0)
        assert senders.acknowledged - in_trails(ledger).keys()
