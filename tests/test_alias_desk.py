"""Saying that two numbers are one item: both records or a repeat that completes them, once and for
all rules; and the store that is made again knows it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from ledger.aliases.desk import HEAD_BYTES_MAX, HEAD_ROWS_MAX, AliasDesk
from ledger.aliases.records import ALIASES_END, KEYS_MAX, other_keys
from ledger.codec import fault_of, read_record
from ledger.errors import Busy, LedgerError, NotPossibleNow, Refused, Uncertain
from ledger.numbers import KEY_FORMS, filing_key, keys_of, partition_of
from ledger.v1.log_record_pb2 import Alias, LogRecord
from ledger.v1.scan_event_pb2 import ScanEvent
from tests.faults.known import contents
from tests.faulty_log import BUSY, UNCERTAIN, FaultyLog
from tests.folders import PARTITIONS
from tests.rebuilds import carried, rebuilt, rows_served
from tests.upkeep import compared
from tests.writing import caught_up, fill, ledger, running

if TYPE_CHECKING:
    from ledger.aliases.desk import Said
    from ledger.backends.rocksdb_folder import Folder
    from ledger.scan_log import ScanLog

__all__ = ["ledger"]  # A fixture, taken by its name.

ONE, TWO = "RR473124829GB", "1Z5R89390357567127"
A, B = ONE.encode(), TWO.encode()


async def say(ledger: Folder, one: str, other: str, *, log: ScanLog | None = None) -> Said:
    """Say that two numbers are one item."""
    desk = AliasDesk(log or ledger.log, ledger.store, now_ns=time.time_ns)
    return await desk.join(keys_of(one), keys_of(other), by="ann", why="relabelled")


async def keep(ledger: Folder) -> None:
    """Let a writer keep what is in the log."""
    async with running(ledger.log, ledger.quarantine, ledger.store):
        await caught_up(ledger)


async def named(ledger: Folder, number: str) -> list[bytes]:
    """The keys that the rows of a number name, in their order."""
    rows = await ledger.store.read(filing_key(number), max_rows=10_000, max_bytes=1 << 30)
    return list(other_keys(rows.rows))


class TestBothRecords:
    async def test_each_key_has_a_record_that_names_the_other(self, ledger: Folder) -> None:
        """In the partition of its key, with who said it and why; before all that was scanned."""
        said = await say(ledger, ONE, TWO)
        await keep(ledger)

        assert sorted(said.keys) == sorted([A, B])
        assert [at.partition for at in said.positions] == [
            partition_of(key, PARTITIONS) for key in (A, B)
        ]
        values = await contents(ledger.log)
        for (key, other), at in zip(((A, B), (B, A)), said.positions, strict=True):
            record = read_record(values[at.partition, at.index])
            assert record.tracking_key == key
            assert record.alias == Alias(
                other_key=other, other_key_form=1, by="ann", reason="relabelled"
            )
            [row] = (await ledger.store.read(key, max_rows=9, max_bytes=1 << 20)).rows
            assert row.order < ALIASES_END
            assert row.record == values[at.partition, at.index]

    async def test_said_again_nothing_is_appended(self, ledger: Folder) -> None:
        """From either side, once a writer has kept it."""
        await say(ledger, ONE, TWO)
        await keep(ledger)
        again = [await say(ledger, ONE, TWO), await say(ledger, TWO.lower(), ONE)]

        assert [len(said.positions) for said in again] == [0, 0]
        assert [sorted(said.keys) for said in again] == [sorted([A, B])] * 2
        assert len(await contents(ledger.log)) == 2

    async def test_what_cannot_be_said_changes_nothing(self, ledger: Folder) -> None:
        """The same key in another writing; and one key more than answers follow."""
        with pytest.raises(Refused) as same:
            await say(ledger, ONE, "rr 4731-2482 9gb")
        for number in range(1, KEYS_MAX):
            await say(ledger, "ITEM0", f"ITEM{number}")
            await keep(ledger)
        before = await contents(ledger.log)
        with pytest.raises(NotPossibleNow) as many:
            await say(ledger, "ITEM9", ONE)
        more = await say(ledger, "ITEM9", "ITEM3")

        assert (same.value.reason, many.value.reason) == ("SAME_KEY", "TOO_MANY_KEYS")
        assert len(more.positions) == 2, "two keys of one item may be named once more"
        assert len(await contents(ledger.log)) == len(before) + 2


@pytest.mark.parametrize("size", [1, 4_000])
async def test_what_could_not_be_found_is_not_said(ledger: Folder, size: int) -> None:
    """Where too much stands before the events of a key, of a device whose clock and ids are never
    set: by rows, or by bytes. What was said before that is found still.
    """
    await say(ledger, ONE, "ITEM1")
    await keep(ledger)
    count = HEAD_ROWS_MAX if size == 1 else HEAD_BYTES_MAX // size
    partition = partition_of(A, PARTITIONS)
    for begin in range(0, count, 100):
        values = [
            LogRecord(
                event=ScanEvent(source_text=f"{number}".ljust(size)).SerializeToString(),
                tracking_key=A,
                key_form=1,
                event_id=bytes(16),
            ).SerializeToString()
            for number in range(begin, min(begin + 100, count))
        ]
        await ledger.log.append(partition, [A] * len(values), values)
    await keep(ledger)
    with pytest.raises(NotPossibleNow) as full:
        await say(ledger, TWO, ONE)

    assert (full.value.reason, await named(ledger, TWO)) == ("TOO_MUCH_BEFORE_EVENTS", [])
    assert await named(ledger, ONE) == [b"ITEM1"]


FAULTS: list[tuple[int, bool, LedgerError, type[LedgerError], int]] = [
    (0, False, BUSY, Busy, 0),
    (0, False, UNCERTAIN, Uncertain, 0),
    (0, True, UNCERTAIN, Uncertain, 1),
    (1, False, BUSY, Uncertain, 1),
    (1, False, UNCERTAIN, Uncertain, 1),
    (1, True, UNCERTAIN, Uncertain, 2),
]
"""At which append, whether after it was written, the log's error, the caller's, records there."""


@pytest.mark.parametrize("kept_between", [False, True])
@pytest.mark.parametrize(("at", "written", "error", "told", "there"), FAULTS)
async def test_a_part_is_completed_by_the_same_again(
    ledger: Folder,
    *,
    at: int,
    written: bool,
    error: LedgerError,
    told: type[LedgerError],
    there: int,
    kept_between: bool,
) -> None:
    """Busy is said only where nothing happened. The repeat appends what is missing; what a writer
    had not kept by then it says again, and that changes nothing.
    """
    log = FaultyLog(ledger.log)

    def fails(_: int) -> LedgerError | None:
        return error if len(log.appends) == at + 1 else None

    if written:
        log.fails_written = fails
    else:
        log.fails_unwritten = fails
    with pytest.raises(told) as raised:
        await say(ledger, ONE, TWO, log=log)
    assert isinstance(raised.value, Uncertain) or not await contents(ledger.log)
    assert len(await contents(ledger.log)) == there
    if kept_between:
        await keep(ledger)

    await say(ledger, ONE, TWO)
    await keep(ledger)

    assert (set(await named(ledger, ONE)), set(await named(ledger, TWO))) == ({B}, {A})
    assert len(await contents(ledger.log)) == (2 if kept_between else there + 2)


async def test_every_key_that_a_number_ever_had_is_joined(
    ledger: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest key of the first number names all others, and they name it: so the old key of the
    one is found from the old key of the other in two steps.
    """
    monkeypatch.setitem(KEY_FORMS, 2, lambda number: filing_key(number) + b"/2")
    said = await say(ledger, ONE, TWO)
    await keep(ledger)
    hub = A + b"/2"

    assert sorted(said.keys) == sorted([A, B, hub, B + b"/2"])
    assert set(await named(ledger, hub.decode())) == {A, B, B + b"/2"}
    for key in (A, B, B + b"/2"):
        assert await named(ledger, key.decode()) == [hub]
    record = read_record((await ledger.store.read(A, max_rows=1, max_bytes=1)).rows[0].record)
    assert (record.key_form, record.alias.other_key_form) == (1, 2)


