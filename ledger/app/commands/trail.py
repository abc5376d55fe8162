"""`parcel-ledger trail NUMBER`: what happened to one item, in order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import Parameter

from ledger.app.commands.options import AsJson, AsOf, Config, Server, put_as_of
from ledger.app.exits import DONE

if TYPE_CHECKING:
    from rich.console import Console

    from ledger.v1.trail_service_pb2 import ListScanEventsRequest, ListScanEventsResponse
    from ledger.v1.trail_service_pb2_grpc import TrailServiceStub

PAGE_ENTRIES: Final = 1_000
"""Entries of one page: the most that a server gives."""

TABLE_ENTRIES_MAX: Final = 10_000
"""Most entries in a table: nobody reads more, and a table is held in memory."""


def trail(
    number: Annotated[str, Parameter(help="The item's number, in any writing.")],
    /,
    *,
    order: Annotated[
        Literal["time", "recorded"],
        Parameter(help="By scan time, or in the order in which the ledger recorded the scans."),
    ] = "time",
    as_of: AsOf = None,
    as_json: AsJson = False,
    server: Server = None,
    config: Config = None,
) -> int:
    """Show what happened to one item."""
    from ledger.app.client import ledger_at
    from ledger.app.commands.screen import answers
    from ledger.app.settings import load
    from ledger.v1.trail_service_pb2_grpc import TrailServiceStub

    recorded = order == "recorded"
    request = listing_of(number, recorded=recorded, as_of=as_of)
    address = load({"server": server}, config=config).settings.server
    with ledger_at(address) as channel:
        pages = pages_of(TrailServiceStub(channel), request)
        if as_json:
            _print_json(number, pages)
        else:
            print_table(answers(), number, pages, recorded=recorded, as_of=as_of)
    return DONE


def listing_of(number: str, *, recorded: bool, as_of: str | None) -> ListScanEventsRequest:
    """Make the request for the first page of a trail."""
    from ledger.v1.trail_service_pb2 import ListScanEventsRequest, TrailOrder

    request = ListScanEventsRequest(
        tracking_number=number,
        page_size=PAGE_ENTRIES,
        order=TrailOrder.TRAIL_ORDER_RECORDED if recorded else TrailOrder.TRAIL_ORDER_SCAN_TIME,
    )
    if as_of is not None:
        put_as_of(request.as_of_time, as_of)
    return request


def pages_of(
    stub: TrailServiceStub, request: ListScanEventsRequest
) -> Iterator[ListScanEventsResponse]:
    """Give all pages of a trail: one snapshot, whatever is recorded meanwhile."""
    from ledger.app.client import ANSWER_S

    while True:
        page = stub.ListScanEvents(request, timeout=ANSWER_S)
        yield page
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def _print_json(number: str, pages: Iterator[ListScanEventsResponse]) -> None:
    """Print one document, page by page as it comes: a trail may be longer than memory."""
    import json
    import sys

    from google.protobuf.json_format import MessageToDict

    from ledger.v1.trail_service_pb2 import LookupStatus

    write = sys.stdout.write
    before = ""
    known: dict[str, object] = {}
    for page in pages:
        if not before:
            head = {
                "tracking_number": number,
                "status": LookupStatus.Name(page.status),
                "tracking_keys": list(page.tracking_keys),
                "oversized": page.oversized,
                "more_keys": page.more_keys,
            }
            before = json.dumps(head)[:-1] + ', "entries": [\n'
        for entry in page.entries:
            write(before + json.dumps(MessageToDict(entry, preserving_proto_field_name=True)))
            before = ",\n"
        for facility in page.facilities:
            known[facility.facility_id] = MessageToDict(facility, preserving_proto_field_name=True)
    end = "\n" if before == ",\n" else before
    write(f'{end}], "facilities": {json.dumps(list(known.values()))}}}\n')


def print_table(
    console: Console,
    number: str,
    pages: Iterator[ListScanEventsResponse],
    *,
    recorded: bool = False,
    as_of: str | None = None,
) -> None:
    """Print a trail for a person."""
    from rich.markup import escape

    from ledger.app.place_render import known_of
    from ledger.app.render import printable, trail_table
    from ledger.v1.trail_service_pb2 import LookupStatus

    page = next(pages)
    entries, known = list(page.entries), known_of(page.facilities)
    while page.next_page_token and len(entries) < TABLE_ENTRIES_MAX:
        page = next(pages)
        entries.extend(page.entries)
        known |= known_of(page.facilities)
    shown = printable(number)
    when = f"by {printable(as_of)}" if as_of else "so far"
    if page.status == LookupStatus.LOOKUP_STATUS_NOT_YET_SEEN:
        console.print(
            f"Nothing has been recorded for {shown} {when}.", markup=False, soft_wrap=True
        )
        return
    keys = ", ".join(printable(key) for key in page.tracking_keys)
    order = "as recorded" if recorded else "by scan time"
    past = f", as of {printable(as_of)}" if as_of else ""
    notices = sum(entry.HasField("quarantined") for entry in entries)
    events = len(entries) - notices
    many = "event" if events == 1 else "events"
    beside = f", {notices:,} in quarantine" if notices else ""
    title = f"[bold]{escape(keys or shown)}[/]  {events:,} {many}{beside}, {order}{escape(past)}\n"
    console.print(title, soft_wrap=True)
    with_keys = len(page.tracking_keys) > 1
    table = trail_table(entries, known, recorded=recorded, with_keys=with_keys)
    console.print(table)
    if page.more_keys:
        most = len(page.tracking_keys)
        console.print(
            f"\nThe item has more than {most} keys; these are the nearest.", style="yellow"
        )
    if page.next_page_token:
        console.print(f"\nThere are more than {len(entries):,}; --json shows all.", style="yellow")
