"""`parcel-ledger quarantine`: what could not be kept in a trail, and what is done about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import App, Parameter

from ledger.app.commands.operating import (
    By,
    follow_job,
    operator_at,
    position_of,
    print_json,
    who_asks,
)
from ledger.app.commands.options import AsJson, Config, Server
from ledger.app.exits import DONE, CommandFailed

if TYPE_CHECKING:
    from ledger.v1.operator_service_pb2 import ListQuarantinedRequest, ListQuarantinedResponse
    from ledger.v1.operator_service_pb2_grpc import OperatorServiceStub
    from ledger.v1.quarantine_pb2 import QuarantineReason

TABLE_ITEMS_MAX: Final = 1_000
"""Most items in a table: nobody reads more. --json shows all."""

quarantine = App(
    name="quarantine",
    help="Look after records that could not be kept in a trail.\n\n"
    "A record that is broken, or lies where it does not belong, goes whole into quarantine and "
    "never stops the others; a notice stands in its trail where that is known. Nothing of it is "
    "ever deleted. These commands ask `up`, or a writer with `operator_listen`, on this machine.",
    help_format="plaintext",
)

Where = Annotated[str, Parameter(help="Where the record lies, such as scans-g1/3/17.")]
State = Literal["open", "replayed", "dropped", "all"]
Reason = Annotated[
    Literal["unreadable", "incomplete", "invalid", "wrong-partition", "store-refused"] | None,
    Parameter(help="Only records with this reason.", show_default=False),
]


@quarantine.command(name="list")
def list_(
    *,
    state: Annotated[State, Parameter(help="Only records of this state.")] = "open",
    reason: Reason = None,
    item: Annotated[
        str | None,
        Parameter(help="Only records in whose trail this number stands.", show_default=False),
    ] = None,
    as_json: AsJson = False,
    server: Server = None,
    config: Config = None,
) -> int:
    """List what is in quarantine, in the order in which it came there."""
    from ledger.app.commands.screen import answers
    from ledger.app.operator_render import items_table
    from ledger.v1.operator_service_pb2 import ListQuarantinedRequest, QuarantineState

    wanted = ListQuarantinedRequest(page_size=TABLE_ITEMS_MAX, tracking_number=item or "")
    if state != "all":
        wanted.state = QuarantineState.Value(f"QUARANTINE_STATE_{state.upper()}")
    if reason:
        wanted.reason = _reason(reason)
    console = answers()
    with operator_at(server, config) as stub:
        pages = _pages(stub, wanted)
        if as_json:
            for page in pages:
                for one in page.items:
                    print_json(one)
            return DONE
        page = next(pages)
    if page.items:
        console.print(items_table(page.items))
    else:
        console.print(f"Nothing is in quarantine{'' if state == 'all' else f' and {state}'}.")
    if page.next_page_token:
        console.print(f"\nThere are more than {len(page.items):,}; --json shows all.")
    return DONE


@quarantine.command
def show(
    position: Where, /, *, as_json: AsJson = False, server: Server = None, config: Config = None
) -> int:
    """Show one record with all that is known of it."""
    from ledger.app.client import ANSWER_S
    from ledger.app.commands.screen import answers
    from ledger.app.operator_render import item_table
    from ledger.v1.operator_service_pb2 import GetQuarantinedRequest

    request = GetQuarantinedRequest(position=position_of(position))
    with operator_at(server, config) as stub:
        answer = stub.GetQuarantined(request, timeout=ANSWER_S)
    if as_json:
        print_json(answer)
    else:
        answers().print(item_table(answer))
    return DONE


@quarantine.command
def replay(
    position: Annotated[
        str | None, Parameter(help="Where the record lies, such as scans-g1/3/17.")
    ] = None,
    /,
    *,
    all_open: Annotated[
        bool, Parameter(name="--all", negative="", help="Replay all that is open, as a job.")
    ] = False,
    reason: Reason = None,
    why: Annotated[str, Parameter(help="Why, which is kept.", show_default=False)] = "",
    by: By = None,
    as_json: AsJson = False,
    server: Server = None,
    config: Config = None,
) -> int:
    """Record what is in quarantine once more, so that it stands in its trail.

    Nothing that was said about the past changes: it is a new record, which names the old one. What
    still cannot be kept is refused with the reason, and nothing happens.

    Exit code: 0 replayed, now or before, 1 refused, 2 could not be done.
    """
    from ledger.app.client import ANSWER_S
    from ledger.app.commands.screen import answers
    from ledger.app.operator_render import state_words
    from ledger.app.render import position_words
    from ledger.v1.operator_service_pb2 import (
        ReplayQuarantinedRequest,
        StartQuarantineReplayRequest,
    )

    if (position is None) is not all_open or (reason and not all_open):
        raise CommandFailed("Name one position, or say --all, with --reason where it is to be one.")
    with operator_at(server, config) as stub:
        if position is None:
            many = StartQuarantineReplayRequest(by=who_asks(by), why=why)
            if reason:
                many.reason = _reason(reason)
            job = stub.StartQuarantineReplay(many, timeout=ANSWER_S).job
            return follow_job(stub, job.job_id, as_json=as_json)
        one = ReplayQuarantinedRequest(position=position_of(position), by=who_asks(by), why=why)
        item = stub.ReplayQuarantined(one, timeout=ANSWER_S).item
    if as_json:
        print_json(item)
    else:
        answers().print(position_words(item.position), "is", state_words(item), soft_wrap=True)
    return DONE


@quarantine.command
def drop(
    position: Where,
    /,
    *,
    why: Annotated[str, Parameter(help="Why, which is kept.", show_default=False)],
    by: By = None,
    as_json: AsJson = False,
    server: Server = None,
    config: Config = None,
) -> int:
    """Settle that a record stays out of the trails. Nothing is deleted; replay still works."""
    from ledger.app.client import ANSWER_S
    from ledger.app.commands.screen import answers
    from ledger.app.operator_render import state_words
    from ledger.app.render import position_words
    from ledger.v1.operator_service_pb2 import DropQuarantinedRequest

    request = DropQuarantinedRequest(position=position_of(position), by=who_asks(by), why=why)
    with operator_at(server, config) as stub:
        item = stub.DropQuarantined(request, timeout=ANSWER_S).item
    if as_json:
        print_json(item)
    else:
        answers().print(position_words(item.position), "is", state_words(item), soft_wrap=True)
    return DONE


def _pages(
    stub: OperatorServiceStub, request: ListQuarantinedRequest
) -> Iterator[ListQuarantinedResponse]:
    from ledger.app.client import ANSWER_S

    while True:
        page = stub.ListQuarantined(request, timeout=ANSWER_S)
        yield page
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def _reason(word: str) -> QuarantineReason.ValueType:
    from ledger.v1.quarantine_pb2 import QuarantineReason

    return QuarantineReason.Value(f"QUARANTINE_REASON_{word.replace('-', '_').upper()}")
