"""`parcel-ledger progress`: how far trails follow the log, by partition."""

from __future__ import annotations

from ledger.app.commands.options import AsJson, Config, Server
from ledger.app.exits import DONE


def progress(*, server: Server = None, config: Config = None, as_json: AsJson = False) -> int:
    """Show how far each partition is: readable in trails, and settled for good."""
    import json

    from google.protobuf.json_format import MessageToDict

    from ledger.app.client import ANSWER_S, ledger_at
    from ledger.app.commands.screen import answers
    from ledger.app.render import progress_table, utc_time
    from ledger.app.settings import load
    from ledger.v1.progress_service_pb2 import GetProgressRequest
    from ledger.v1.progress_service_pb2_grpc import ProgressServiceStub

    address = load({"server": server}, config=config).settings.server
    with ledger_at(address) as channel:
        answer = ProgressServiceStub(channel).GetProgress(GetProgressRequest(), timeout=ANSWER_S)
    if as_json:
        document = MessageToDict(
            answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        print(json.dumps(document))  # noqa: T201 - the answer.
        return DONE
    console = answers()
    if answer.partitions:
        console.print(progress_table(answer.partitions))
    else:
        console.print("Nothing has been recorded so far.")
    if answer.HasField("history_time"):
        console.print(
            f"\n`trail --as-of` answers up to {utc_time(answer.history_time)}", style="dim"
        )
    return DONE
