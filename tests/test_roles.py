"""`ingest`, `writer` and `query` as an operator meets them, on real Kafka and Cassandra."""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from ledger.app.exits import DIVERGED, DONE, FAILED
from tests.ingest_server import record_batch
from tests.ingest_traffic import a_batch, an_encoded_event
from tests.roles import (
    WITHIN_S,
    RoleProcess,
    entries,
    point,
    readable,
    scan_file,
    send,
    wait_for_entries,
)
from tests.shells import free_address, typed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ledger.app.engines import Cassandra, Kafka

PARTITIONS = 6


@pytest.fixture(scope="module")
def config(
    tmp_path_factory: pytest.TempPathFactory, one_kafka: Kafka, one_cassandra: Cassandra
) -> Path:
    """Settings for topics and tables of this file's own, which are made."""
    path = point(
        tmp_path_factory.mktemp("roles"),
        one_kafka,
        one_cassandra,
        kafka_topic_prefix="roles-",
        cassandra_keyspace="roles",
        partitions=PARTITIONS,
    )
    made = typed("init", "--config", path)
    assert made.code == DONE, made
    return path


@pytest.fixture
def run(config: Path, tmp_path: Path) -> Iterator[Callable[..., RoleProcess]]:
    """Start roles, which end with the test."""
    with ExitStack() as stack:

        def start(role: str, *flags: str, listen: str = "") -> RoleProcess:
            process = RoleProcess(role, config, *flags, listen=listen, folder=tmp_path)
            return stack.enter_context(process)

        yield start


def test_scans_go_all_the_way(run: Callable[..., RoleProcess], tmp_path: Path) -> None:
    """In at one process, through another, out of a third; each ends as told, and says so."""
    processes = [run("ingest"), run("writer"), run("query")]
    ingest, _, query = processes
    ready = [process.wait_ready() for process in processes]
    path, numbers = scan_file(tmp_path, 300)
    send(ingest, path)
    wait_for_entries(query, numbers[:3], 10)
    builds = [process.metric("ledger_ready") for process in processes]
    acknowledged = ingest.metric("ledger_ingest_durable_scans_total")
    codes = [process.end() for process in processes]

    assert [each["role"] for each in ready] == ["ingest", "writer", "query"]
    assert builds == [1.0] * 3
    assert acknowledged == 300
    assert codes == [DONE] * 3
    for process in processes:
        messages = [line["message"] for line in process.logged()]
        assert "draining" in messages
        assert messages[-1] == "ended"


async def test_refusals_and_receipts_have_topics_of_their_own(
    run: Callable[..., RoleProcess],
) -> None:
    """What is refused is kept before the answer, and a receipt follows it."""
    ingest = run("ingest")
    ingest.wait_ready()
    appended = 'ledger_log_appended_records_total{{log="{}"}}'.format
    async with grpc.aio.insecure_channel(ingest.address) as channel:
        response = await record_batch(channel, a_batch([an_encoded_event(1), b"no event"]))
    refused = ingest.metric(appended("refusals"))
    ingest.wait(lambda: ingest.metric(appended("receipts")) == 1, "a receipt")

    assert len(response.result.refusals) == 1
    assert refused == 1
    assert ingest.metric(appended("scans")) == 1
    assert ingest.end() == DONE


def test_several_processes_share_a_port(run: Callable[..., RoleProcess], tmp_path: Path) -> None:
    """Of either door; each gets calls. One that does not say so is refused, with words."""
    ports = {"ingest": free_address(), "query": free_address()}
    for role, address in ports.items():
        pair = [run(role, "--share-port", listen=address) for _ in range(2)]
        for process in pair:
            process.wait_ready()
        name = "ledger_ingest_batches_total"
        if role == "query":
            name = 'ledger_query_requests_total{method="GetProgress",status="OK"}'
        path, _ = scan_file(tmp_path, 1)
        until_s = time.monotonic() + WITHIN_S
        while not all(process.metric(name) > 0 for process in pair):
            assert time.monotonic() < until_s
            if role == "query":
                readable(pair[0])
            else:
                send(pair[0], path)
        alone = run(role, listen=address)
        code = alone.code()

        assert code == FAILED
        assert address in alone.last_words()
        assert "--share-port" in alone.last_words()


def test_writers_share_the_partitions(run: Callable[..., RoleProcess], tmp_path: Path) -> None:
    """Each has its part; when one ends the other has all, and no trail shows it."""
    ingest, query = run("ingest"), run("query")
    one, two = run("writer"), run("writer")
    for process in (ingest, query, one, two):
        process.wait_ready()

    def owned() -> list[float]:
        return [process.metric("ledger_writer_partitions") for process in (one, two)]

    one.wait(lambda: sorted(owned()) == [PARTITIONS / 2] * 2, "equal share")
    path, numbers = scan_file(tmp_path, 600)
    send(ingest, path)
    began_s = time.monotonic()
    code = one.end()
    took_s = time.monotonic() - began_s
    two.wait(lambda: two.metric("ledger_writer_partitions") == PARTITIONS, "all partitions")
    more, others = scan_file(tmp_path, 300)
    send(ingest, more)
    wait_for_entries(query, others[:3], 10)
    wait_for_entries(query, numbers[:3], 20)
    two.wait(lambda: two.metric("ledger_log_unread_records") == 0, "end of what is unread")

    assert code == DONE
    assert took_s < 30
    assert "partitions given up" in [line["message"] for line in one.logged()]
    assert one.logged()[-1]["message"] == "ended"


