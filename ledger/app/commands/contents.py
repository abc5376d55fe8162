"""`parcel-ledger contents NUMBER`: what lies in a container, at a moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from ledger.app.commands.options import AsJson, AsOf, Config, Server, put_as_of
from ledger.app.exits import DONE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger.v1.item_service_pb2 import ListContentsRequest, ListContentsResponse
    from ledger.v1.item_service_pb2_grpc import ItemServiceStub

PAGE_ITEMS: Final = 500
"""Items of one page: the most that a server gives."""


def contents(
    number: Annotated[str, Parameter(help="The container's number, in any writing.")],
    /,
    *,
    at: Annotated[
        str | None,
        Parameter(
            help="What lay in it then, by the devices' clocks, such as 2026-03-01T14:05:00Z.",
            show_default=False,
        ),
    ] = None,
    as_of: AsOf = None,
    as_json: AsJson = False,
    server: Server = None,
    config: Config = None,
) -> int:
    """Show what lies in a bag, a pallet or a truck."""
    from ledger.app.client import ledger_at
    from ledger.app.settings import load
    from ledger.v1.item_service_pb2 import ListContentsRequest
    from ledger.v1.item_service_pb2_grpc import ItemServiceStub

    request = ListContentsRequest(tracking_number=number, page_size=PAGE_ITEMS)
    if at is not None:
        put_as_of(request.at_time, at, flag="--at")
    if as_of is not None:
        put_as_of(request.as_of_time, as_of)
    address = load({"server": server}, config=config).settings.server
    with ledger_at(address) as channel:
        whole = _whole(_pages(ItemServiceStub(channel), request))
    if as_json:
        _print_json(whole)
    else:
        _print(number, whole)
    return DONE


def _pages(stub: ItemServiceStub, request: ListContentsRequest) -> Iterator[ListContentsResponse]:
    from ledger.app.client import ANSWER_S

    while True:
        page = stub.ListContents(request, timeout=ANSWER_S)
        yield page
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def _whole(pages: Iterator[ListContentsResponse]) -> ListContentsResponse:
    """Make one answer of all pages: a truck has some thousand items."""
    whole = next(pages)
    named = {one.facility_id for one in whole.facilities}
    for page in pages:
        whole.items.extend(page.items)
        whole.truncated |= page.truncated
        whole.status = page.status
        whole.facilities.extend(one for one in page.facilities if one.facility_id not in named)
        named |= {one.facility_id for one in page.facilities}
    whole.next_page_token = ""
    return whole


def _print_json(whole: ListContentsResponse) -> None:
    import json
    import sys

    from google.protobuf.json_format import MessageToDict

    document = MessageToDict(whole, preserving_proto_field_name=True)
    document.setdefault("items", [])
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")


def _print(number: str, whole: ListContentsResponse) -> None:
    from ledger.app.commands.screen import answers
    from ledger.app.contents_render import contents_table, contents_title
    from ledger.app.place_render import known_of

    console = answers()
    console.print(contents_title(number, whole), markup=False, soft_wrap=True)
    if whole.items:
        console.print(contents_table(whole.items, known_of(whole.facilities)))
    if whole.truncated:
        console.print(
            "\nThis may not be all, or too much: a trail is too long to be read.", style="yellow"
        )
