"""What an operator says of two numbers: read from the request, and answered."""

from __future__ import annotations

from ledger.aliases.desk import AliasDesk
from ledger.app.operator import requests
from ledger.position import SCANS_LOG
from ledger.v1.operator_service_pb2 import RecordAliasRequest, RecordAliasResponse
from ledger.v1.position_pb2 import Position
from query.requests import forms_of


async def record_alias(desk: AliasDesk, request: RecordAliasRequest) -> RecordAliasResponse:
    """Record that two numbers are one item."""
    said = await desk.join(
        forms_of(request.tracking_number),
        forms_of(request.other_tracking_number, "other_tracking_number"),
        by=requests.who(request.by),
        why=requests.reason_given(request.why, needed=True),
    )
    return RecordAliasResponse(
        tracking_keys=[key.decode() for key in said.keys],
        positions=[
            Position(
                log=SCANS_LOG, generation=at.generation, partition=at.partition, index=at.index
            )
            for at in said.positions
        ],
    )
