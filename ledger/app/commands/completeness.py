"""`parcel-ledger completeness`: which scans never arrived, and where others are on their way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import App, Parameter

from ledger.app.commands.operating import By, ended_job, operator_at, print_json, who_asks
from ledger.app.commands.options import AsJson, Config, Server
from ledger.app.exits import DONE, INCOMPLETE, REFUSED, CommandFailed

if TYPE_CHECKING:
    from ledger.v1.operator_service_pb2 import (
        ListCompletenessFindingsRequest,
        ListCompletenessFindingsResponse,
    )
    from ledger.v1.operator_service_pb2_grpc import OperatorServiceStub

TABLE_FINDINGS_MAX: Final = 1_000
"""Most findings in a table: nobody reads more. --json shows all."""

SPOOL_DIGITS: Final = 32
"""Digits of a whole spool id."""

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
    with _told(), operator_at(server, config) as stub:
        if records:
            look = stub.StartCompletenessLook(StartCompletenessLookRequest(), timeout=FINDINGS_S)
            if ended_job(stub, look.job.job_id).state != JobState.JOB_STATE_DONE:
                raise CommandFailed("The records could not be looked through; `jobs list` has why.")
        pages = _pages(stub, request)
        first = next(pages)
        if first.source_unknown:
            raise _unknown(source or "")
        if as_json:
            _print_json(first, pages)
        else:
            _print_table(first)
    return DONE if first.complete else INCOMPLETE


@contextmanager
def _told() -> Iterator[None]:
    """Say of a wrong day that it could not be told: to a monitor 1 would be no answer."""
    try:
        yield
    except CommandFailed as failed:
        if failed.code == REFUSED:
            raise CommandFailed(str(failed)) from None
        raise


def _unknown(source: str) -> CommandFailed:
    return CommandFailed(
        f"Nothing was ever heard of a source `{source}` that numbers its scans, so nothing can be "
        f"said of it. Is the name right?"
    )


def settle(
    source: Annotated[str, Parameter(help="The source.")],
    sequences: Annotated[str, Parameter(help="Which of its scans, such as 41-50, or 7.")],
    /,
    *,
    why: Annotated[str, Parameter(help="Why, which is kept.", show_default=False)],
    spool: Annotated[
        str,
        Parameter(help="The spool, or how it begins, where there are several.", show_default=False),
    ] = "",
    by: By = None,
    as_json: AsJson = False,
    server: Server = None,
    config: Config = None,
) -> int:
    """Settle that nobody waits any more for scans that have no outcome, as of a lost device.

    They are shown as settled from then on, with who settled them and why, and make no alarm. What
    becomes known of one all the same goes before.

    Exit code: 0 settled, 1 refused, such as where nothing is open, 2 could not be done.
    """
    from ledger.app.client import ANSWER_S
    from ledger.app.commands.screen import answers
    from ledger.v1.operator_service_pb2 import SettleSequencesRequest

    first, last = _range_in(sequences)
    with operator_at(server, config) as stub:
        request = SettleSequencesRequest(
            source_id=source,
            spool_id=_spool_of(stub, source, spool),
            first_sequence=first,
            last_sequence=last,
            by=who_asks(by),
            why=why,
        )
        answer = stub.SettleSequences(request, timeout=ANSWER_S)
    if as_json:
        print_json(answer)
    else:
        count = answer.settled_count
        scans = "scan is" if count == 1 else "scans are"
        answers().print(f"{count:,} {scans} settled.", soft_wrap=True)
    return DONE


def _range_in(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    if not (first.isdecimal() and (last or first).isdecimal()):
        raise CommandFailed(f"`{text}` is no range of sequences. It reads 41-50, or 7.")
    return int(first), int(last or first)


def _spool_of(stub: OperatorServiceStub, source: str, begins: str) -> bytes:
    """Find the one spool of a source in which something is found."""
    from ledger.v1.operator_service_pb2 import ListCompletenessFindingsRequest

    if len(begins) == SPOOL_DIGITS:
        try:
            return bytes.fromhex(begins)
        except ValueError:
            raise CommandFailed(f"`{begins}` is no spool: it has 32 hexadecimal digits.") from None
    request = ListCompletenessFindingsRequest(page_size=TABLE_FINDINGS_MAX, source_id=source)
    spools = set()
    for page in _pages(stub, request):
        if page.source_unknown:
            raise _unknown(source)
        spools |= {
            one.spool_id.hex()
            for one in page.findings
            if one.spool_id.hex().startswith(begins.lower()) and one.last_sequence
        }
    if len(spools) != 1:
        found = ", ".join(sorted(spools)[:10]) or "none"
        raise CommandFailed(
            f"Of {source} something is to be settled in {len(spools)} spools: {found}. Name one "
            f"with --spool."
        )
    return bytes.fromhex(spools.pop())


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
    from ledger.app.completeness_render import findings_table, settled_lines, summary_line

    console = answers()
    console.print(summary_line(page), soft_wrap=True)
    if page.findings:
        console.print()
        console.print(findings_table(page))
    for line in settled_lines(page):
        console.print(line, soft_wrap=True, markup=False, highlight=False)
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


app = App(name="completeness", help_format="plaintext")
app.default(completeness)
app.command(settle)
