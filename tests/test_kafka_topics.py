"""Topics: made as they should be, and refused, each fault by name, where they are not."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.app.engines import Kafka
from ledger.app.engines.java import find_java
from ledger.backends import kafka_topics
from ledger.backends.kafka_cluster import KafkaCluster
from ledger.backends.kafka_commands import acl_lines, topic_lines
from ledger.backends.kafka_topics import check_topics, create_topics, wanted_topic
from ledger.backends.kafka_wire import describe_topic
from ledger.backends.log_kafka import open_kafka_log
from ledger.errors import Refused
from ledger.position import LOGS, SCANS_LOG
from ledger.v1.ingest_service_pb2 import Durability
from tests.contracts.patience import Starting, append, follow_until, records
from tests.kafka_logs import PARTITIONS, asking, cluster_of, make_topic, opened_on


async def faults_of_scans(cluster: KafkaCluster) -> list[str]:
    """What is wrong with the topic of the log `scans`."""
    faults = await check_topics(cluster, generation=1, partitions=PARTITIONS)
    return [fault for fault in faults if f"`{cluster.topic(SCANS_LOG, 1)}`" in fault]


async def test_topics_are_made_once(one_kafka: Kafka, tmp_path: Path) -> None:
    """Making topics makes what is missing, as it should be, and leaves what is there."""
    cluster = cluster_of(one_kafka.bootstrap, tmp_path)

    made = await create_topics(cluster, generation=2, partitions=3)
    again = await create_topics(cluster, generation=2, partitions=3)

    assert list(made) == [f"{cluster.topic_prefix}{log}-g2" for log in LOGS]
    assert list(again) == []
    assert list(await check_topics(cluster, generation=2, partitions=3)) == []
    async with open_kafka_log(cluster, generation=2, partitions=3) as log:
        assert log.identity[:4] == ("scans", 2, 3, Durability.DURABILITY_WRITTEN)


async def test_a_missing_topic_is_named_and_not_made(one_kafka: Kafka, tmp_path: Path) -> None:
    """A log without its topic is refused, with the command that makes it; asking makes nothing."""
    cluster = cluster_of(one_kafka.bootstrap, tmp_path)
    topic = wanted_topic(cluster, log=SCANS_LOG, generation=1, partitions=PARTITIONS)

    with pytest.raises(Refused, match="does not exist; `parcel-ledger init` makes it"):
        async with open_kafka_log(cluster, generation=1, partitions=PARTITIONS):
            pass

    async with asking(cluster) as client:
        assert await describe_topic(client, topic.name) is None


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("retention.ms", "604800000"),
        ("retention.bytes", "1073741824"),
        ("cleanup.policy", "compact"),
        ("cleanup.policy", "compact,delete"),
        ("unclean.leader.election.enable", "true"),
        ("message.timestamp.type", "CreateTime"),
        ("compression.type", "zstd"),
        ("max.message.bytes", "1048588"),
    ],
)
async def test_a_setting_that_breaks_a_promise_is_refused(
    one_kafka: Kafka, tmp_path: Path, setting: str, value: str
) -> None:
    """A topic under whose settings a promise is untrue is no log; the setting is named."""
    cluster = cluster_of(one_kafka.bootstrap, tmp_path)
    await make_topic(cluster, {setting: value})

    with pytest.raises(Refused) as error:
        async with open_kafka_log(cluster, generation=1, partitions=PARTITIONS):
            pass

    assert error.value.reason == "TOPIC_UNFIT"
    [fault] = await faults_of_scans(cluster)
    assert fault in error.value.message
    assert f"{setting}={value}" in fault


async def test_another_number_of_partitions_is_refused(one_kafka: Kafka, tmp_path: Path) -> None:
    """A topic with another number of partitions than the setting says is no log."""
    cluster = cluster_of(one_kafka.bootstrap, tmp_path)
    await make_topic(cluster)

    with pytest.raises(Refused, match="has 4 partitions, and the setting says 8"):
        async with open_kafka_log(cluster, generation=1, partitions=8):
            pass


async def test_one_copy_has_to_be_accepted(one_kafka: Kafka, tmp_path: Path) -> None:
    """One replica, and one in sync, are refused unless a single broker is accepted; a topic that
    asks for more replicas in sync than it has is not believed.
    """
    cluster = cluster_of(one_kafka.bootstrap, tmp_path)
    careful = replace(cluster, single_broker=False)
    await make_topic(cluster)
    faults = await faults_of_scans(careful)

    assert [fault.split(":")[0] for fault in faults] == [
        f"`{cluster.topic('scans', 1)}` has replication factor 1",
        f"`{cluster.topic('scans', 1)}` has min.insync.replicas=1",
    ]
    assert await faults_of_scans(cluster) == []

    liar = cluster_of(one_kafka.bootstrap, tmp_path / "liar")
    await make_topic(liar, {"min.insync.replicas": "2"})
    with pytest.raises(Refused, match="replication factor 1"):
        async with open_kafka_log(
            replace(liar, single_broker=False), generation=1, partitions=PARTITIONS
        ):
            pass
    async with open_kafka_log(liar, generation=1, partitions=PARTITIONS) as log:
        assert log.identity.durability == Durability.DURABILITY_WRITTEN


async def test_a_topic_that_syncs_each_message_says_so(one_kafka: Kafka, tmp_path: Path) -> None:
    """With flush.messages=1 an acknowledgement means: on the disk."""
    cluster = cluster_of(one_kafka.bootstrap, tmp_path)
    await make_topic(cluster, {"flush.messages": "1"})

    async with open_kafka_log(cluster, generation=1, partitions=PARTITIONS) as log:
        assert log.identity.durability == Durability.DURABILITY_SYNCED


async def test_all_faults_are_named_at_once(one_kafka: Kafka, tmp_path: Path) -> None:
    """Whoever has to mend a topic is told everything in one go."""
    cluster = cluster_of(one_kafka.bootstrap, tmp_path)
    await make_topic(cluster, {"retention.ms": "1000", "cleanup.policy": "compact"}, partitions=3)

    faults = await faults_of_scans(replace(cluster, single_broker=False))

    for words in ("3 partitions", "retention.ms", "cleanup.policy", "replication factor 1"):
        assert sum(words in fault for fault in faults) == 1, words


async def test_more_replicas_than_brokers_are_refused(
    one_kafka: Kafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster that is too small says so when the topics are made."""
    monkeypatch.setattr(kafka_topics, "ASSEMBLE_S", 0.5)
    cluster = cluster_of(one_kafka.bootstrap, tmp_path, replication=3, single_broker=False)

    with pytest.raises(Refused, match="replication factor"):
        await create_topics(cluster, generation=1, partitions=PARTITIONS)


