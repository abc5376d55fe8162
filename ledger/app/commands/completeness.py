"""`parcel-ledger completeness`: which scans never arrived, and where others are on their way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from ledger.app.commands.operating import ended_job, operator_at
from ledger.app.commands.options import AsJson, Config, Server
from ledger.app.exits import DONE, INCOMPLETE, CommandFailed

if TYPE_CHECKING:
    from ledger.v1.operator_service_pb2 import (
        ListCompletenessFindingsRequest,
        ListCompletenessFindingsResponse,
    )
    from ledger.v1.operator_service_pb2_grpc import OperatorServiceStub

TABLE_FINDINGS_MAX: Final = 1_000
"""Most findings in a table: nobody reads more. --json shows all."""

FINDINGS_S: Final = 120.0
"""Longest wait for an answer: the first one after a start reads all receipts."""


def completeness(
    *,
    source: Annotated[
        str | None, Parameter(help="Only scans of this source.", show_default=False)
    ] = None,
    facility: Annotated[
        str | None, Parameter(help="Only scans made at this facility.", show_default=False)
    ] = None,
    day: Annotated[
        str | None,
        Parameter(
            help="Only scans that were first heard of on this day (UTC), such as 2026-11-27.",
            show_default=False,
        ),
    ] = None,
    silent_after_s: Annotated[
        float, Parameter(help="After how many seconds without a word a source is silent.")
    ] = 3_600.0,
    grace_s: Annotated[
        float, Parameter(help="What is younger than so many seconds is on its way, not missing.")
    ] = 60.0,
    records: Annotated[
        bool,
        Parameter(
            negative="",
            help="First look through all records for scans whose receipt may be lost, as a job.",
        ),
    ] = False,
    as_json: AsJson = False,
    server: Server = None,
    config: Config = None,
) -> int:
    """Tell which scans never arrived, and where those are that no trail shows.

    Sources number their scans and say how far they have come, so a gap shows. A scan that is
    nowhere is unconfirmed, never lost: its source may still send it.

    Exit code: 0 nothing is missing, 2 it could not be told, 4 something is missing.
    """
    from ledger.v1.operator_service_pb2 import (
        JobState,
        ListCompletenessFindingsRequest,
        StartCompletenessLookRequest,
    )

    request = ListCompletenessFindingsRequest(
        page_size=TABLE_FINDINGS_MAX,
        source_id=source or "",
        facility=facility or "",
        day=day or "",
    )
    request.grace.FromNanoseconds(int(grace_s * 1e9))
    request.silent_after.FromNanoseconds(int(silent_after_s * 1e9))
    with operator_at(server, config) as stub:
        if records:
            look = stub.StartCompletenessLook(StartCompletenessLookRequest(), timeout=FINDINGS_S)
            if ended_job(stub, look.job.job_id).state != JobState.JOB_STATE_DONE:
                raise CommandFailed("The records could not be looked through; `jobs list` has why.")
        pages = _pages(stub, request)
        first = next(pages)
        if as_json:
            _print_json(first, pages)
        else:
            _print_table(first)
    return DONE if first.complete else INCOMPLETE


def _pages(
    stub: OperatorServiceStub, request: ListCompletenessFindingsRequest
) -> Iterator[ListCompletenessFindingsResponse]:
    while True:
        page = stub.ListCompletenessFindings(request, timeout=FINDINGS_S)
        yield page
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def _print_table(page: ListCompletenessFindingsResponse) -> None:
    from ledger.app.commands.screen import answers
    from ledger.app.completeness_render import findings_table, summary_line

    console = answers()
    console.print(summary_line(page), soft_wrap=True)
    if page.findings:
        console.print()
        console.print(findings_table(page))
    if page.next_page_token:
        console.print(f"\nThere are more than {len(page.findings):,}; --json shows all.")


def _print_json(
    first: ListCompletenessFindingsResponse, rest: Iterator[ListCompletenessFindingsResponse]
) -> None:
    """Print one document, page by page as it comes. Its names and types never change; names may be
    added.
    """
    import json
    import sys
    from itertools import chain

    from ledger.app.completeness_render import finding_document, head_document

    write = sys.stdout.write
    write(json.dumps(head_document(first))[:-1] + ', "findings": [')
    between = "\n"
    for page in chain((first,), rest):
        for one in page.findings:
            write(between + json.dumps(finding_document(one)))
            between = ",\n"
    write("\n]}\n")
