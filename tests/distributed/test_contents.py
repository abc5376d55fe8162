"""Items in a bag in a truck, on Kafka and Cassandra: listed, inherited, and kept with every row."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ledger.app.exits import DONE
from tests.distributed.ledger import Ledger
from tests.roles import RoleProcess
from tests.shells import free_address, typed

if TYPE_CHECKING:
    from ledger.app.engines import Cassandra, Kafka

pytestmark = pytest.mark.timeout(600)

ONE, TWO = "RR473124829GB", "RR473124832GB"

SCANS = f"""\
tracking_number,type,scan_time,facility,container_number,containment_direction,event_id
{ONE},CONTAINERED,2026-03-01T09:00:00Z,GB-1,BAG1,IN,{1:032x}
{TWO},CONTAINERED,2026-03-01T09:01:00Z,GB-1,BAG1,IN,{2:032x}
BAG1,LOADED,2026-03-01T10:00:00Z,GB-1,TRUCK1,IN,{3:032x}
TRUCK1,ARRIVED,2026-03-01T15:00:00Z,GB-2,,,{4:032x}
{TWO},UNCONTAINERED,2026-03-01T16:00:00Z,GB-2,BAG1,OUT,{5:032x}
"""


def test_what_lies_in_a_bag_and_what_it_inherits(
    tmp_path_factory: pytest.TempPathFactory, one_kafka: Kafka, one_cassandra: Cassandra
) -> None:
    """Through all roles and both engines; the second rows are what the log says, too."""
    operator, name = free_address(), "contents"
    folder = tmp_path_factory.mktemp(name)
    scans = folder / "scans.csv"
    scans.write_text(SCANS)
    with (
        Ledger(folder, one_kafka, one_cassandra, name=name) as ledger,
        RoleProcess("writer", ledger.config, "--operator-listen", operator) as writer,
    ):
        writer.wait_ready()
        server = ("--json", "--server", ledger.query.address)
        sent = typed("send", scans, "--source", "gate-1", "--server", ledger.ingest.address)
        ledger.wait_settled(5)
        at_four = "2026-03-01T15:59:00Z"
        listed = [
            json.loads(typed("contents", *asked, *server).answer)["items"]
            for asked in (("BAG1", "--at", at_four), ("BAG1", "--at", "2026-03-02T00:00:00Z"))
        ]
        status = typed("status", ONE, *server)
        compared = typed("compare", "--json", "--server", operator)

    assert sent.code == status.code == compared.code == DONE, (sent, status, compared)
    assert [[one["tracking_key"] for one in items] for items in listed] == [[ONE, TWO], [ONE]]
    [answer] = json.loads(status.answer)["answers"]
    assert answer["item"]["place"]["facility"] == "GB-2"
    keys = [one.get("container_keys", []) for one in answer["item"]["events"]]
    assert keys == [[], ["BAG1"], ["BAG1", "TRUCK1"]]
    comparison = json.loads(compared.answer)["comparison"]
    assert comparison["same"]
    assert (int(comparison["records"]), int(comparison["rows"])) == (5, 9)
