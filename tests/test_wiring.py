"""From settings to the engines: how they are reached, and what is said where that cannot be."""

import json
from pathlib import Path
from typing import Any

import pytest

from ledger.app.exits import DONE, FAILED
from ledger.app.settings import Settings
from ledger.app.wiring.engines import cassandra_cluster, kafka_cluster, no_driver
from ledger.errors import Refused
from tests.shells import typed

SECRET = "correct horse battery staple"  # noqa: S105 - of no one.


def password_file(folder: Path, text: str = f"{SECRET}\n") -> Path:
    """Write a password."""
    path = folder / "password"
    path.write_text(text)
    return path


def test_kafka_is_reached_as_the_settings_say(tmp_path: Path) -> None:
    """Every setting of Kafka arrives; the password without its line break."""
    cluster = kafka_cluster(
        Settings(
            kafka="a:1,b:2",
            kafka_topic_prefix="x-",
            kafka_replication=5,
            kafka_tls_ca=Path("ca"),
            kafka_tls_cert=Path("cert"),
            kafka_tls_key=Path("key"),
            kafka_sasl="SCRAM-SHA-512",
            kafka_user="ledger",
            kafka_password_file=password_file(tmp_path),
        )
    )

    assert (cluster.bootstrap, cluster.topic_prefix) == ("a:1,b:2", "x-")
    assert (cluster.replication, cluster.single_broker) == (5, False)
    assert (cluster.tls_ca, cluster.tls_cert, cluster.tls_key) == (
        *(Path("ca"), Path("cert")),
        Path("key"),
    )
    assert (cluster.sasl, cluster.user, cluster.password) == ("SCRAM-SHA-512", "ledger", SECRET)


def test_a_single_broker_has_one_replica() -> None:
    """Nobody has to say it twice."""
    assert kafka_cluster(Settings(kafka="a:1", single_broker=True)).replication == 1


def test_cassandra_is_reached_as_the_settings_say(tmp_path: Path) -> None:
    """Every setting of Cassandra arrives."""
    cluster = cassandra_cluster(
        Settings(
            cassandra="a:9043,b:9043",
            cassandra_keyspace="k",
            cassandra_data_centre="d",
            cassandra_consistency="QUORUM",
            cassandra_replication=2,
            cassandra_tls_ca=Path("ca"),
            cassandra_tls_cert=Path("cert"),
            cassandra_tls_key=Path("key"),
            cassandra_user="ledger",
            cassandra_password_file=password_file(tmp_path),
            cassandra_commitlog_sync_s=3,
        )
    )

    assert (cluster.contact_points, cluster.port) == (("a", "b"), 9043)
    assert (cluster.keyspace, cluster.data_centre, cluster.consistency) == ("k", "d", "QUORUM")
    assert (cluster.replication, cluster.single_node_ok) == (2, False)
    assert (cluster.tls_ca, cluster.tls_cert, cluster.tls_key) == (
        *(Path("ca"), Path("cert")),
        Path("key"),
    )
    assert (cluster.user, cluster.password) == ("ledger", SECRET)
    assert cluster.commitlog_sync_s == 3


def test_one_replica_in_cassandra_is_accepted_where_it_is_said() -> None:
    """By asking for one."""
    assert cassandra_cluster(Settings(cassandra="a:1", cassandra_replication=1)).single_node_ok


@pytest.mark.parametrize("text", ["", "\n", "two\nlines\n", "x" * 5_000, None])
def test_a_password_file_that_has_no_password_is_refused(tmp_path: Path, text: str | None) -> None:
    """It is named; what is in it is not said."""
    path = tmp_path / "password" if text is None else password_file(tmp_path, text)
    how: dict[str, Any] = {"cassandra": "127.0.0.1:1", "cassandra_user": "ledger"}

    with pytest.raises(Refused, match=str(path)) as caught:
        cassandra_cluster(Settings(**how, cassandra_password_file=path))

    assert caught.value.field == "cassandra_password_file"
    assert "lines" not in caught.value.message