async def test_the_store_that_is_made_again_has_the_aliases(ledger: Folder) -> None:
    """They are rows of records of the log as all others are: compared, and made again."""
    await fill(ledger, range(20))
    await say(ledger, ONE, TWO)
    await fill(ledger, range(20, 30))
    await carried(ledger)
    before = await rows_served(ledger)

    built = await rebuilt(ledger)

    # The alias under both its keys, 30 scans, and 6 of them once more in their containers.
    assert (built.generation, len(before)) == (2, 38)
    assert await rows_served(ledger) == before
    assert (await named(ledger, ONE), await named(ledger, TWO)) == ([B], [A])
    assert (await compared(ledger)).is_same
    assert not (await say(ledger, TWO, ONE)).positions


@pytest.mark.parametrize("other", [b"", b"x" * 129, b"a\0b", b"\xff"])
async def test_an_alias_of_no_key_goes_into_quarantine(ledger: Folder, other: bytes) -> None:
    """Nobody could look it up; the trail goes on without it, and the partition is not held up."""
    good = LogRecord(alias=Alias(other_key=B), tracking_key=A, key_form=1, event_id=bytes(16))
    bad = LogRecord.FromString(good.SerializeToString())
    bad.alias.other_key = other
    partition = partition_of(A, PARTITIONS)
    values = [bad.SerializeToString(), good.SerializeToString()]
    await ledger.log.append(partition, [A, A], values)
    await keep(ledger)

    fault = fault_of(values[0])
    assert fault is not None
    assert "other key" in fault.message
    assert fault_of(values[1]) is None
    assert await named(ledger, ONE) == [B]
