"""Completeness as the operator's service answers it: requests read, findings as messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime
from typing import Final

from ledger.app.operator import requests
from ledger.completeness.audit import SILENT_AFTER_S, Audit
from ledger.completeness.findings import GRACE_NS, Finding
from ledger.completeness.paged import PagedReports
from ledger.completeness.sources import SourceKey
from ledger.errors import Refused
from ledger.v1 import operator_service_pb2 as pb

SPOOL_BYTES: Final = 16
"""Bytes of a spool's id."""

SILENT_LEAST_S: Final = 1.0
"""Least seconds of silence that are asked for."""

COUNT_MAX: Final = (1 << 64) - 1
"""What a count says at most: a source may say that it has minted any number."""

NUMBER_BYTES: Final = 8
"""Of a report's number, with which its page tokens begin."""

_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()


async def findings_page(
    audit: Audit, paged: PagedReports, request: pb.ListCompletenessFindingsRequest
) -> pb.ListCompletenessFindingsResponse:
    """Answer with one page. Raises Refused; NotPossibleNow for a page that comes too late; Busy or
    Uncertain where an engine is away.
    """
    most, token = requests.page_size_in(request), requests.open_token(request)
    number, begin = int.from_bytes(token[:NUMBER_BYTES], "big"), token[NUMBER_BYTES:]
    day, after_s = _day_in(request), _silence_in(request)
    grace_ns = _grace_in(request)
    report = paged.get(number) if token else await audit.report(after_s=after_s)
    asked = [
        one
        for one in report.findings
        if (not request.source_id or one.source.source_id == request.source_id)
        and (not request.facility or one.facility == request.facility)
        and (day is None or one.day == day)
    ]
    later = [one for one in asked if one.rank > begin]
    missing = {one for one in asked if one.is_missing(report.now_ns, grace_ns)}
    response = pb.ListCompletenessFindingsResponse(
        findings=(_message(one, one in missing) for one in later[:most]),
        complete=not (missing or report.beyond or report.not_looked_at),
        sums=_sums(asked, missing),
        spool_count=report.sources,
        minted_count=min(report.minted, COUNT_MAX),
        unread_count=report.not_looked_at,
        untracked_count=report.beyond,
        forgotten_count=report.forgotten,
        source_unknown=bool(request.source_id) and not audit.knows(request.source_id),
    )
    response.find_time.FromNanoseconds(report.now_ns)
    if report.looked_through_ns:
        response.look_time.FromNanoseconds(report.looked_through_ns)
    if len(later) > most:
        number = number if token else paged.keep(report)
        place = number.to_bytes(NUMBER_BYTES, "big") + later[most - 1].rank
        response.next_page_token = requests.seal_token(request, place)
    return response


async def settle(audit: Audit, request: pb.SettleSequencesRequest) -> pb.SettleSequencesResponse:
    """Take an operator's word. Raises Refused; NotPossibleNow where it says nothing; Busy or
    Uncertain where an engine is away.
    """
    first, last = request.first_sequence, request.last_sequence
    for field, is_right in (
        ("source_id", bool(request.source_id)),
        ("spool_id", len(request.spool_id) == SPOOL_BYTES),
        ("first_sequence", first > 0),
        ("last_sequence", first <= last),
    ):
        if not is_right:
            raise Refused(f"`{field}` is missing, or is none.", reason="FIELD_INVALID", field=field)
    count = await audit.settle(
        SourceKey(request.source_id, request.spool_id),
        first,
        last,
        by=requests.who(request.by),
        why=requests.reason_given(request.why, needed=True),
    )
    return pb.SettleSequencesResponse(settled_count=count)


def _day_in(request: pb.ListCompletenessFindingsRequest) -> int | None:
    """Read the day, from 1970-01-01; None where none is said."""
    if not request.day:
        return None
    try:
        day = datetime.strptime(request.day, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError as error:
        raise Refused(
            f"`day` is `{request.day}`; it reads like 2026-11-27.",
            reason="FIELD_INVALID",
            field="day",
        ) from error
    return day.toordinal() - _EPOCH_DAY


def _silence_in(request: pb.ListCompletenessFindingsRequest) -> float:
    if not request.HasField("silent_after"):
        return SILENT_AFTER_S
    after_s = request.silent_after.seconds + request.silent_after.nanos / 1e9
    if after_s < SILENT_LEAST_S:
        raise Refused(
            f"`silent_after` is {after_s:g} s; it is at least {SILENT_LEAST_S:g} s.",
            reason="FIELD_INVALID",
            field="silent_after",
        )
    return after_s


def _grace_in(request: pb.ListCompletenessFindingsRequest) -> int:
    if not request.HasField("grace"):
        return GRACE_NS
    grace_ns = request.grace.ToNanoseconds()
    if grace_ns < 0:
        raise Refused("`grace` is negative.", reason="FIELD_INVALID", field="grace")
    return grace_ns


def _sums(findings: Sequence[Finding], missing: AbstractSet[Finding]) -> list[pb.CompletenessSum]:
    counts: Counter[int] = Counter()
    missing_counts: Counter[int] = Counter()
    for one in findings:
        counts[one.where] += one.scans or 1
        missing_counts[one.where] += one.scans if one in missing else 0
    return [
        pb.CompletenessSum(
            state=pb.CompletenessState.ValueType(where),
            count=min(count, COUNT_MAX),
            missing_count=min(missing_counts[where], COUNT_MAX),
        )
        for where, count in sorted(counts.items())
    ]


def _message(one: Finding, is_missing: bool) -> pb.CompletenessFinding:
    message = pb.CompletenessFinding(
        source_id=one.source.source_id,
        spool_id=one.source.spool_id,
        first_sequence=one.first,
        last_sequence=one.last,
        state=pb.CompletenessState.ValueType(one.where),
        missing=is_missing,
        facility=one.facility,
        day=date.fromordinal(_EPOCH_DAY + one.day).isoformat(),
    )
    message.since_time.FromNanoseconds(one.since_ns)
    if one.word is not None:
        message.settled_by, message.settled_why = one.word.by, one.word.why
        message.settle_time.FromNanoseconds(one.word.time_ns)
    return message