@pytest.mark.slow
def test_a_password_is_shown_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not among the settings, nor where a cluster is printed, nor in what is to be applied."""
    path = password_file(tmp_path)
    for engine in ("KAFKA", "CASSANDRA"):
        monkeypatch.setenv(f"PARCEL_LEDGER_{engine}", "127.0.0.1:1")
        monkeypatch.setenv(f"PARCEL_LEDGER_{engine}_USER", "ledger")
        monkeypatch.setenv(f"PARCEL_LEDGER_{engine}_PASSWORD_FILE", str(path))
    monkeypatch.setenv("PARCEL_LEDGER_KAFKA_SASL", "PLAIN")
    monkeypatch.setenv("PARCEL_LEDGER_CASSANDRA_DATA_CENTRE", "d")
    from ledger.app.settings import load  # noqa: PLC0415 - by the environment of this test.

    settings = load().settings
    said = [
        repr(settings),
        repr(kafka_cluster(settings)),
        repr(cassandra_cluster(settings)),
        *(
            part
            for words in ("settings", "init --dry-run", "init --check")
            for part in map(str, typed(*words.split()))
        ),
    ]

    assert kafka_cluster(settings).password == SECRET
    assert all(SECRET not in each for each in said)


@pytest.mark.parametrize(
    ("command", "missing"),
    [("ingest", "kafka"), ("writer", "kafka"), ("query", "cassandra"), ("init", "kafka")],
)
def test_a_role_that_is_not_told_where_its_engine_is_says_so(command: str, missing: str) -> None:
    """Exit code 2 and one line, with the flag."""
    flags = [] if command == "init" else ["--metrics", ""]
    said = typed(command, *flags)

    assert said.code == FAILED
    assert not said.answer
    assert said.remark.startswith("parcel-ledger: Say where ")
    assert f"--{missing}" in said.remark


def test_a_driver_that_is_not_installed_is_named() -> None:
    """With what to install."""
    error = no_driver("Kafka", "kafka", ModuleNotFoundError("m", name="aiokafka"))

    assert "aiokafka" in error.message
    assert "pip install 'parcel-ledger[kafka]'" in error.message


def test_what_somebody_else_has_to_apply_is_printed_without_asking_anyone() -> None:
    """Topics, rights and tables, as text and as JSON; nobody is at these addresses."""
    words = (
        *("init", "--dry-run", "--kafka", "192.0.2.1:1", "--cassandra", "192.0.2.1:1"),
        *("--cassandra-data-centre", "d", "--cassandra-keyspace", "k", "--partitions", "12"),
        *("--log-generation", "3", "--store-generation", "2"),
    )
    text = typed(*words)
    document = json.loads(typed(*words, "--json").answer)

    assert text.code == DONE
    assert document.keys() == {"topics", "rights", "cql"}
    topic = document["topics"][0]
    assert len(document["topics"]) == 4
    assert "--topic parcel-ledger-scans-g3 --partitions 12 --replication-factor 3" in topic
    assert any(line.startswith("CREATE TABLE IF NOT EXISTS k.rows_s2") for line in document["cql"])
    for lines in document.values():
        for line in lines:
            assert line in text.answer


@pytest.mark.parametrize(
    ("flag", "has", "has_not"),
    [("--kafka", "kafka-topics", "CREATE"), ("--cassandra", "CREATE", "kafka-topics")],
)
def test_one_engine_alone_can_be_prepared(flag: str, has: str, has_not: str) -> None:
    """Where only one of the two is named."""
    said = typed("init", "--dry-run", flag, "192.0.2.1:1", "--cassandra-data-centre", "d")

    assert said.code == DONE
    assert has in said.answer
    assert has_not not in said.answer


def test_a_dry_run_checks_nothing() -> None:
    """Who asks for both is told."""
    said = typed("init", "--dry-run", "--check", "--kafka", "192.0.2.1:1")

    assert said.code == FAILED
    assert "take one of them" in said.remark


def test_engines_that_cannot_be_reached_are_faults_of_a_check() -> None:
    """Each is listed; nothing hides another."""
    nobody = ("--kafka", "127.0.0.1:1", "--cassandra", "127.0.0.1:1")
    said = typed("init", "--check", *nobody, "--json")
    document = json.loads(said.answer)

    assert said.code == FAILED
    assert document.keys() == {"kafka", "cassandra"}
    for engine in document.values():
        [fault] = engine["faults"]
        assert "127.0.0.1" in fault
        assert not engine["made"]
