"""`parcel-ledger alias A B`: two numbers are one item."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ledger.app.commands.operating import By, operator_at, print_json, who_asks
from ledger.app.commands.options import AsJson, Config, Server
from ledger.app.exits import DONE


def alias(
    number: Annotated[str, Parameter(help="One number, in any writing.")],
    other: Annotated[str, Parameter(help="The other number.")],
    /,
    *,
    why: Annotated[str, Parameter(help="Why, which is kept.", show_default=False)],
    by: By = None,
    as_json: AsJson = False,
    server: Server = None,
    config: Config = None,
) -> int:
    """Record that two numbers are one item: its trail then shows what was scanned of both.

    It is for good, and changes no trail as of an earlier time. It asks `up`, or a writer with
    `operator_listen`, on this machine.

    Exit code: 0 recorded, now or before, 1 refused, 2 could not be done.
    """
    from ledger.app.client import ANSWER_S
    from ledger.app.commands.screen import answers
    from ledger.app.render import printable
    from ledger.v1.operator_service_pb2 import RecordAliasRequest

    request = RecordAliasRequest(
        tracking_number=number, other_tracking_number=other, by=who_asks(by), why=why
    )
    with operator_at(server, config) as stub:
        answer = stub.RecordAlias(request, timeout=ANSWER_S)
    if as_json:
        print_json(answer)
        return DONE
    keys = ", ".join(map(printable, answer.tracking_keys))
    said = "one item" if answer.positions else "one item, as was said before"
    answers().print(f"{said}: {keys}", markup=False, soft_wrap=True)
    return DONE
