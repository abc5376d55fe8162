"""`parcel-ledger refusals`: the scans that the ledger refused, as they were kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from ledger.app.commands.operating import operator_at, print_json
from ledger.app.commands.options import AsJson, Config, Server
from ledger.app.exits import DONE, CommandFailed

if TYPE_CHECKING:
    from ledger.v1.ingest_service_pb2 import RefusalReason
    from ledger.v1.operator_service_pb2 import ListRefusalsRequest, RefusedItem
    from ledger.v1.operator_service_pb2_grpc import OperatorServiceStub

TABLE_MAX: Final = 1_000
"""Most scans in a table: nobody reads more. --json shows all."""

PREFIX: Final = "REFUSAL_REASON_"


def refusals(
    *,
    source: Annotated[
        str | None, Parameter(help="Only scans of this source.", show_default=False)
    ] = None,
    reason: Annotated[
        str | None,
        Parameter(help="Only scans with this reason, such as UNDECODABLE.", show_default=False),
    ] = None,
    as_json: AsJson = False,
    server: Server = None,
    config: Config = None,
) -> int:
    """List the scans that were refused: each was kept, with its reason, before that was said.

    It asks `up`, or a writer with `operator_listen`, on this machine. With --json a line for each
    has the scan itself, as base64.

    Exit code: 0, 2 where it could not be told.
    """
    from itertools import islice

    from ledger.app.commands.screen import answers, remarks
    from ledger.app.refused_render import kept_table
    from ledger.v1.operator_service_pb2 import ListRefusalsRequest

    request = ListRefusalsRequest(
        page_size=TABLE_MAX, source_id=source or "", reason=_reason_in(reason)
    )
    with operator_at(server, config) as stub:
        items = _all(stub, request)
        if as_json:
            for item in items:
                print_json(item)
            return DONE
        shown = list(islice(items, TABLE_MAX))
        more = next(items, None) is not None
    if not shown:
        answers().print("No scan like that was refused.")
        return DONE
    answers().print(kept_table(item.scan for item in shown))
    if more:
        remarks().print(f"There are more than {TABLE_MAX:,}; --json shows all.")
    return DONE


def _all(stub: OperatorServiceStub, request: ListRefusalsRequest) -> Iterator[RefusedItem]:
    from ledger.app.client import ANSWER_S

    while True:
        page = stub.ListRefusals(request, timeout=ANSWER_S)
        yield from page.items
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def _reason_in(text: str | None) -> RefusalReason.ValueType:
    from ledger.v1.ingest_service_pb2 import REFUSAL_REASON_UNSPECIFIED, RefusalReason

    names = [name.removeprefix(PREFIX) for name, value in RefusalReason.items() if value]
    if text is None:
        return REFUSAL_REASON_UNSPECIFIED
    if text.upper() not in names:
        raise CommandFailed(f"`{text}` is no reason. There are {', '.join(names)}.")
    return RefusalReason.Value(PREFIX + text.upper())
