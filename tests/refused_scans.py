"""What a ledger lists of refused scans, as people and programs ask it; of every kind of engine."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, NamedTuple

from ledger.app.client import open_channel
from ledger.app.exits import DONE
from ledger.v1.operator_service_pb2 import ListRefusalsRequest
from ledger.v1.operator_service_pb2_grpc import OperatorServiceStub
from tests.shells import typed

if TYPE_CHECKING:
    from ledger.v1.operator_service_pb2 import RefusedItem


class Refused(NamedTuple):
    """One refused scan, as the command tells of it."""

    source: str
    sequence: int
    reason: str
    event: bytes


def listed(operator: str, *words: str) -> list[Refused]:
    """What the command lists."""
    said = typed("refusals", "--server", operator, "--json", *words)
    assert said.code == DONE, said
    scans = [json.loads(line)["scan"] for line in said.answer.splitlines()]
    return [
        Refused(
            scan["source_id"],
            int(scan["sequence"]),
            scan["reason"].removeprefix("REFUSAL_REASON_"),
            base64.b64decode(scan["event"]),
        )
        for scan in scans
    ]


def paged(operator: str) -> tuple[list[RefusedItem], str]:
    """All items, one on each page; and the last token."""
    with open_channel(operator) as channel:
        stub = OperatorServiceStub(channel)
        request = ListRefusalsRequest(page_size=1)
        found: list[RefusedItem] = []
        while True:
            page = stub.ListRefusals(request, timeout=10)
            found += page.items
            assert len(page.items) <= 1
            if not page.next_page_token:
                return found, request.page_token
            request.page_token = page.next_page_token
