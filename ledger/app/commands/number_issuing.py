"""`parcel-ledger number issue` and `number ranges`: new tracking numbers, from a ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from ledger.app.commands.operating import print_json
from ledger.app.commands.options import AsJson, Config, Server
from ledger.app.exits import DONE, CommandFailed

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

    from ledger.v1.number_service_pb2 import (
        IssueNumberBlockRequest,
        IssueNumberBlockResponse,
        NumberRangeView,
    )
    from ledger.v1.number_service_pb2_grpc import NumberServiceStub

GIVE_UP_S: Final = 30.0
"""How long a request is sent again: a server that restarts needs a few seconds."""

WAIT_LEAST_S: Final = 0.2
"""Shortest wait before that."""


def issue(
    range_id: Annotated[str, Parameter(name="RANGE", help="The range, as the settings call it.")],
    /,
    *,
    mailer: Annotated[
        str, Parameter(help="Who gets the numbers, which is kept.", show_default=False)
    ],
    count: Annotated[int, Parameter(help="How many numbers, at most 10,000.")] = 1,
    request: Annotated[
        str | None,
        Parameter(
            help="Id of a request that was sent before, 32 hexadecimal digits: it gets the same "
            "numbers. Else a new one.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
    server: Server = None,
    config: Config = None,
) -> int:
    """Take new tracking numbers with right check digits, and print them, one a line.

    Nobody else gets them before their retention is over. What has no answer is sent again under the
    same id; should the command give up, it says how to go on and get the same numbers.

    Exit code: 0 issued, 1 refused, 2 could not be done.
    """
    import secrets

    from ledger.v1.number_service_pb2 import IssueNumberBlockRequest

    try:
        request_id = bytes.fromhex(request) if request else secrets.token_bytes(16)
    except ValueError:
        raise CommandFailed(
            f"`--request` is `{request}`; it is the 32 hexadecimal digits of an earlier request."
        ) from None
    if not 0 <= count < 1 << 32:
        raise CommandFailed(f"--count is {count}; it is 1 to 10,000.")
    wanted = IssueNumberBlockRequest(
        request_id=request_id, range_id=range_id, mailer=mailer, count=count
    )
    block = _issued(wanted, server, config)
    if as_json:
        print_json(block)
        return DONE
    print("\n".join(block.numbers))  # noqa: T201 - the answer.
    return DONE


def ranges(*, as_json: AsJson = False, server: Server = None, config: Config = None) -> int:
    """List the ranges that a ledger issues numbers from, and what is left in them."""
    from ledger.app.client import ANSWER_S
    from ledger.app.commands.screen import answers
    from ledger.v1.number_service_pb2 import ListNumberRangesRequest

    with _numbers_at(server, config) as (stub, _):
        found = stub.ListNumberRanges(ListNumberRangesRequest(), timeout=ANSWER_S)
    if as_json:
        print_json(found)
    else:
        answers().print(_table(found.ranges))
    return DONE


def _issued(
    wanted: IssueNumberBlockRequest, server: str | None, config: Path | None
) -> IssueNumberBlockResponse:
    """Send the request until it is answered, or too long has passed."""
    import time

    import grpc

    from ledger.app.client import ANSWER_S, explain, retry_wait_s

    again = (
        f"parcel-ledger number issue {wanted.range_id} --mailer '{wanted.mailer}' "
        f"--count {wanted.count} --request {wanted.request_id.hex()}"
    )
    until_s = time.monotonic() + GIVE_UP_S
    with _numbers_at(server, config) as (stub, address):
        while True:
            try:
                return stub.IssueNumberBlock(wanted, timeout=ANSWER_S)
            except grpc.RpcError as error:
                wait_s = retry_wait_s(error)
                if wait_s is None:
                    raise
                if time.monotonic() > until_s:
                    raise CommandFailed(
                        f"{explain(error, address)} The numbers may have been taken; this gets "
                        f"them: {again}"
                    ) from None
                time.sleep(max(wait_s, WAIT_LEAST_S))


@contextmanager
def _numbers_at(server: str | None, config: Path | None) -> Iterator[tuple[NumberServiceStub, str]]:
    from ledger.app.client import ledger_at
    from ledger.app.settings import load
    from ledger.v1.number_service_pb2_grpc import NumberServiceStub

    address = load({"server": server}, config=config).settings.server
    with ledger_at(address) as channel:
        yield NumberServiceStub(channel), address


def _table(found: Sequence[NumberRangeView]) -> Any:  # noqa: ANN401 - rich is imported late.
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("range", "from", "to", "numbers", "taken", "left", "more at"):
        table.add_column(name, overflow="fold")
    for one in found:
        table.add_row(
            one.range_id,
            one.first_number,
            one.last_number,
            f"{one.size:,}",
            f"{one.taken:,}",
            f"{one.left:,}",
            _time(one.free_time) if one.HasField("free_time") else "",
        )
    return table


def _time(at: Timestamp) -> str:
    return f"{datetime.fromtimestamp(at.seconds, UTC):%Y-%m-%d %H:%M} UTC"
