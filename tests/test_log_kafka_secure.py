"""The log on a Kafka with TLS, passwords and rights: each role gets in with the least it needs."""

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.app.engines import Kafka
from ledger.backends import kafka_reader, kafka_sender
from ledger.backends.kafka_cluster import KafkaCluster
from ledger.backends.kafka_commands import acl_lines
from ledger.backends.kafka_lag import open_kafka_lag
from ledger.backends.kafka_topics import check_topics, create_topics
from ledger.backends.log_kafka import KafkaScanLog, open_kafka_log
from ledger.errors import Busy, Refused
from ledger.marks import TRAIL_READER
from ledger.position import LOGS, RECEIPTS_LOG, REFUSALS_LOG, SCANS_LOG
from ledger.scan_log import LogIdentity
from ledger.v1.ingest_service_pb2 import DURABILITY_WRITTEN
from tests.contracts.patience import Starting, append, follow_until, records
from tests.kafka_logs import PARTITIONS
from tests.kafka_secure import PRINCIPALS, cluster_as, secure_kafka, type_in

pytestmark = pytest.mark.engines


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where certificates and data are."""
    return tmp_path_factory.mktemp("secure-kafka")


@pytest.fixture(scope="module")
def kafka(folder: Path) -> Iterator[Kafka]:
    """A broker on which each role has the rights that are printed for it, and nothing else."""
    with secure_kafka(folder) as kafka:
        admin = cluster_as(kafka, folder, "admin")
        for line in acl_lines(admin, generation=1, partitions=PARTITIONS, principals=PRINCIPALS):
            type_in(kafka, folder, line)
        yield kafka


async def test_each_role_does_its_work_with_its_rights(kafka: Kafka, folder: Path) -> None:
    """With the printed rights `init` makes the topic and checks it, ingest appends and learns how
    far a writer is, which follows and reads; over TLS with a certificate of ours, by PLAIN and by
    SCRAM.
    """
    made = await create_topics(
        cluster_as(kafka, folder, "init"), generation=1, partitions=PARTITIONS
    )
    values = records(10)
    async with opened(cluster_as(kafka, folder, "ingest")) as log:
        first = await append(log, 1, values)
    seen = {}
    for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
        writer = cluster_as(kafka, folder, "writer", mechanism=mechanism)
        async with opened(writer) as log:
            start = Starting({**dict.fromkeys(range(PARTITIONS), 0), 1: first})
            async with log.follow("trail", start) as follower:
                seen = await follow_until(follower, 10)
            assert list(await log.read(1, first, 10)) == values
    ingest = cluster_as(kafka, folder, "ingest")
    async with open_kafka_lag(ingest, reader=TRAIL_READER, log=log.identity) as lag:
        reached = await lag.reached()

    assert list(made) == [f"secure-{log}-g1" for log in LOGS]
    assert list(seen[1].values()) == values
    assert reached[1] == first + 10


async def test_no_role_can_do_what_it_need_not(
    kafka: Kafka, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that appends refusals and an ingest server that reads are Busy, with the reason:
    somebody has to change their rights, and until then nothing is lost. To `scans` a writer may
    append, what it replays out of quarantine, and to `receipts`, what an operator settles.
    """
    monkeypatch.setattr(kafka_sender, "APPEND_S", 2.0)
    monkeypatch.setattr(kafka_reader, "READ_S", 2.0)
    await create_topics(cluster_as(kafka, folder, "init"), generation=1, partitions=PARTITIONS)
    writer = cluster_as(kafka, folder, "writer")
    async with opened(writer) as log:
        await append(log, 0, records(1))
    receipts, refusals = (
        open_kafka_log(writer, name=name, generation=1, partitions=PARTITIONS)
        for name in (RECEIPTS_LOG, REFUSALS_LOG)
    )
    async with receipts as log:
        await append(log, 0, records(1))
    async with refusals as log:
        with pytest.raises(Busy, match="AuthorizationFailed"):
            await append(log, 0, records(1))
    async with opened(cluster_as(kafka, folder, "ingest")) as log:
        await append(log, 0, records(1))
        with pytest.raises(Busy, match="AuthorizationFailed"):
            await log.read(0, 0, 1)
        async with log.follow("trail", Starting({})) as follower:
            with pytest.raises(Busy, match="GroupAuthorizationFailed"):
                await follow_until(follower, 1)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"password": "no"}, "does not let us in"),
        ({"mechanism": "SCRAM-SHA-256"}, "does not let us in"),
        ({"authority": "other.crt"}, "CERTIFICATE_VERIFY_FAILED"),
    ],
    ids=["password", "mechanism", "authority"],
)
async def test_who_is_not_let_in_is_told_why(
    kafka: Kafka, folder: Path, changed: dict[str, str], why: str
) -> None:
    """A wrong password, a way to say it in which nobody knows us, and brokers whose certificate
    somebody else signed, are refused on opening.
    """
    with pytest.raises(Refused, match=why) as error:
        async with opened(cluster_as(kafka, folder, "ingest", **changed)):
            pass

    assert error.value.reason == "KAFKA_REFUSES_US"


async def test_without_tls_nobody_answers(kafka: Kafka, folder: Path) -> None:
    """Speaking plainly to a port that expects TLS is no connection."""
    plain = KafkaCluster(bootstrap=kafka.bootstrap, topic_prefix="secure-", single_broker=True)

    with pytest.raises(Busy, match="cannot be reached"):
        async with opened(plain):
            pass


async def test_a_stranger_sees_nothing(kafka: Kafka, folder: Path) -> None:
    """Whoever is let in but has no right to see the topic is refused."""
    await create_topics(cluster_as(kafka, folder, "init"), generation=1, partitions=PARTITIONS)

    with pytest.raises(Refused, match="TopicAuthorizationFailed"):
        async with opened(cluster_as(kafka, folder, "stranger")):
            pass


async def test_who_has_no_right_to_the_group_is_told_which(kafka: Kafka, folder: Path) -> None:
    """How far writers are is not told without the right that is printed for ingest."""
    log = LogIdentity(SCANS_LOG, 1, PARTITIONS, DURABILITY_WRITTEN)
    stranger = cluster_as(kafka, folder, "stranger")
    async with open_kafka_lag(stranger, reader=TRAIL_READER, log=log) as lag:
        with pytest.raises(Refused, match="`Describe` on that group") as error:
            await lag.reached()

    assert error.value.reason == "KAFKA_NO_RIGHT"
    assert error.value.metadata == {"group": "secure-trail"}


async def test_asking_makes_no_topic(kafka: Kafka, folder: Path) -> None:
    """On brokers that make every topic that is asked for, a missing topic stays missing."""
    admin = replace(cluster_as(kafka, folder, "admin"), topic_prefix="missing-")

    for _ in range(2):
        faults = await check_topics(admin, generation=1, partitions=PARTITIONS)
        assert "does not exist" in faults[0]


def opened(cluster: KafkaCluster) -> AbstractAsyncContextManager[KafkaScanLog]:
    """Opens the log."""
    return open_kafka_log(cluster, generation=1, partitions=PARTITIONS)