async def test_the_command_makes_the_topic(one_kafka: Kafka, tmp_path: Path) -> None:
    """The commands that are printed for someone else, typed into Kafka's own tool, make topics
    without a fault, and can be typed again.
    """
    cluster = cluster_of(one_kafka.bootstrap, tmp_path)
    lines = list(topic_lines(cluster, generation=1, partitions=PARTITIONS))
    assert len(lines) == len(LOGS)

    for line in [*lines, lines[0]]:
        tool, *arguments = line.split()
        assert tool == "kafka-topics.sh"
        command = ["org.apache.kafka.tools.TopicCommand", *arguments]
        java = await asyncio.create_subprocess_exec(
            find_java(), "-cp", one_kafka.class_path, *command
        )
        assert await java.wait() == 0

    assert await check_topics(cluster, generation=1, partitions=PARTITIONS) == []


def test_each_role_gets_the_least_rights(tmp_path: Path) -> None:
    """Ingest may not read, only ask how far the writers are; those write what they quarantine and
    what an operator replays or settles; and nobody may delete or change anything.
    """
    cluster = cluster_of("kafka-1:9093", tmp_path)
    lines = acl_lines(cluster, generation=1, partitions=4)

    by_role = {
        role: [line for line in lines if f"parcel-ledger-{role}" in line]
        for role in ("ingest", "writer", "init")
    }
    assert "--operation Read" not in " ".join(by_role["ingest"])
    written = [line for line in by_role["writer"] if "--operation Write" in line]
    assert [line.split()[-1] for line in written] == [
        cluster.topic(log, 1) for log in ("scans", "receipts", "quarantine")
    ]
    assert not any(cluster.topic("quarantine", 1) in line for line in by_role["ingest"])
    assert not any("Delete" in line or "Alter" in line or "All" in line for line in lines)
    groups = {role: [line for line in of if "--group" in line] for role, of in by_role.items()}
    assert {role: len(of) for role, of in groups.items()} == {"ingest": 1, "writer": 1, "init": 0}
    assert groups["ingest"][0].endswith(
        f" --operation Describe --group {cluster.group('trail', 'scans')}"
    )
    assert {role: len(of) for role, of in by_role.items()} == {"ingest": 4, "writer": 5, "init": 4}


@pytest.mark.parametrize(
    ("log", "days", "fits"),
    [
        ("refusals", 400, True),
        ("refusals", 500, True),
        ("refusals", 399, False),
        ("receipts", 400, False),
        ("quarantine", 400, False),
    ],
)
async def test_refused_scans_alone_may_go_in_time(
    one_kafka: Kafka, tmp_path: Path, log: str, days: int, *, fits: bool
) -> None:
    """The topic of refusals may delete what is older than the setting; no other topic may."""
    cluster = cluster_of(one_kafka.bootstrap, tmp_path)
    await make_topic(cluster, {"retention.ms": str(days * 86_400_000)}, log=log)
    opening = open_kafka_log(cluster, name=log, generation=1, partitions=PARTITIONS)

    if fits:
        async with opening as opened:
            await append(opened, 0, records(1))
        return
    with pytest.raises(Refused, match=r"retention\.ms"):
        async with opening:
            pass


async def test_logs_of_a_cluster_are_apart(one_kafka: Kafka, tmp_path: Path) -> None:
    """Appends at once to two logs: each has its own indexes, records and followers, under one name
    of a reader.
    """
    cluster = cluster_of(one_kafka.bootstrap, tmp_path)
    ours, others = records(5), records(7)
    start = Starting(dict.fromkeys(range(PARTITIONS), 0))
    async with (
        opened_on(cluster) as scans,
        opened_on(cluster, name="receipts") as receipts,
        scans.follow("same", start) as of_scans,
        receipts.follow("same", start) as of_receipts,
    ):
        firsts = await asyncio.gather(append(scans, 1, ours), append(receipts, 1, others))
        seen = await asyncio.gather(follow_until(of_scans, 5), follow_until(of_receipts, 7))

        assert list(firsts) == [0, 0]
        assert [list(of[1].values()) for of in seen] == [ours, others]
        assert (await scans.bounds(1)).next == 5
        assert (await receipts.bounds(1)).next == 7
