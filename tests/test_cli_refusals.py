"""`parcel-ledger refusals` as an operator meets it, against a ledger that runs."""

import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.app.client import open_channel
from ledger.app.demo.processes import LedgerProcess
from ledger.app.exits import DONE, FAILED
from ledger.v1.ingest_service_pb2 import REFUSAL_REASON_REQUIRED
from ledger.v1.operator_service_pb2 import ListRefusalsRequest
from ledger.v1.operator_service_pb2_grpc import OperatorServiceStub
from ledger.v1.raw_pb2 import RawBatch, RawRecordScanBatchRequest, RawScan
from tests.ingest_traffic import SPOOL, an_encoded_event
from tests.refused_scans import Refused, listed, paged
from tests.shells import Said, ledger_up, typed

pytestmark = pytest.mark.slow

GARBAGE = b"\xff no event"
NAMELESS = [an_encoded_event(n, tracking_number=None) for n in range(3)]


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LedgerProcess]:
    """A ledger that has refused four scans of two sources, and taken others."""
    with ledger_up(tmp_path_factory.mktemp("refusals")) as ledger:
        with open_channel(ledger.address) as channel:
            send(channel, "gate-17", [an_encoded_event(11), GARBAGE, NAMELESS[0], NAMELESS[1]])
            send(channel, "gate-18", [NAMELESS[2], an_encoded_event(12)])
        yield ledger


def send(channel: grpc.Channel, source: str, events: list[bytes]) -> None:
    """Send one batch."""
    batch = RawBatch(
        source_id=source,
        spool_id=SPOOL,
        first_sequence=1,
        scans=[RawScan(event=event) for event in events],
        send_time=Timestamp(seconds=int(time.time())),
    )
    call: Any = channel.unary_unary("/ledger.v1.IngestService/RecordScanBatch")
    call(RawRecordScanBatchRequest(batch=batch).SerializeToString(), timeout=10)


def asked(ledger: LedgerProcess, *words: str) -> Said:
    """What the command says."""
    return typed("refusals", "--server", ledger.address, *words)


def test_by_source_and_by_reason(ledger: LedgerProcess) -> None:
    """Each whole, to the byte; those of a source in the order in which they were refused."""
    assert sorted(one.event for one in listed(ledger.address)) == sorted([GARBAGE, *NAMELESS])
    assert listed(ledger.address, "--source", "gate-17") == [
        Refused("gate-17", 2, "UNDECODABLE", GARBAGE),
        Refused("gate-17", 3, "REQUIRED", NAMELESS[0]),
        Refused("gate-17", 4, "REQUIRED", NAMELESS[1]),
    ]
    undecodable = listed(ledger.address, "--reason", "undecodable")
    assert [one.event for one in undecodable] == [GARBAGE]
    both = listed(ledger.address, "--reason", "REQUIRED", "--source", "gate-18")
    assert both == [Refused("gate-18", 1, "REQUIRED", NAMELESS[2])]


def test_a_person_reads_a_table(ledger: LedgerProcess) -> None:
    """With source, sequence, reason and words; where there is none it says so."""
    said = asked(ledger, "--source", "gate-17")
    none = asked(ledger, "--source", "gate-99")

    head, *rows = said.answer.splitlines()
    assert head.split()[:3] == ["refused", "source", "sequence"]
    assert [row.split()[2:4] for row in rows if "gate-17" in row][:1] == [["gate-17", "2"]]
    assert "UNDECODABLE" in said.answer
    assert (none.code, none.answer) == (DONE, "No scan like that was refused.\n")


def test_a_wrong_reason_is_told(ledger: LedgerProcess) -> None:
    """With those that there are."""
    said = asked(ledger, "--reason", "UGLY")

    assert said.code == FAILED
    assert "UNFILABLE_NUMBER" in said.remark


def test_pages_hang_together(ledger: LedgerProcess) -> None:
    """One by one they give the same; a token belongs to its request."""
    with open_channel(ledger.address) as channel:
        stub = OperatorServiceStub(channel)
        whole = stub.ListRefusals(ListRefusalsRequest(), timeout=10)
        found, token = paged(ledger.address)
        wrong = ListRefusalsRequest(page_token=token, reason=REFUSAL_REASON_REQUIRED)
        with pytest.raises(grpc.RpcError) as raised:
            stub.ListRefusals(wrong, timeout=10)

    assert found == list(whole.items)
    assert {item.position.log for item in found} == {"refusals"}
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
