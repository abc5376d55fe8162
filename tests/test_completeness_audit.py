"""The audit over real logs: what it reads, and what it says of that."""

import time
from collections.abc import Callable

import pytest

from ledger.backends.rocksdb_folder import Folder
from ledger.completeness import readers
from ledger.completeness.audit import Audit, Report
from ledger.completeness.findings import Where
from ledger.completeness.sources import SourceKey
from ledger.errors import Diverged
from ledger.quarantine.desk import Desk
from ledger.scan_log import ScanLog
from ledger.v1.ingest_service_pb2 import SequenceRange
from ledger.v1.receipt_pb2 import RECEIPT_KIND_BATCH, RECEIPT_KIND_WORD, Receipt, ReceiptGroup
from ledger.v1.refused_scan_pb2 import RefusedScan
from tests.faults.known import SCAN_TIME_NS
from tests.quarantined import bad_event, put
from tests.writing import caught_up, fill, ledger, running

__all__ = ["ledger"]  # A fixture, taken by its name.

SOURCE = SourceKey("faults", bytes(16))
"""Whose records `fill` makes: the record of number n has sequence n + 1."""

LATER_NS = SCAN_TIME_NS + 3_600 * 1_000_000_000


def audit_of(
    ledger: Folder,
    *,
    now_ns: Callable[[], int] = lambda: LATER_NS,
    receipts: ScanLog | None = None,
) -> Audit:
    """An audit an hour after the scans."""
    desk = Desk(ledger.log, ledger.quarantine, ledger.store, now_ns=time.time_ns)
    return Audit(
        ledger.log,
        receipts or ledger.receipts,
        ledger.refusals,
        desk,
        ledger.store,
        now_ns=now_ns,
        monotonic=time.monotonic,
    )


async def tell(
    ledger: Folder,
    *durable: tuple[int, int],
    minted: int,
    acked: int = 0,
    source: str = SOURCE.source_id,
) -> None:
    """Write a receipt of the source."""
    receipt = Receipt(
        kind=RECEIPT_KIND_BATCH if durable else RECEIPT_KIND_WORD,
        source_id=source,
        spool_id=SOURCE.spool_id,
        minted_through=minted,
        acked_through=acked,
        durable=[SequenceRange(first=first, last=last) for first, last in durable],
        time_ns=SCAN_TIME_NS,
    )
    value = ReceiptGroup(receipts=[receipt]).SerializeToString()
    await ledger.receipts.append(1, [b"faults"], [value])


def places(report: Report) -> list[tuple[int, int, Where]]:
    """Where the sequences are, without who is silent."""
    found = [(one.first, one.last, one.where) for one in report.findings]
    return [one for one in found if one[2] is not Where.SILENT]


async def test_a_lost_receipt_is_healed_by_the_records(ledger: Folder) -> None:
    """Until the records are looked through their sequences are unconfirmed; then only those are
    left that no record has. Looking again reads nothing twice.
    """
    await fill(ledger, range(100))
    async with running(ledger.log, ledger.quarantine, ledger.store):
        await caught_up(ledger)
    await tell(ledger, (1, 40), minted=120)
    audit, read = audit_of(ledger), list[int]()

    assert places(await audit.report(after_s=60)) == [(41, 120, Where.UNCONFIRMED)]
    await audit.look_through(lambda done, _: read.append(done))
    assert places(await audit.report(after_s=60)) == [(101, 120, Where.NEVER_ARRIVED)]
    assert read[-1] == 100
    await fill(ledger, range(100, 110))
    await audit.look_through(lambda done, total: read.append(total))
    assert read[-1] == 10
    assert (111, 120, Where.NEVER_ARRIVED) in places(await audit.report(after_s=60))


async def test_what_no_trail_shows_is_told_with_its_age(ledger: Folder) -> None:
    """Records behind the writer's marks; they are recorded, so no receipt is missed."""
    await fill(ledger, range(30))
    async with running(ledger.log, ledger.quarantine, ledger.store):
        await caught_up(ledger)
    await fill(ledger, range(30, 50))
    await tell(ledger, (1, 30), minted=50)
    report = await audit_of(ledger).report(after_s=60)

    assert places(report) == [(31, 50, Where.NOT_YET_READABLE)]
    [one] = [one for one in report.findings if one.where is Where.NOT_YET_READABLE]
    assert one.since_ns == SCAN_TIME_NS + 30
    assert one.is_missing(report.now_ns)


async def test_too_much_behind_the_trails_is_a_number(
    ledger: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One answer looks at so many records, and says how many it did not look at."""
    monkeypatch.setattr(readers, "READ_RECORDS", 10)
    monkeypatch.setattr(readers, "UNREAD_MAX", 20)
    await fill(ledger, range(100))
    report = await audit_of(ledger).report(after_s=60)

    looked_at = sum(one.scans for one in report.findings if one.where is Where.NOT_YET_READABLE)
    assert 20 <= looked_at < 100
    assert looked_at + report.not_looked_at == 100


async def test_refused_and_quarantined_are_neither_lost_nor_in_trails(ledger: Folder) -> None:
    """Each is told as what it is; the records that nobody could read confirm what they can."""
    await fill(ledger, range(3))
    position = await put(ledger.log, bad_event(3))
    async with running(ledger.log, ledger.quarantine, ledger.store):
        await caught_up(ledger)
    refused = RefusedScan(
        source_id=SOURCE.source_id,
        spool_id=SOURCE.spool_id,
        sequence=5,
        record_time_ns=SCAN_TIME_NS,
    )
    await ledger.refusals.append(1, [b"faults"], [refused.SerializeToString()])
    await tell(ledger, (1, 3), minted=5)
    audit = audit_of(ledger)

    assert places(await audit.report(after_s=60)) == [
        (4, 4, Where.QUARANTINED),
        (5, 5, Where.REFUSED),
    ]
    desk = Desk(ledger.log, ledger.quarantine, ledger.store, now_ns=time.time_ns)
    await desk.drop(position, by="test", why="a broken label")
    assert (4, 4, Where.DROPPED) in places(await audit.report(after_s=60))


async def test_a_source_is_believed_what_it_was_told(ledger: Folder) -> None:
    """Its word heals what receipts do not say; what it minted and never sent shows."""
    await tell(ledger, minted=100, acked=60)
    audit = audit_of(ledger)

    assert places(await audit.report(after_s=60)) == [(61, 100, Where.UNCONFIRMED)]
    await audit.look_through(lambda _, __: None)
    report = await audit.report(after_s=60)
    assert places(report) == [(61, 100, Where.NEVER_ARRIVED)]
    assert [one.where for one in report.findings if not one.last] == [Where.SILENT]


async def test_a_log_that_was_cut_is_said(ledger: Folder) -> None:
    """What was read and is not there any more is no base for any answer."""
    await tell(ledger, minted=10)
    audit = audit_of(ledger)
    await audit.report(after_s=60)
    audit._receipts._next[1] += 1

    with pytest.raises(Diverged) as raised:
        await audit.report(after_s=60)
    assert raised.value.reason == "LOG_SHORTER_THAN_READ"
