"""Writers that join, leave, are killed, or sleep while others take over: trails never show it."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import grpc
import pytest

from tests.distributed.dying_writer import STEPS
from tests.distributed.ledger import PARTITIONS, Ledger
from tests.distributed.load import Load
from tests.engines import ROOT
from tests.ingest_server import details_of, record_batch
from tests.ingest_traffic import a_batch, an_encoded_event
from tests.roles import RoleProcess
from tests.scale import scaled
from tests.shells import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger.app.engines import Cassandra, Kafka

pytestmark = pytest.mark.timeout(scaled(600, soak=7_200))


@pytest.fixture(scope="module")
def ledger(
    tmp_path_factory: pytest.TempPathFactory, one_kafka: Kafka, one_cassandra: Cassandra
) -> Iterator[Ledger]:
    """A ledger without a writer."""
    folder = tmp_path_factory.mktemp("writers")
    with Ledger(folder, one_kafka, one_cassandra, name="writers") as ledger:
        yield ledger


async def test_a_lag_of_writers_reaches_senders(ledger: Ledger) -> None:
    """Without a writer ingest sees what no trail shows; beyond the limit windows shrink and nothing
    more is taken. A writer opens the door, and no lag is left.
    """
    batch = a_batch([an_encoded_event(number) for number in range(1, 1_002)])
    with RoleProcess("ingest", ledger.config, "--lag-records-max", "1000") as ingest:
        ingest.wait_ready()
        async with grpc.aio.insecure_channel(ingest.address) as channel:
            await record_batch(channel, batch)
            ingest.wait(lambda: ingest.metric("ledger_log_unread_records") == 1_001, "a lag")
            ingest.wait(lambda: ingest.metric("ledger_ingest_window_share") < 1, "less credit")
            with pytest.raises(grpc.aio.AioRpcError) as turned_away:
                await record_batch(channel, batch)
            writer = ledger.start("writer")
            ingest.wait(lambda: ingest.metric("ledger_log_unread_records") == 0, "end of the lag")
            ingest.wait(lambda: ingest.metric("ledger_ingest_window_share") == 1, "full credit")
            await record_batch(channel, batch)

    assert details_of(turned_away.value) == ("INGEST_BUSY", "", True)
    writer.end()


def test_writers_come_and_go(ledger: Ledger) -> None:
    """Under load a writer joins every few seconds and another one leaves, as it should or killed:
    nothing is lost or doubled, and what is settled only grows.
    """
    settled = [ledger.settled()]
    with Load(ledger.ingest.address) as load:
        writers = [ledger.start("writer")]
        for turn in range(scaled(4, soak=100)):
            writers.append(ledger.start("writer"))
            load.wait_for_more(2_000)
            settled.append(ledger.settled())
            old = writers.pop(0)
            old.end(signal.SIGKILL if turn % 2 else signal.SIGTERM)
    ledger.check(load.said.acknowledged)
    ledger.wait_settled(settled[0] + len(load.said.acknowledged))

    assert settled == sorted(settled)
    writers[0].end()


@pytest.mark.parametrize("step", STEPS)
def test_a_writer_is_killed_at_a_step(ledger: Ledger, step: str) -> None:
    """Killed with -9 at a durable step, a writer leaves the next one all that it needs."""
    for nth in range(1, scaled(3, soak=40)):
        with Load(ledger.ingest.address) as load:
            load.wait_for(500)
            command = [sys.executable, "-m", "tests.distributed.dying_writer"]
            command += [str(ledger.config), step, str(nth)]
            died = subprocess.run(command, cwd=ROOT, env=environment(), check=False, timeout=120)
            load.wait_for_more(500)
        assert died.returncode == -signal.SIGKILL

        writer = ledger.start("writer")
        ledger.check(load.said.acknowledged)
        writer.end()


def test_a_writer_that_slept_is_harmless(ledger: Ledger) -> None:
    """Stopped beyond its session while another takes its partitions, and then woken, a writer
    repeats what it had begun: no trail shows it.
    """
    sleeper = ledger.start("writer")
    with Load(ledger.ingest.address) as load:
        load.wait_for(2_000)
        sleeper.send_signal(signal.SIGSTOP)
        try:
            heir = ledger.start("writer")
            heir.wait(
                lambda: heir.metric("ledger_writer_partitions") == PARTITIONS, "all partitions"
            )
            load.wait_for_more(2_000)
        finally:
            sleeper.send_signal(signal.SIGCONT)
        load.wait_for_more(2_000)
    ledger.check(load.said.acknowledged)

    assert sleeper.end() == heir.end() == 0
