"""`parcel-ledger watch NUMBER`: what happened to one item, and then what happens, as it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from ledger.app.commands.options import AsJson, Config, Server
from ledger.app.exits import DONE, CommandFailed

if TYPE_CHECKING:
    from ledger.v1.trail_service_pb2 import WatchTrailRequest
    from ledger.v1.trail_service_pb2_grpc import TrailServiceStub

AGAIN_S: Final = 1.0
"""Seconds before a watch that was cut is taken up again."""


def watch(
    number: Annotated[str, Parameter(help="The item's number, in any writing.")],
    /,
    *,
    as_json: AsJson = False,
    server: Server = None,
    config: Config = None,
) -> int:
    """Show what happened to one item and go on as more comes, until Ctrl-C.

    A server that restarts is waited for; nothing is left out or shown twice.
    """
    from ledger.app.client import ledger_at
    from ledger.app.settings import load
    from ledger.v1.trail_service_pb2 import WatchTrailRequest
    from ledger.v1.trail_service_pb2_grpc import TrailServiceStub

    address = load({"server": server}, config=config).settings.server
    try:
        with ledger_at(address) as channel:
            request = WatchTrailRequest(tracking_number=number)
            _watch(TrailServiceStub(channel), request, address, as_json=as_json)
    except KeyboardInterrupt:
        pass
    return DONE


def _watch(
    stub: TrailServiceStub, request: WatchTrailRequest, address: str, *, as_json: bool
) -> None:
    import json
    import time

    import grpc
    from google.protobuf.json_format import MessageToDict

    from ledger.app.client import exit_code, explain, retry_wait_s
    from ledger.app.commands.screen import answers, remarks
    from ledger.app.place_render import known_of
    from ledger.app.render import printable, watched_line
    from ledger.numbers import keys_of

    console, told = answers(), remarks()
    told.print(
        f"Watching {printable(request.tracking_number)}; Ctrl-C ends.", style="dim", markup=False
    )
    away = cut = False
    while True:
        try:
            for message in stub.WatchTrail(request):
                away = False
                if message.more_keys and not cut:
                    cut = True
                    told.print("The item has more keys than are followed.", style="yellow")
                # Only now: what no item can have, the server refuses in its own words.
                keys = [key.decode() for key in keys_of(request.tracking_number)]
                known = known_of(message.facilities)
                for entry in message.entries:
                    if as_json:
                        line = json.dumps(MessageToDict(entry, preserving_proto_field_name=True))
                        print(line, flush=True)  # noqa: T201 - the answer.
                    else:
                        console.print(watched_line(entry, keys, known), soft_wrap=True)
                request.resume_after = message.cursor
        except grpc.RpcError as error:
            wait_s = retry_wait_s(error)
            if wait_s is None:
                raise CommandFailed(explain(error, address), exit_code(error)) from None
            if not away:
                told.print("The ledger is away; the watch goes on when it is back.", style="yellow")
            away = True
            time.sleep(max(AGAIN_S, wait_s))
        else:
            # The server has ended the stream, as it does before it ends itself.
            time.sleep(AGAIN_S)
