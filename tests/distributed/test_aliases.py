"""Two numbers become one item on Kafka and Cassandra, and the store still is what the log says."""

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

ONE, TWO = "RR473124829GB", "9400111206206406260787"


def test_two_numbers_become_one_item(
    tmp_path_factory: pytest.TempPathFactory, one_kafka: Kafka, one_cassandra: Cassandra
) -> None:
    """Either shows the scans of both, each with its key, and is one item; nothing was prepared for
    it but what `init` makes, and every row is what the log says.
    """
    operator, name = free_address(), "aliases"
    folder = tmp_path_factory.mktemp(name)
    scans = folder / "scans.csv"
    scans.write_text(
        "tracking_number,type,scan_time,facility,event_id\n"
        f"{ONE},SORTED,2026-03-01T09:00:00Z,GB-1,{1:032x}\n"
        f"{TWO},DELIVERED,2026-03-02T09:00:00Z,US-1,{2:032x}\n"
    )
    with (
        Ledger(folder, one_kafka, one_cassandra, name=name) as ledger,
        RoleProcess("writer", ledger.config, "--operator-listen", operator) as writer,
    ):
        writer.wait_ready()
        sent = typed("send", scans, "--source", "gate-1", "--server", ledger.ingest.address)
        ledger.wait_settled(2)
        said = typed("alias", ONE, TWO, "--why", "relabelled", "--json", "--server", operator)
        ledger.wait_settled(4)
        again = typed("alias", TWO, ONE, "--why", "the same", "--json", "--server", operator)
        trails = [
            json.loads(typed("trail", number, "--json", "--server", ledger.query.address).answer)
            for number in (ONE, TWO)
        ]
        asked = typed("status", ONE, TWO, "--json", "--server", ledger.query.address)
        compared = typed("compare", "--json", "--server", operator)

    assert sent.code == said.code == again.code == compared.code == DONE, (sent, said, compared)
    assert len(json.loads(said.answer)["positions"]) == 2
    assert json.loads(again.answer)["positions"] == []
    for trail, keys in zip(trails, ([ONE, TWO], [TWO, ONE]), strict=True):
        assert trail["tracking_keys"] == keys
        assert [entry["tracking_key"] for entry in trail["entries"]] == [ONE, TWO]
    items = [one["item"] for one in json.loads(asked.answer)["answers"]]
    assert [item["milestone"] for item in items] == ["MILESTONE_DELIVERED"] * 2
    comparison = json.loads(compared.answer)["comparison"]
    assert int(comparison["records"]) == int(comparison["rows"]) == 4
