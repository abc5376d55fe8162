"""Completeness as the operator's service answers it: pages, counts, words, the look as a job."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from ledger.app.operator.completeness import COUNT_MAX, findings_page
from ledger.completeness import paged as paged_module
from ledger.completeness import readers
from ledger.completeness.paged import PAGED_S, PagedReports
from ledger.errors import NotPossibleNow, Refused
from ledger.v1 import operator_service_pb2 as pb
from tests.folders import operator_service
from tests.test_completeness_audit import SOURCE, audit_of, tell
from tests.writing import fill, ledger

if TYPE_CHECKING:
    from ledger.backends.rocksdb_folder import Folder
    from ledger.completeness.audit import Report

__all__ = ["ledger"]  # A fixture, taken by its name.


def no_time() -> float:
    """A clock that stands still."""
    return 0.0


def ranges(page: pb.ListCompletenessFindingsResponse) -> list[tuple[int, int]]:
    """What is in a page."""
    return [(one.first_sequence, one.last_sequence) for one in page.findings if one.last_sequence]


async def test_pages_fit_together_whoever_asks_meanwhile(ledger: Folder) -> None:
    """Each goes on in what its own first page was cut from, though all has come by now."""
    await tell(ledger, *((n, n) for n in range(2, 10, 2)), minted=9)
    audit, paged = audit_of(ledger), PagedReports(monotonic=no_time)
    mine = pb.ListCompletenessFindingsRequest(page_size=2)
    page = await findings_page(audit, paged, mine)
    found = ranges(page)
    await tell(ledger, (1, 5), minted=9)
    other = pb.ListCompletenessFindingsRequest(page_size=1)
    others = await findings_page(audit, paged, other)
    while page.next_page_token:
        mine.page_token = page.next_page_token
        page = await findings_page(audit, paged, mine)
        found += ranges(page)

    assert found == [(n, n) for n in range(1, 10, 2)]
    assert ranges(others) == [(7, 7)]
    other.page_token = others.next_page_token
    assert ranges(await findings_page(audit, paged, other)) == [(9, 9)]


async def test_a_page_that_comes_too_late_is_refused(ledger: Folder) -> None:
    """Else it would be one of another answer; a process that starts anew knows none either."""
    await tell(ledger, (2, 2), minted=3)
    clock = [0.0]
    audit, paged = audit_of(ledger), PagedReports(monotonic=lambda: clock[0])
    request = pb.ListCompletenessFindingsRequest(page_size=1)
    request.page_token = (await findings_page(audit, paged, request)).next_page_token
    clock[0] = PAGED_S
    await findings_page(audit, paged, request)
    clock[0] += 1
    for late in (paged, PagedReports(monotonic=no_time)):
        with pytest.raises(NotPossibleNow) as raised:
            await findings_page(audit, late, request)
        assert raised.value.reason == "PAGE_TOKEN_EXPIRED"


def test_reports_that_are_kept_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """In number and in findings; the newest stays whatever it has."""
    monkeypatch.setattr(paged_module, "REPORTS_MAX", 3)
    monkeypatch.setattr(paged_module, "FINDINGS_MAX", 10)
    paged = PagedReports(monotonic=no_time)
    sizes = [1, 2, 3, 4, 4, 50]
    kept = list[list[int]]()
    for size in sizes:
        report = cast("Report", SimpleNamespace(findings=range(size), now_ns=5))
        assert paged.get(paged.keep(report)) is report
        kept.append([len(one.findings) for _, one in paged._kept.values()])

    assert kept == [[1], [1, 2], [1, 2, 3], [2, 3, 4], [4, 4], [50]]


async def test_counts_end_where_the_wire_ends(ledger: Folder) -> None:
    """A source may say that it has minted any number, and two of them more than a count can."""
    service = operator_service(ledger)
    for source in ("gate-1", "gate-2"):
        await tell(ledger, minted=COUNT_MAX, source=source)
    page = await service.ListCompletenessFindings(pb.ListCompletenessFindingsRequest(), None)

    assert page.minted_count == COUNT_MAX
    assert [one.last_sequence for one in page.findings if one.last_sequence] == [COUNT_MAX] * 2
    [one] = [one for one in page.sums if one.state == pb.COMPLETENESS_STATE_UNCONFIRMED]
    assert (one.count, one.missing_count) == (COUNT_MAX, COUNT_MAX)


async def test_a_look_can_be_cancelled(ledger: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has read stays read: the next job goes on from there, and says so."""
    monkeypatch.setattr(readers, "READ_RECORDS", 1)
    await fill(ledger, range(300))
    service = operator_service(ledger)
    running = asyncio.create_task(service.run())
    for _ in range(3):  # Until jobs are taken.
        await asyncio.sleep(0)
    request = pb.StartCompletenessLookRequest()
    job = (await service.StartCompletenessLook(request, None)).job
    while not (await service.GetJob(pb.GetJobRequest(job_id=job.job_id), None)).job.done:  # noqa: ASYNC110
        await asyncio.sleep(0)
    cancelled = await service.CancelJob(pb.CancelJobRequest(job_id=job.job_id), None)
    job = (await service.StartCompletenessLook(request, None)).job
    watched = service.WatchJob(pb.WatchJobRequest(job_id=job.job_id), None)
    ended = [update.job async for update in watched][-1]
    running.cancel()
    await asyncio.wait([running])

    assert cancelled.job.state == pb.JOB_STATE_CANCELLED
    assert 0 < cancelled.job.done < 300
    assert ended.state == pb.JOB_STATE_DONE
    assert ended.total <= 300 - cancelled.job.done


async def test_an_operator_settles_what_nobody_waits_for(ledger: Folder) -> None:
    """The answer counts, and findings show who, why and when; it makes the ledger complete."""
    await tell(ledger, (1, 4), minted=6)
    service = operator_service(ledger)
    request = pb.SettleSequencesRequest(
        source_id=SOURCE.source_id,
        spool_id=SOURCE.spool_id,
        first_sequence=1,
        last_sequence=6,
        by="ada",
        why="run over",
    )
    answer = await service.SettleSequences(request, None)
    page = await service.ListCompletenessFindings(pb.ListCompletenessFindingsRequest(), None)

    assert answer.settled_count == 2
    [one] = [one for one in page.findings if one.state == pb.COMPLETENESS_STATE_SETTLED]
    assert (one.first_sequence, one.last_sequence, one.missing) == (5, 6, False)
    assert (one.settled_by, one.settled_why) == ("ada", "run over")
    assert one.settle_time.seconds
    [total] = [one for one in page.sums if one.state == pb.COMPLETENESS_STATE_SETTLED]
    assert (total.count, total.missing_count) == (2, 0)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"source_id": ""}, "source_id"),
        ({"spool_id": b"short"}, "spool_id"),
        ({"first_sequence": 0}, "first_sequence"),
        ({"last_sequence": 4}, "last_sequence"),
        ({"by": " "}, "by"),
        ({"why": ""}, "why"),
        ({"why": "x" * 513}, "why"),
    ],
)
async def test_a_wrong_word_is_refused(ledger: Folder, changes: dict[str, Any], field: str) -> None:
    """With the field named; nothing is kept."""
    await tell(ledger, (1, 4), minted=6)
    words: dict[str, Any] = {
        "source_id": SOURCE.source_id,
        "spool_id": SOURCE.spool_id,
        "first_sequence": 5,
        "last_sequence": 6,
        "by": "ada",
        "why": "run over",
    }
    request = pb.SettleSequencesRequest(**(words | changes))
    with pytest.raises(Refused) as raised:
        await operator_service(ledger).SettleSequences(request, None)
    assert raised.value.field == field