def test_without_kafka_scans_wait_and_trails_are_shown(
    run: Callable[..., RoleProcess], one_kafka: Kafka, tmp_path: Path
) -> None:
    """Who needs Kafka is not ready, lives, and says why; who does not, answers. Then all go on."""
    ingest, writer, query = run("ingest"), run("writer"), run("query")
    for process in (ingest, writer, query):
        process.wait_ready()
    path, numbers = scan_file(tmp_path, 60)
    send(ingest, path)
    wait_for_entries(query, numbers[:1], 2)
    one_kafka.nodes[0].kill()
    try:
        why = [process.wait_ready(503)["why_not"] for process in (ingest, writer)]
        alive = [process.page("/live")[0] for process in (ingest, writer, query)]
        reachable = ingest.metric("ledger_engine_reachable", '{engine="log"}')
        assert entries(query, numbers[0]) == 2
        assert query.page("/ready")[0] == 200
        late = run("ingest")
        late_why = late.wait_ready(503)["why_not"]
        late_alive = late.page("/live")[0]
    finally:
        one_kafka.nodes[0].start()
    for process in (ingest, writer, late):
        process.wait_ready()
    more, others = scan_file(tmp_path, 60)
    send(late, more)
    wait_for_entries(query, others[:1], 2)

    assert [set(each) for each in why] == [{"log"}] * 2
    assert alive == [200] * 3
    assert reachable == 0
    assert set(late_why) == {"process", "log"}
    assert late_alive == 200
    assert "waiting for an engine" in [line["message"] for line in late.logged()]


def test_without_cassandra_scans_are_taken_and_shown_later(
    run: Callable[..., RoleProcess], one_cassandra: Cassandra, tmp_path: Path
) -> None:
    """Ingest never notices. Writer and query live and are not ready, and one that waits to begin
    ends when it is told; when the node is back, what was taken is shown.
    """
    ingest, writer, query = run("ingest"), run("writer"), run("query")
    for process in (ingest, writer, query):
        process.wait_ready()
    one_cassandra.nodes[0].kill()
    try:
        why = [process.wait_ready(503)["why_not"] for process in (writer, query)]
        alive = [process.page("/live")[0] for process in (ingest, writer, query)]
        path, numbers = scan_file(tmp_path, 60)
        send(ingest, path)
        assert ingest.page("/ready")[0] == 200
        late = run("query")
        late.wait_ready(503)
        late.wait(
            lambda: "waiting for an engine" in [line["message"] for line in late.logged()], "wait"
        )
        code = late.end(signal.SIGINT)
    finally:
        one_cassandra.nodes[0].start()
    for process in (writer, query):
        process.wait_ready()
    wait_for_entries(query, numbers[:3], 2)

    assert [set(each) for each in why] == [{"store"}] * 2
    assert alive == [200] * 3
    assert code == DONE


@pytest.mark.parametrize("role", ["ingest", "writer"])
def test_another_number_of_partitions_is_refused(
    run: Callable[..., RoleProcess], role: str
) -> None:
    """Exit code 2, and both numbers: it is nothing to wait for."""
    process = run(role, "--partitions", str(PARTITIONS + 1))
    code = process.code()

    assert code == FAILED
    assert f"{PARTITIONS} partitions" in process.last_words()
    assert str(PARTITIONS + 1) in process.last_words()
    assert "Traceback" not in process.log.read_text()


def test_topics_and_tables_that_are_missing_are_refused(
    run: Callable[..., RoleProcess],
) -> None:
    """With the command that makes them."""
    for process in (
        run("ingest", "--kafka-topic-prefix", "nowhere-"),
        run("query", "--cassandra-keyspace", "nowhere"),
    ):
        assert process.code() == FAILED
        assert "`parcel-ledger init`" in process.last_words()


def test_a_log_that_is_not_the_one_that_was_read_ends_the_writer(
    one_kafka: Kafka, one_cassandra: Cassandra, tmp_path: Path
) -> None:
    """Exit code 3: the topic is another one, and empty; trails were written from the old one."""

    def config(prefix: str) -> Path:
        made = point(
            tmp_path / prefix,
            *(one_kafka, one_cassandra),
            kafka_topic_prefix=prefix,
            cassandra_keyspace="replaced",
            partitions=2,
        )
        assert typed("init", "--config", made).code == DONE
        return made

    old, new = config("old-"), config("new-")
    path, numbers = scan_file(tmp_path, 40)
    with (
        RoleProcess("ingest", old) as ingest,
        RoleProcess("writer", old) as writer,
        RoleProcess("query", old) as query,
    ):
        for process in (ingest, writer, query):
            process.wait_ready()
        send(ingest, path)
        wait_for_entries(query, numbers[:1], 2)
        writer.wait(lambda: readable(query) == 40, "all scans")
    with RoleProcess("writer", new) as writer:
        code = writer.code()

    assert code == DIVERGED
    assert "shorter" in writer.last_words()


def test_the_health_of_grpc_says_the_same(run: Callable[..., RoleProcess]) -> None:
    """For balancers that ask over gRPC: each service by its name."""
    ingest = run("ingest")
    ingest.wait_ready()
    with grpc.insecure_channel(ingest.address) as channel:
        check: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
        whole = check(b"", timeout=10)
        name = b"ledger.v1.IngestService"
        service = check(b"\n" + bytes([len(name)]) + name, timeout=10)

    assert whole == service == b"\x08\x01"
