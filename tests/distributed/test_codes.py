"""Sources' own codes on real engines: query explains them, and a writer says what none explains."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ledger.app.exits import DONE
from tests.distributed.ledger import Ledger
from tests.roles import RoleProcess
from tests.shells import free_address, typed

if TYPE_CHECKING:
    from pathlib import Path

    from ledger.app.engines import Cassandra, Kafka

pytestmark = pytest.mark.timeout(600)

NUMBER = "RR473124829GB"


def test_codes_are_explained_on_kafka_and_cassandra(
    tmp_path: Path, one_kafka: Kafka, one_cassandra: Cassandra
) -> None:
    """The same as on the embedded engine: the trail has what a mapping explains, and the log is
    looked through for the rest.
    """
    (tmp_path / "scans.csv").write_text(
        "tracking_number,type,scan_time,code_system,source_code\n"
        + f"{NUMBER},UNMAPPED,2026-03-01T09:00:00+01:00,usps,01\n"
        + f"{NUMBER},UNMAPPED,2026-03-01T10:00:00+01:00,usps,Q9\n"
    )
    operator = free_address()
    with (
        Ledger(tmp_path, one_kafka, one_cassandra, name="codes") as ledger,
        RoleProcess("writer", ledger.config, "--operator-listen", operator) as writer,
    ):
        writer.wait_ready()
        address = ("--server", ledger.ingest.address)
        sent = typed("send", tmp_path / "scans.csv", "--source", "acme", *address)
        ledger.wait_settled(2)
        shown = typed("trail", NUMBER, "--json", "--server", ledger.query.address)
        listed = typed("unmapped", "--json", "--server", operator)

    assert sent.code == shown.code == listed.code == DONE
    known, unknown = json.loads(shown.answer)["entries"]
    assert known["mapped"] == {
        "type": "SCAN_EVENT_TYPE_DELIVERED",
        "mapping": "usps",
        "mapping_version": "1",
    }
    assert "mapped" not in unknown
    found = json.loads(listed.answer)
    assert [(code["source_code"], code["count"]) for code in found["codes"]] == [("Q9", "1")]
    assert (found["looked_at_count"], found["mapped_count"]) == ("2", "1")
