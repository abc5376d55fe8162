"""`parcel-ledger explain NUMBER`: what an item's status means, in plain words."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ledger.app.commands.options import AsJson, AsOf, Config, Server, put_as_of
from ledger.app.exits import DONE


def explain(
    number: Annotated[str, Parameter(help="The item's number, in any writing.")],
    /,
    *,
    language: Annotated[
        str, Parameter(help="Such as de or es; where nobody wrote it, English is spoken.")
    ] = "en",
    as_of: AsOf = None,
    events: Annotated[
        bool, Parameter(negative="", help="Also explain every event.", show_default=False)
    ] = False,
    as_json: AsJson = False,
    server: Server = None,
    config: Config = None,
) -> int:
    """Say what an item's status means, what comes next, what to do and whom to ask; with --as-of
    also why it says something else today.
    """
    from ledger.app.client import ANSWER_S, ledger_at
    from ledger.app.commands.operating import print_document
    from ledger.app.commands.screen import answers
    from ledger.app.explain_render import explanation_lines
    from ledger.app.settings import load
    from ledger.v1.item_service_pb2 import ExplainItemRequest, ItemView
    from ledger.v1.item_service_pb2_grpc import ItemServiceStub
    from query.texts import load_languages

    settings = load({"server": server}, config=config).settings
    languages = load_languages(settings.texts)
    request = ExplainItemRequest(
        tracking_number=number,
        language=language,
        view=ItemView.ITEM_VIEW_TIMELINE if events else ItemView.ITEM_VIEW_BASIC,
    )
    if as_of is not None:
        put_as_of(request.as_of_time, as_of)
    with ledger_at(settings.server) as channel:
        found = ItemServiceStub(channel).ExplainItem(request, timeout=ANSWER_S)
    if as_json:
        from google.protobuf.json_format import MessageToDict

        print_document(MessageToDict(found, preserving_proto_field_name=True))
        return DONE
    console = answers()
    for line in explanation_lines(number, found, languages.choose(found.language)):
        console.print(line, soft_wrap=not console.is_terminal)
    return DONE
