"""When the audit looks through the scans, and what it finds of receipts and records there."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from ledger.backends.rocksdb_folder import Folder
from ledger.completeness import audit as audit_module
from ledger.completeness import readers
from ledger.completeness.findings import Where
from ledger.scan_log import Bounds, ScanLog
from tests.faulty_log import FaultyLog
from tests.quarantined import bad_event, put
from tests.test_completeness_audit import LATER_NS, audit_of, places, tell
from tests.writing import caught_up, fill, ledger, running

__all__ = ["ledger"]  # A fixture, taken by its name.


async def test_it_looks_through_the_records_by_itself(
    ledger: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where something is open for long: a lost receipt is healed though nobody asks."""
    monkeypatch.setattr(audit_module, "EVERY_S", 0.02)
    await fill(ledger, range(50))
    async with running(ledger.log, ledger.quarantine, ledger.store):
        await caught_up(ledger)
    await tell(ledger, minted=50)
    audit = audit_of(ledger)
    task = asyncio.create_task(audit.run())
    async with asyncio.timeout(10):
        while places(await audit.report(after_s=60)):  # noqa: ASYNC110 - as it says.
            await asyncio.sleep(0.02)
    task.cancel()


async def test_where_all_is_told_no_scan_is_read(
    ledger: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The records are only looked through where something is open, or a day is over: then receipts
    are compared with them.
    """
    monkeypatch.setattr(audit_module, "EVERY_S", 0.01)
    await fill(ledger, range(50))
    async with running(ledger.log, ledger.quarantine, ledger.store):
        await caught_up(ledger)
    await tell(ledger, (1, 50), minted=50)
    clock = [LATER_NS]
    audit = audit_of(ledger, now_ns=lambda: clock[0])
    task = asyncio.create_task(audit.run())
    await asyncio.sleep(0.2)
    clock[0] += audit_module.LOOK_ANYWAY_NS
    await asyncio.sleep(0.1)
    assert audit._look.began_ns == 0

    await tell(ledger, (51, 52), minted=52)
    clock[0] += 1
    async with asyncio.timeout(10):
        while not places(await audit.report(after_s=60)):  # noqa: ASYNC110 - nothing tells.
            await asyncio.sleep(0.01)
    assert places(await audit.report(after_s=60)) == [(51, 52, Where.WITHOUT_RECORD)]
    task.cancel()


async def test_what_stays_unconfirmed_is_looked_for_every_ten_minutes(
    ledger: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not again and again: here more gaps are known than there is room for."""
    monkeypatch.setattr(audit_module, "EVERY_S", 0.01)
    monkeypatch.setattr("ledger.completeness.sources.RANGES_MAX", 1)
    await tell(ledger, (2, 2), (4, 4), minted=5)
    clock = [LATER_NS]
    audit = audit_of(ledger, now_ns=lambda: clock[0])
    task = asyncio.create_task(audit.run())
    async with asyncio.timeout(10):
        while not audit._look.began_ns:  # noqa: ASYNC110 - nothing tells.
            await asyncio.sleep(0.01)
        clock[0] += audit_module.LOOK_AGAIN_NS
        await asyncio.sleep(0.2)
        assert audit._look.began_ns == LATER_NS
        clock[0] += 1
        while audit._look.began_ns == LATER_NS:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    task.cancel()

    report = await audit.report(after_s=60)
    assert (1, 3, Where.UNCONFIRMED) in places(report)
    assert report.forgotten == 1


async def test_a_receipt_without_a_record_shows(ledger: Folder) -> None:
    """A look compares what receipts say with what is there; a record that comes all the same, and
    one that nobody can read but that is in quarantine, are there.
    """
    await fill(ledger, range(5))
    await put(ledger.log, bad_event(7))
    async with running(ledger.log, ledger.quarantine, ledger.store):
        await caught_up(ledger)
    await tell(ledger, (1, 8), minted=8)
    audit = audit_of(ledger)

    fresh = audit_of(ledger)
    await fresh.look_through(lambda _, __: None)
    assert (6, 7, Where.WITHOUT_RECORD) in places(await fresh.report(after_s=60))
    assert places(await audit.report(after_s=60)) == [(8, 8, Where.QUARANTINED)]
    await audit.look_through(lambda _, __: None)
    report = await audit.report(after_s=60)
    assert places(report) == [(6, 7, Where.WITHOUT_RECORD), (8, 8, Where.QUARANTINED)]
    [one] = [one for one in report.findings if one.where is Where.WITHOUT_RECORD]
    assert one.is_missing(report.now_ns)

    await fill(ledger, range(5, 7))
    async with running(ledger.log, ledger.quarantine, ledger.store):
        await caught_up(ledger)
    await audit.look_through(lambda _, __: None)
    assert places(await audit.report(after_s=60)) == [(8, 8, Where.QUARANTINED)]


async def test_what_was_trimmed_is_not_called_without_record(ledger: Folder) -> None:
    """A log that begins behind its first record has forgotten some that were there."""
    await fill(ledger, range(5))
    async with running(ledger.log, ledger.quarantine, ledger.store):
        await caught_up(ledger)
    await tell(ledger, (1, 8), minted=8)
    audit = audit_of(ledger)
    audit._look._records.was_trimmed = True
    await audit.look_through(lambda _, __: None)

    assert places(await audit.report(after_s=60)) == []


class Arriving(FaultyLog):
    """A log before whose end is asked for the first time something else happens."""

    def __init__(self, log: ScanLog, happens: Callable[[], Awaitable[None]]) -> None:
        super().__init__(log)
        self._happens: Callable[[], Awaitable[None]] | None = happens

    async def bounds(self, partition: int) -> Bounds:
        """As the log's."""
        happens, self._happens = self._happens, None
        if happens is not None:
            await happens()
        return await super().bounds(partition)


async def test_what_comes_while_it_looks_is_not_called_without_record(ledger: Folder) -> None:
    """A batch that is recorded behind the place of the look, and whose receipt it knows: records
    are read to their end once more before both are compared.
    """
    await fill(ledger, range(100))

    async def arrives() -> None:
        await fill(ledger, range(100, 110))
        await tell(ledger, (1, 112), minted=112)

    audit = audit_of(ledger, receipts=Arriving(ledger.receipts, arrives))
    await audit.look_through(lambda _, __: None)
    async with running(ledger.log, ledger.quarantine, ledger.store):
        await caught_up(ledger)
    findings = (await audit.report(after_s=60)).findings

    assert [(one.first, one.last) for one in findings if one.where is Where.WITHOUT_RECORD] == [
        (111, 112)
    ]


async def test_a_look_that_was_cancelled_goes_on(
    ledger: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From where it was; until one has ended nothing is said to have never arrived."""
    monkeypatch.setattr(readers, "READ_RECORDS", 10)
    await fill(ledger, range(200))
    await tell(ledger, minted=210)
    audit, read = audit_of(ledger), list[int]()
    looking = asyncio.create_task(audit.look_through(lambda done, _: read.append(done)))
    while not read:  # noqa: ASYNC110
        await asyncio.sleep(0)
    looking.cancel()
    await asyncio.wait([looking])

    assert looking.cancelled()
    assert read[-1] < 200
    assert (201, 210, Where.UNCONFIRMED) in places(await audit.report(after_s=60))
    before = read[-1]
    await audit.look_through(lambda done, _: read.append(done))
    assert before + read[-1] <= 200 + 10  # A piece may be read and not told.
    assert (201, 210, Where.NEVER_ARRIVED) in places(await audit.report(after_s=60))
