"""`parcel-ledger init` on real engines: it makes what is missing, and changes nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ledger.app.exits import DONE, FAILED
from tests.roles import point
from tests.shells import typed

if TYPE_CHECKING:
    from pathlib import Path

    from ledger.app.engines import Cassandra, Kafka

TABLES = ("rows", "marks", "progress", "progress_times")


def init(config: Path, *flags: str) -> tuple[int, dict[str, Any]]:
    """Run the command; give its exit code and what it says to a program."""
    said = typed("init", "--config", config, "--json", *flags)
    document: dict[str, Any] = json.loads(said.answer)
    return said.code, document


@pytest.fixture
def config(tmp_path: Path, one_kafka: Kafka, one_cassandra: Cassandra) -> Path:
    """Settings for topics and tables that nobody has made."""
    name = f"init_{tmp_path.name[-20:].lower()}".replace("-", "_")
    return point(
        tmp_path,
        *(one_kafka, one_cassandra),
        kafka_topic_prefix=f"{name}-",
        cassandra_keyspace=name,
        partitions=3,
    )


def test_what_is_missing_is_made_once(config: Path) -> None:
    """Before, the check lists it; after, there is nothing to make and nothing to find."""
    code, before = init(config, "--check")
    first, made = init(config)
    second, again = init(config)
    last, after = init(config, "--check")

    assert code == FAILED
    for engine in before.values():
        assert not engine["made"]
        assert "`parcel-ledger init` makes it" in engine["faults"][0]
    assert first == second == last == DONE
    assert any(name.startswith("topic ") for name in made["kafka"]["made"])
    words = " ".join(made["cassandra"]["made"])
    assert all(f"table {table}_s1" in words for table in TABLES)
    for document in (again, after):
        for engine in document.values():
            assert engine["made"] == engine["faults"] == []


def test_a_new_generation_stands_beside_the_old_one(config: Path) -> None:
    """Of the log: another topic, with another number of partitions."""
    init(config)
    flags = ("--log-generation", "2", "--partitions", "5")
    code, made = init(config, *flags)

    assert code == DONE
    topics = made["kafka"]["made"]
    assert len(topics) == 4
    assert all(topic.endswith("-g2") for topic in topics)
    assert made["cassandra"]["made"] == []
    assert init(config, "--check")[0] == DONE


def test_every_fault_is_listed_and_none_is_changed(config: Path) -> None:
    """Partitions, replicas of the topic, replicas of the keyspace, the generation that serves."""
    init(config)
    flags = (
        *("--partitions", "4", "--no-single-broker", "--kafka-replication", "3"),
        *("--cassandra-replication", "3"),
    )
    checked = init(config, "--check", *flags)
    made = init(config, *flags)
    code, _ = init(config, "--check")

    for found, document in (checked, made):
        kafka = " ".join(document["kafka"]["faults"])
        cassandra = " ".join(document["cassandra"]["faults"])
        assert found == FAILED
        assert "3 partitions, and the setting says 4" in kafka
        assert "replication factor 1" in kafka
        assert "min.insync.replicas=1" in kafka
        assert "replication 1" in cassandra
        assert not document["kafka"]["made"]
        assert not document["cassandra"]["made"]
    assert code == DONE


def test_a_person_reads_what_was_done(config: Path) -> None:
    """Each engine with its address, what was made, and whether that is enough."""
    said = typed("init", "--config", config)
    wrong = typed("init", "--config", config, "--check", "--partitions", "4")

    assert said.code == DONE
    assert "made   topic init_" in said.answer
    assert said.answer.count("all is as it has to be") == 2
    assert wrong.code == FAILED
    assert "fault  " in wrong.answer
    assert wrong.answer.count("all is as it has to be") == 1
