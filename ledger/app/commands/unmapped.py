"""`parcel-ledger unmapped`: codes of sources that no mapping explains, with counts and examples."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ledger.app.commands.operating import operator_at, print_json
from ledger.app.commands.options import AsJson, Config, Server
from ledger.app.exits import DONE


def unmapped(
    *,
    records: Annotated[
        int, Parameter(help="How many of the newest records are looked through, to 1,000,000.")
    ] = 100_000,
    as_json: AsJson = False,
    server: Server = None,
    config: Config = None,
) -> int:
    """List codes that no mapping explains, the most frequent first.

    It asks `up`, or a writer with `operator_listen`, on this machine, and goes by the mappings of
    that process.
    """
    from ledger.app.client import ANSWER_S
    from ledger.app.commands.screen import answers
    from ledger.app.operator_render import unmapped_table, unmapped_words
    from ledger.errors import Refused
    from ledger.v1.operator_service_pb2 import ListUnmappedRequest

    if not 1 <= records < 1 << 32:
        raise Refused(
            f"`--records` is {records}; it is 1 or more.", reason="FIELD_INVALID", field="records"
        )
    with operator_at(server, config) as stub:
        answer = stub.ListUnmapped(ListUnmappedRequest(records_max=records), timeout=ANSWER_S)
    if as_json:
        print_json(answer)
        return DONE
    if answer.codes:
        answers().print(unmapped_table(answer.codes))
    answers().print(unmapped_words(answer), soft_wrap=True)
    return DONE
