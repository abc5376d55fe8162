"""Kafka and Cassandra as `parcel-ledger engines` and the fixtures run them: real ones."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from cassandra import ConsistencyLevel, DriverException
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.policies import WhiteListRoundRobinPolicy

from ledger.app import cli
from ledger.app.engines import (
    Cassandra,
    CassandraOptions,
    Kafka,
    KafkaOptions,
    process,
    start_all,
)
from ledger.app.engines.cluster import say_nothing
from ledger.app.exits import DONE, FAILED, CommandFailed
from ledger.app.ports import free_ports
from tests.engines import ROOT, guarded
from tests.engines_first_work import first_work

pytestmark = pytest.mark.engines

ENGINES = ("kafka", "cassandra")
WORD = "open sesame"
WITHIN_S = 60
"""Longest wait for what an engine, or a process, does by itself."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder whose engines are gone after the test."""
    with guarded(tmp_path / "engines") as folder:
        yield folder


def engines(folder: Path, command: str, *flags: str) -> int:
    """Run `parcel-ledger engines`."""
    return cli.run(["engines", command, "--folder", str(folder), *flags])


async def topics(kafka: Kafka) -> list[str]:
    """The topics that there are."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        return [name for name in await admin.list_topics() if not name.startswith("__")]
    finally:
        await admin.close()


async def make_topic(kafka: Kafka, name: str) -> None:
    """A topic with as many copies as there are brokers."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 1, len(kafka.nodes))])
    finally:
        await admin.close()


def client_of(cassandra: Cassandra, host: str, level: int) -> Cluster:
    """A client of one node."""
    profile = ExecutionProfile(
        load_balancing_policy=WhiteListRoundRobinPolicy([host]),
        consistency_level=level,
        request_timeout=WITHIN_S,
    )
    return Cluster(
        [host],
        port=cassandra.port,
        protocol_version=5,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        idle_heartbeat_interval=0,  # A busy machine is no reason to give a connection up.
    )


