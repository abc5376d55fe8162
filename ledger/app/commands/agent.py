"""`parcel-ledger agent NUMBER`: what the customer sees of an item, and what stands behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ledger.app.commands.options import AsJson, AsOf, Config, Server
from ledger.app.commands.status import code_of, looked_up
from ledger.app.exits import DONE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ledger.v1.item_pb2 import Item
    from ledger.v1.item_service_pb2 import BatchGetItemsResponse
    from ledger.v1.trail_service_pb2 import ListScanEventsResponse, TrailEntry


def agent(
    number: Annotated[str, Parameter(help="The item's number, in any writing.")],
    /,
    *,
    as_of: AsOf = None,
    as_json: AsJson = False,
    server: Server = None,
    config: Config = None,
) -> int:
    """Show what `status` shows, in the same words; and behind it every scan with its device and
    marks, also those of containers, conflicts, other items with the number, and how far a delivery
    can be trusted.
    """
    from ledger.app.client import ledger_at
    from ledger.app.commands.trail import listing_of, pages_of
    from ledger.app.settings import load
    from ledger.v1.item_service_pb2_grpc import ItemServiceStub
    from ledger.v1.trail_service_pb2_grpc import TrailServiceStub

    settings = load({"server": server}, config=config).settings
    pages: Sequence[ListScanEventsResponse] = ()
    with ledger_at(settings.server) as channel:
        response = looked_up(ItemServiceStub(channel), [number], as_of)
        if code_of(response.answers[0]) == DONE:
            request = listing_of(number, recorded=False, as_of=as_of)
            pages = list(pages_of(TrailServiceStub(channel), request))
    if as_json:
        _print_json(response, pages)
    else:
        _print(response, pages, settings.texts)
    return code_of(response.answers[0])


def _print_json(response: BatchGetItemsResponse, pages: Sequence[ListScanEventsResponse]) -> None:
    import json

    from google.protobuf.json_format import MessageToDict

    document = MessageToDict(response, preserving_proto_field_name=True)
    document["entries"] = [
        MessageToDict(entry, preserving_proto_field_name=True)
        for page in pages
        for entry in page.entries
    ]
    print(json.dumps(document, indent=2))  # noqa: T201 - the answer.


def _print(
    response: BatchGetItemsResponse,
    pages: Sequence[ListScanEventsResponse],
    texts: Path | None,
) -> None:
    from ledger.app.commands.screen import answers
    from ledger.app.item_render import agent_lines, item_lines
    from ledger.app.item_words import item_words
    from ledger.app.place_render import known_of
    from ledger.app.render import trail_table

    console, words = answers(), item_words(texts)
    known = known_of(response.facilities)
    for page in pages:
        known |= known_of(page.facilities)
    [answer] = response.answers
    for line in item_lines(answer, words, known):
        console.print(line)
    entries = [entry for page in pages for entry in page.entries]
    if not entries:
        return
    console.rule("for agents", style="dim")
    for line in agent_lines(answer, words, known):
        console.print(line)
    console.print()
    with_keys = len(answer.tracking_keys) > 1
    console.print(
        trail_table(entries, known, recorded=False, with_keys=with_keys, what=words.event)
    )
    inherited = _inherited(answer.item)
    if inherited:
        console.print()
        console.print("Scans of containers that it lay in:", style="bold")
        console.print(trail_table(inherited, known, recorded=False, what=words.event))


def _inherited(item: Item) -> list[TrailEntry]:
    """Give what containers were scanned for, as their trails have it: these have devices, too."""
    from ledger.v1.trail_service_pb2 import EntryMarks, TrailEntry

    return [
        TrailEntry(
            event=one.event,
            source_id=one.source_id,
            tracking_key=one.tracking_key,
            mapped=one.mapped if one.HasField("mapped") else None,
            marks=EntryMarks(inherited_from=one.container_keys[-1]),
        )
        for one in item.events
        if one.container_keys
    ]
