"""Completeness over real engines: what a writer with `operator_listen` says of scans that lie in
Kafka and Cassandra, were refused, are in quarantine, lost their receipt, or never came.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaProducer

from ingest.admission import admit
from ledger.app.exits import DONE, INCOMPLETE
from ledger.numbers import partition_of
from ledger.position import Position
from ledger.v1.ingest_service_pb2 import SequenceRange
from ledger.v1.log_record_pb2 import LogRecord
from ledger.v1.receipt_pb2 import RECEIPT_KIND_BATCH, Receipt, ReceiptGroup
from tests.distributed.ledger import PARTITIONS, Ledger
from tests.gates import SPOOL, a_scan, send, speak
from tests.ingest_traffic import a_batch, an_encoded_event
from tests.refused_scans import Refused, listed, paged
from tests.roles import RoleProcess
from tests.shells import Said, free_address, typed
from tests.trails import NUMBER, Arrival, row, scan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ledger.app.engines import Cassandra, Kafka

pytestmark = pytest.mark.timeout(600)

NAME = "completeness"
WITHIN_S = 60.0


@pytest.fixture
def ledger(
    tmp_path_factory: pytest.TempPathFactory, one_kafka: Kafka, one_cassandra: Cassandra
) -> Iterator[Ledger]:
    """A ledger without a writer."""
    folder = tmp_path_factory.mktemp(NAME)
    with Ledger(folder, one_kafka, one_cassandra, name=NAME) as ledger:
        yield ledger


def produce(kafka: Kafka, log: str, partition: int, value: bytes) -> None:
    """Write a record past ingest."""

    async def write() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap)
        await producer.start()
        try:
            topic = f"{NAME}-{log}-g1"
            await producer.send_and_wait(topic, value, b"key", partition=partition)
        finally:
            await producer.stop()

    asyncio.run(write())


def wait_written(ledger: Ledger, kind: str, receipts: int) -> None:
    """Wait until ingest has written so many receipts."""
    name, labels = "ledger_ingest_receipts_total", f'{{kind="{kind}"}}'
    ledger.ingest.wait(lambda: ledger.ingest.metric(name, labels) >= receipts, f"{kind} receipts")


def astray(sequence: int) -> tuple[int, bytes]:
    """A record of the source that lies in another partition than its number says."""
    found = row(Arrival(scan("astray")), Position(1, 0, 0), record_time_ns=time.time_ns()).record
    record = LogRecord.FromString(found)
    record.source_id, record.spool_id, record.sequence = "gate-17", SPOOL, sequence
    home = partition_of(NUMBER.encode(), PARTITIONS)
    return (home + 1) % PARTITIONS, record.SerializeToString()


def record_without_receipt(kafka: Kafka, source: str, count: int) -> None:
    """Leave what an ingest process leaves that dies when its batch is durable."""
    events = [an_encoded_event(20_000 + number) for number in range(count)]
    admitted = admit(
        a_batch(events, source_id=source, spool_id=SPOOL),
        partitions=PARTITIONS,
        now_ns=time.time_ns(),
        principal="anonymous",
    )
    for partition, group in admitted.groups.items():
        for record in group.records:
            produce(kafka, "scans", partition, record)


def lie(source: str, first: int, last: int) -> bytes:
    """A receipt of what nobody has recorded."""
    receipt = Receipt(
        kind=RECEIPT_KIND_BATCH,
        source_id=source,
        spool_id=SPOOL,
        durable=[SequenceRange(first=first, last=last)],
        time_ns=time.time_ns(),
    )
    return ReceiptGroup(receipts=[receipt]).SerializeToString()


def asked(writer: str, *words: object) -> tuple[int, dict[str, Any]]:
    """Ask the writer's operator's service, without patience; give the exit code and the answer."""
    said = typed("completeness", "--server", writer, "--json", "--grace-s", "0", *words)
    assert said.code in {DONE, INCOMPLETE}, said
    return said.code, json.loads(said.answer)


def ranges(answer: dict[str, Any]) -> set[tuple[str, int, int, str]]:
    """The findings in short."""
    return {
        (one["source"][-2:], one["first"], one["last"], one["state"])
        for one in answer["findings"]
        if one["state"] != "silent"
    }


def done(said: Said) -> None:
    """See that a command has done what it was told."""
    assert said.code == DONE, said


def wait_for(until: Callable[[], bool]) -> None:
    """Wait for something that comes within seconds."""
    until_s = time.monotonic() + WITHIN_S
    while not until():
        assert time.monotonic() < until_s
        time.sleep(0.2)


def lived(ledger: Ledger, kafka: Kafka) -> None:
    """What happens before anybody asks, while a writer runs that audits nothing: so that no record
    is behind the trails when somebody asks, and only the logs say what is where.
    """
    with RoleProcess("writer", ledger.config) as writer:
        writer.wait_ready()
        send(ledger.ingest.address, "gate-17", range(1, 41), minted=100)
        send(ledger.ingest.address, "gate-17", range(51, 91), minted=100, bad=frozenset({60, 61}))
        wait_written(ledger, "BATCH", 2)
        record_without_receipt(kafka, "gate-20", 5)
        speak(ledger.ingest.address, "gate-18", minted=7)
        speak(ledger.ingest.address, "gate-20", minted=5)
        wait_written(ledger, "WORD", 2)
        produce(kafka, "scans", *astray(95))
        produce(kafka, "receipts", 0, lie("gate-21", 1, 3))
        ledger.wait_settled(78 + 5 + 1)
        writer.end()


def check_refused(operator: str) -> None:
    """See that the refused scans can be listed out of their topic: whole, by source and by reason,
    and page by page; and that no other is listed.
    """
    nameless = [
        Refused("gate-17", n, "REQUIRED", a_scan("gate-17", n, is_bad=True).SerializeToString())
        for n in (60, 61)
    ]
    assert listed(operator) == nameless
    assert listed(operator, "--source", "gate-17", "--reason", "required") == nameless
    assert listed(operator, "--source", "gate-18") == []
    assert listed(operator, "--reason", "undecodable") == []
    pages, _ = paged(operator)
    assert [one.scan.event for one in pages] == [one.event for one in nameless]
    assert {one.position.log for one in pages} == {"refusals"}


def test_each_scan_is_told_where_it_is(ledger: Ledger, one_kafka: Kafka) -> None:
    """Gaps, a source that minted and sent nothing, refused scans, one in quarantine, a lost receipt
    that the records heal, and a receipt without a record. When the scans have come, one is replayed
    and the rest is settled, all is complete, and a writer that starts anew says the same.
    """
    lived(ledger, one_kafka)
    operator = free_address()
    known = {
        ("17", 60, 61, "refused"),
        ("17", 95, 95, "quarantined"),
    }
    gaps = {("17", 41, 50), ("17", 91, 94), ("17", 96, 100), ("18", 1, 7)}
    with RoleProcess("writer", ledger.config, "--operator-listen", operator) as writer:
        writer.wait_ready()
        code, first = asked(operator)
        assert code == INCOMPLETE
        assert ranges(first) == known | {(*gap, "unconfirmed") for gap in gaps | {("20", 1, 5)}}

        check_refused(operator)
        code, looked = asked(operator, "--records")
        assert code == INCOMPLETE
        assert ranges(looked) == known | {(*gap, "never_arrived") for gap in gaps} | {
            ("21", 1, 3, "without_record")
        }
        assert looked["looked_through_until"]
        assert {one["facility"] for one in looked["findings"] if one["source"] == "gate-17"} == {
            "DEFRAA"
        }

        for first_sequence, last in ((41, 50), (91, 94), (96, 100)):
            send(ledger.ingest.address, "gate-17", range(first_sequence, last + 1), minted=100)
        done(typed("quarantine", "replay", "--all", "--server", operator))
        for source, sequences in (("gate-18", "1-7"), ("gate-21", "1-3")):
            words = ("--why", "a lost device", "--by", "ada", "--server", operator)
            done(typed("completeness", "settle", source, sequences, *words))
        wait_for(lambda: asked(operator)[0] == DONE)
        settled = {
            ("17", 60, 61, "refused"),
            ("18", 1, 7, "settled"),
            ("21", 1, 3, "settled"),
        }
        assert ranges(asked(operator)[1]) == settled
        writer.end()
    with RoleProcess("writer", ledger.config, "--operator-listen", operator) as writer:
        writer.wait_ready()
        code, again = asked(operator, "--records")
    assert (code, ranges(again)) == (DONE, settled)
    [word, _] = [one["settled"] for one in again["findings"] if one["state"] == "settled"]
    assert (word["by"], word["why"]) == ("ada", "a lost device")