def test_engines_are_started_shown_stopped_and_started_again(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By commands that know nothing but the folder; the data stays."""
    assert engines(folder, "start", "--json") == DONE
    first = json.loads(capsys.readouterr().out)
    kafka, cassandra = Kafka(folder), Cassandra(folder)
    asyncio.run(make_topic(kafka, "kept"))
    pids = [first[name]["nodes"][0]["pid"] for name in ("kafka", "cassandra")]

    assert pids == [kafka.nodes[0].pid, cassandra.nodes[0].pid]
    assert first["settings"]["kafka"] == first["kafka"]["bootstrap"] == kafka.bootstrap
    assert first["settings"]["single_broker"] is True
    assert first["cassandra"]["contact_points"] == ["127.0.0.1"]
    assert first["settings"]["cassandra"] == f"127.0.0.1:{first['cassandra']['port']}"
    assert all(Path(path).parent.is_dir() for path in (first[n]["class_path"] for n in ENGINES))

    # What runs is left alone, and what died is started.
    kafka.nodes[0].kill()
    assert engines(folder, "status") == FAILED
    assert "does not run" in capsys.readouterr().out
    assert engines(folder, "start") == DONE
    assert "runs already" in capsys.readouterr().err
    assert cassandra.nodes[0].pid == pids[1]
    assert Kafka(folder).nodes[0].pid not in {0, pids[0]}
    assert engines(folder, "status", "--json") == DONE
    assert asyncio.run(topics(Kafka(folder))) == ["kept"]

    assert engines(folder, "stop", "--no-cassandra") == DONE
    assert (Kafka(folder).runs(), Cassandra(folder).runs()) == (False, True)
    assert engines(folder, "stop") == DONE
    assert not Cassandra(folder).runs()
    assert engines(folder, "start", "--no-cassandra", "--nodes", "3") == FAILED
    assert "Kafka with 1 node" in capsys.readouterr().err


def test_a_node_is_killed_paused_and_started(
    one_kafka: Kafka, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is seen by `status`, and afterwards it works as before."""
    node = one_kafka.nodes[0]
    pid = node.pid
    node.pause()
    assert node.is_paused()
    assert engines(one_kafka.folder, "status") == DONE
    assert "is paused" in capsys.readouterr().out
    node.resume()
    assert not node.is_paused()
    first_work(one_kafka)
    node.kill()
    assert (node.pid, node.runs(), node.answers()) == (0, False, False)
    node.start()
    assert node.pid not in {0, pid}
    first_work(one_kafka)


async def test_three_brokers_do_without_one(three_kafka: Kafka) -> None:
    """Killed with -9: what was sent is acknowledged by the two that are left; not by one alone."""
    await make_topic(three_kafka, "three")
    producer = AIOKafkaProducer(bootstrap_servers=three_kafka.bootstrap, acks="all")
    await producer.start()
    await producer.send_and_wait("three", b"0")
    three_kafka.nodes[1].kill()
    offset = (await asyncio.wait_for(producer.send_and_wait("three", b"1"), WITHIN_S)).offset
    await asyncio.to_thread(three_kafka.nodes[1].start)
    last = (await asyncio.wait_for(producer.send_and_wait("three", b"2"), WITHIN_S)).offset
    await producer.stop()

    assert (offset, last) == (1, 2)
    assert three_kafka.runs()


def test_three_cassandras_do_without_one(three_cassandra: Cassandra) -> None:
    """Two are a quorum and not all; as soon as the third is ready again, all are there."""
    nodes = three_cassandra.nodes
    copies = "{'class': 'SimpleStrategy', 'replication_factor': 3}"
    with client_of(three_cassandra, nodes[1].host, ConsistencyLevel.ALL) as client:
        session = client.connect()
        session.execute(f"CREATE KEYSPACE three WITH replication = {copies}")
        session.execute("CREATE TABLE three.t (k int PRIMARY KEY)")
        session.execute("INSERT INTO three.t (k) VALUES (1)")
        nodes[2].kill()
        with pytest.raises(DriverException):
            session.execute("INSERT INTO three.t (k) VALUES (2)")
        profile = session.get_execution_profile(EXEC_PROFILE_DEFAULT)
        profile.consistency_level = ConsistencyLevel.QUORUM
        session.execute("INSERT INTO three.t (k) VALUES (3)")
        nodes[2].start()
        profile.consistency_level = ConsistencyLevel.ALL
        session.execute("INSERT INTO three.t (k) VALUES (4)")
        assert len(session.execute("SELECT k FROM three.t").all()) >= 3
        session.execute("DROP KEYSPACE three")


async def test_kafka_takes_further_settings(folder: Path) -> None:
    """Such as a listener that asks who speaks, and limits of its own."""
    plain = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    options = KafkaOptions(
        heap="300m",
        properties={
            "message.max.bytes": "77777",
            "listeners": "SASL_PLAINTEXT://$host:$port,CONTROLLER://$host:$controller_port",
            "advertised.listeners": "SASL_PLAINTEXT://$host:$port",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT",
            "inter.broker.listener.name": "SASL_PLAINTEXT",
            "sasl.mechanism.inter.broker.protocol": "PLAIN",
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl_plaintext.plain.sasl.jaas.config": f'{plain} username="kafka" '
            f'password="s3" user_kafka="s3" user_ledger="{WORD}";',
        },
    )
    kafka = Kafka(folder, options=options)
    await asyncio.to_thread(kafka.start)
    admin = AIOKafkaAdminClient(
        bootstrap_servers=kafka.bootstrap,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="PLAIN",
        sasl_plain_username="ledger",
        sasl_plain_password=WORD,
    )
    await admin.start()
    try:
        broker = ConfigResource(ConfigResourceType.BROKER, "1", {"message.max.bytes": ""})
        answer = (await admin.describe_configs([broker]))[0].resources[0]
    finally:
        await admin.close()

    assert answer[4][0][:2] == ("message.max.bytes", "77777")


def test_cassandra_takes_further_settings(folder: Path) -> None:
    """In the place of the recipe's."""
    cassandra = Cassandra(folder, options=CassandraOptions(entries={"cluster_name": "mine"}))
    cassandra.start()
    with client_of(cassandra, "127.0.0.1", ConsistencyLevel.ONE) as client:
        found = client.connect().execute("SELECT cluster_name FROM system.local").one()

    assert found.cluster_name == "mine"


def test_an_engine_that_does_not_start_says_why(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last words, and what to do; what was started beside it is ended."""
    taken, other = free_ports(2)
    monkeypatch.setattr("ledger.app.engines.kafka.free_ports", lambda *_: [taken, other])
    kafka, cassandra = Kafka(folder), Cassandra(folder)
    with (
        socket.create_server(("127.0.0.1", taken)),
        pytest.raises(CommandFailed) as caught,
    ):
        start_all({kafka: say_nothing, cassandra: say_nothing})

    said = str(caught.value)
    assert said.startswith("kafka-1 has ended before it was ready. Its log, ")
    assert "`ss -ltnp` shows which" in said
    assert "Exception" in said
    assert not kafka.nodes[0].pid
    assert cassandra.nodes
    assert not cassandra.nodes[0].pid


def test_a_start_that_is_interrupted_leaves_nothing_running(folder: Path) -> None:
    """Ctrl-C, while a node is on its way."""
    command = [*("-m", "ledger.app.cli", "engines", "start", "--no-cassandra"), "--folder"]
    command.append(str(folder))
    starting = subprocess.Popen([sys.executable, *command], cwd=ROOT)
    until_s = time.monotonic() + WITHIN_S
    while not (nodes := Kafka(folder).nodes) or not nodes[0].pid:
        assert time.monotonic() < until_s
        time.sleep(0.02)
    starting.send_signal(signal.SIGINT)

    assert starting.wait(WITHIN_S) != DONE
    assert not Kafka(folder).nodes[0].pid


def test_engines_of_a_test_run_end_with_it(folder: Path) -> None:
    """Also where it was killed with -9: a guard outside of it sees that."""
    program = (
        "import sys; from pathlib import Path; from tests.engines import running; "
        "from ledger.app.engines import Kafka\n"
        "with running(Kafka(Path(sys.argv[1]))): print('ready', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"ready\n"
        node = Kafka(folder).nodes[0]
        pid, life = node.pid, process.life_of(node.pid)
        os.kill(run.pid, signal.SIGKILL)

    assert process.gone(pid, life, within_s=WITHIN_S)
    until_s = time.monotonic() + WITHIN_S
    while folder.exists():
        assert time.monotonic() < until_s
        time.sleep(0.05)
