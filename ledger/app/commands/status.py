"""`parcel-ledger status NUMBER…`: how items are, with their stages and a timeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from ledger.app.commands.options import AsJson, AsOf, Config, Server, put_as_of
from ledger.app.exits import DONE, FAILED, REFUSED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ledger.v1.item_service_pb2 import BatchGetItemsRequest, BatchGetItemsResponse, ItemAnswer
    from ledger.v1.item_service_pb2_grpc import ItemServiceStub

NUMBERS_MAX: Final = 1_000
"""Numbers of one request: the most that a server takes."""


def status(
    *numbers: Annotated[str, Parameter(help="The items' numbers, in any writing.")],
    as_of: AsOf = None,
    as_json: AsJson = False,
    server: Server = None,
    config: Config = None,
) -> int:
    """Show how an item is: its stages, and what happened to it; of several one line each."""
    from ledger.app.client import ledger_at
    from ledger.app.exits import CommandFailed
    from ledger.app.settings import load
    from ledger.v1.item_service_pb2_grpc import ItemServiceStub

    if not numbers:
        raise CommandFailed("Name a number: `parcel-ledger status NUMBER`.", REFUSED)
    settings = load({"server": server}, config=config).settings
    with ledger_at(settings.server) as channel:
        response = looked_up(ItemServiceStub(channel), numbers, as_of)
    if as_json:
        print_json(response)
    else:
        _print(response, settings.texts, alone=len(numbers) == 1)
    return max((code_of(answer) for answer in response.answers), default=DONE)


def looked_up(
    stub: ItemServiceStub, numbers: Sequence[str], as_of: str | None
) -> BatchGetItemsResponse:
    """Look items up, with their events where it is one; give all answers in one message."""
    from ledger.app.client import ANSWER_S
    from ledger.v1.item_service_pb2 import BatchGetItemsResponse

    found = BatchGetItemsResponse()
    names = set()
    for begin in range(0, len(numbers), NUMBERS_MAX):
        request = _request(numbers[begin : begin + NUMBERS_MAX], as_of, alone=len(numbers) == 1)
        for message in stub.BatchGetItems(request, timeout=ANSWER_S):
            for answer in message.answers:
                answer.index += begin
            found.answers.extend(message.answers)
            found.facilities.extend(
                one for one in message.facilities if one.facility_id not in names
            )
            names |= {one.facility_id for one in message.facilities}
    return found


def _request(numbers: Sequence[str], as_of: str | None, *, alone: bool) -> BatchGetItemsRequest:
    from ledger.v1.item_service_pb2 import BatchGetItemsRequest, ItemLookUp, ItemView

    request = BatchGetItemsRequest(
        look_ups=[ItemLookUp(tracking_number=number) for number in numbers],
        view=ItemView.ITEM_VIEW_TIMELINE if alone else ItemView.ITEM_VIEW_BASIC,
    )
    if as_of is not None:
        put_as_of(request.as_of_time, as_of)
    return request


def code_of(answer: ItemAnswer) -> int:
    """Give the exit code that an answer ends a command with."""
    from ledger.v1.trail_service_pb2 import LookupStatus

    codes = {
        LookupStatus.LOOKUP_STATUS_INVALID_NUMBER: REFUSED,
        LookupStatus.LOOKUP_STATUS_FAILED_RETRY: FAILED,
    }
    return codes.get(answer.status, DONE)


def print_json(response: BatchGetItemsResponse) -> None:
    """Print all of it for a program."""
    import json

    from google.protobuf.json_format import MessageToDict

    document = MessageToDict(response, preserving_proto_field_name=True)
    print(json.dumps(document, indent=2))  # noqa: T201 - the answer.


def _print(response: BatchGetItemsResponse, texts: Path | None, *, alone: bool) -> None:
    from ledger.app.commands.screen import answers
    from ledger.app.item_render import item_lines, items_table
    from ledger.app.item_words import item_words
    from ledger.app.place_render import known_of

    console, known, words = answers(), known_of(response.facilities), item_words(texts)
    lines = (
        item_lines(response.answers[0], words, known)
        if alone
        else [items_table(response.answers, words, known)]
    )
    for line in lines:
        console.print(line, soft_wrap=not alone or hasattr(line, "plain"))
