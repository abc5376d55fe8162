"""Whatever is killed, whenever: roles, brokers and nodes, one after the other, under load."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.distributed.ledger import Ledger, check, verdict_of
from tests.distributed.load import Load
from tests.scale import scaled
from tests.shells import ledger_up
from tests.turns import turns

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ledger.app.engines import Cassandra, Kafka

pytestmark = [pytest.mark.slow, pytest.mark.timeout(scaled(300, soak=4_000))]

TURNS = scaled(1, soak=50)
"""Each with KILLS kills of roles and engines, and EMBEDDED_KILLS of the embedded ledger."""

KILLS = {"ingest": 4, "writer": 5, "query": 3, "broker": 2, "node": 2}
EMBEDDED_KILLS = 4

SCANS_BETWEEN = 300
"""Acknowledged after each kill, before the next one: somebody has found the way back by then."""

APART_S = 0.6
"""Longest pause before a kill, and between a kill and the next start, drawn at random."""


def test_roles_and_engines_are_killed(
    tmp_path: Path, one_kafka: Kafka, one_cassandra: Cassandra
) -> None:
    """In random order and at random moments: no scanner sees an error, and every acknowledged scan
    is in its trail once.
    """
    for turn in turns("kills", TURNS):
        source = random.Random(turn)
        with Ledger(tmp_path / str(turn), one_kafka, one_cassandra, name=f"kills_{turn}") as ledger:
            processes = {
                "ingest": ledger.ingest,
                "query": ledger.query,
                "writer": ledger.start("writer"),
            }
            killed = Counter[str]()
            order = [victim for victim, count in KILLS.items() for _ in range(count)]
            source.shuffle(order)
            with Load(ledger.ingest.address) as load:
                for victim in order:
                    pause(source)
                    if victim == "broker":
                        again = kill_node(one_kafka)
                    elif victim == "node":
                        again = kill_node(one_cassandra)
                    else:
                        process = processes[victim]
                        process.end(signal.SIGKILL)
                        again = process.start
                    killed[victim] += 1
                    pause(source)
                    again()
                    load.wait_for_more(SCANS_BETWEEN)
            for process in processes.values():
                process.wait_ready()
            ledger.check(load.said.acknowledged)

            assert killed == KILLS


def test_the_embedded_ledger_is_killed(tmp_path: Path) -> None:
    """The one process, again and again at random moments; it comes back by itself each time."""
    for turn in turns("kills-embedded", TURNS):
        source = random.Random(turn)
        folder = tmp_path / str(turn)
        folder.mkdir()
        with ledger_up(folder) as ledger:
            with Load(ledger.address) as load:
                for _ in range(EMBEDDED_KILLS):
                    pause(source)
                    ledger.kill()
                    pause(source)
                    ledger.start()
                    load.wait_for_more(SCANS_BETWEEN)
            check(verdict_of(ledger.address, load.said.acknowledged), load.said.acknowledged)


def kill_node(cluster: Kafka | Cassandra) -> Callable[[], object]:
    """Kill the only node; give what starts it again."""
    [node] = cluster.nodes
    node.kill()
    return node.start


def pause(source: random.Random) -> None:
    """Wait for a moment that nobody chose."""
    time.sleep(source.uniform(0, APART_S))
