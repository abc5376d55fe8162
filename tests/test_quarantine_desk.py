"""What operators do with the quarantine: nothing said about the past changes, nothing twice."""

from collections.abc import Callable

import pytest

from ledger.backends.rocksdb_folder import Folder
from ledger.codec import read_record
from ledger.errors import LedgerError, NotPossibleNow, Uncertain
from ledger.numbers import partition_of
from ledger.position import pack_position, unpack_position
from ledger.quarantine.desk import Desk
from ledger.quarantine.items import Items, State
from ledger.quarantine.records import packed_position
from ledger.v1.log_record_pb2 import LogRecord
from tests.faults.known import contents, known
from tests.faulty_log import BUSY, UNCERTAIN, FaultyLog
from tests.faulty_store import FaultyStore
from tests.folders import PARTITIONS
from tests.quarantined import KINDS, Bad, astray, bad_event, garbage, items_of, put
from tests.writing import caught_up, ledger, running

__all__ = ["ledger"]  # A fixture, taken by its name.

WHO = {"by": "ann", "why": "because"}


def desk_of(
    ledger: Folder, *, scans: FaultyLog | None = None, quarantine: FaultyLog | None = None
) -> Desk:
    """The desk of a folder, with a clock that stands."""
    return Desk(
        scans or ledger.log, quarantine or ledger.quarantine, ledger.store, now_ns=lambda: 77
    )


async def quarantined(ledger: Folder, *bad: Bad) -> list[int]:
    """Let a writer put these into quarantine; give their positions."""
    positions = [await put(ledger.log, one) for one in bad]
    async with running(ledger.log, ledger.quarantine, ledger.store):
        await caught_up(ledger)
    return positions


async def replays_in(ledger: Folder) -> list[LogRecord]:
    """The records of the log `scans` that replay others."""
    values = (await contents(ledger.log)).values()
    records = [LogRecord.FromString(value) for value in values if value[0] != 0xFF]
    return [record for record in records if record.HasField("replayed_position")]


class TestReplay:
    async def test_it_appends_a_record_that_names_the_old_one(self, ledger: Folder) -> None:
        """All of the record is as it was, in the partition of its key, and the item is settled."""
        bad = astray(3)
        [position] = await quarantined(ledger, bad)

        item = await desk_of(ledger).replay(position, **WHO)

        assert item.state is State.REPLAYED
        assert item.note is not None
        assert (item.note.by, item.note.why, item.note_time_ns) == ("ann", "because", 77)
        assert item.replayed_to is not None
        at = unpack_position(item.replayed_to)
        assert at.partition == partition_of(bad.key, PARTITIONS)
        [value] = await ledger.log.read(at.partition, at.index, 1)
        record = read_record(value)
        assert packed_position(record.replayed_position) == position
        record.ClearField("replayed_position")
        assert record == read_record(bad.value)

    async def test_a_second_one_changes_nothing(self, ledger: Folder) -> None:
        """Neither by the same process nor by another one; the answer is the same."""
        [position] = await quarantined(ledger, astray(3))
        desk = desk_of(ledger)
        first = await desk.replay(position, **WHO)

        for again in (desk, desk_of(ledger)):
            item = await again.replay(position, by="bob", why="")
            assert (item.replayed_to, item.note) == (first.replayed_to, first.note)
        assert len(await replays_in(ledger)) == 1

    @pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not astray])
    async def test_what_is_still_unfit_is_refused(
        self, ledger: Folder, kind: Callable[[int], Bad]
    ) -> None:
        """With the reason; nothing is appended and the item stays open."""
        [position] = await quarantined(ledger, kind(3))
        before = await contents(ledger.log), await contents(ledger.quarantine)

        with pytest.raises(NotPossibleNow) as refused:
            await desk_of(ledger).replay(position, **WHO)

        assert refused.value.reason == "STILL_UNFIT"
        assert (await contents(ledger.log), await contents(ledger.quarantine)) == before
        assert (await items_of(ledger))[position].state is State.OPEN

    @pytest.mark.parametrize("when", ["unwritten", "written"])
    @pytest.mark.parametrize("error", [BUSY, UNCERTAIN], ids=["busy", "uncertain"])
    @pytest.mark.parametrize("which", ["scans", "quarantine"])
    async def test_a_log_that_fails_leaves_at_most_a_copy(
        self, ledger: Folder, which: str, error: LedgerError, when: str
    ) -> None:
        """Whichever append fails, with its effect or without: asking again replays it; once the
        row can be read, nothing is appended a second time.
        """
        [position] = await quarantined(ledger, astray(3))
        faulty = FaultyLog(ledger.log if which == "scans" else ledger.quarantine)
        setattr(faulty, f"fails_{when}", lambda _: error)
        desk = (
            desk_of(ledger, scans=faulty)
            if which == "scans"
            else desk_of(ledger, quarantine=faulty)
        )
        with pytest.raises(type(error)):
            await desk.replay(position, **WHO)
        async with running(ledger.log, ledger.quarantine, ledger.store):
            await caught_up(ledger)

        item = await desk_of(ledger).replay(position, **WHO)

        assert item.state is State.REPLAYED
        assert len(await replays_in(ledger)) == 1

    async def test_two_before_there_is_a_row_are_copies(self, ledger: Folder) -> None:
        """Two processes at once may append two records; they are equal, so readers collapse them,
        and the first note counts.
        """
        [position] = await quarantined(ledger, astray(3))
        lost = FaultyLog(ledger.quarantine)
        lost.fails_unwritten = lambda _: UNCERTAIN
        with pytest.raises(Uncertain):
            await desk_of(ledger, quarantine=lost).replay(position, **WHO)
        await desk_of(ledger).replay(position, **WHO)

        first, second = await replays_in(ledger)
        assert first.SerializeToString() == second.SerializeToString()

    async def test_what_the_store_refuses_again_comes_back(self, ledger: Folder) -> None:
        """The replay is a record of its own: refused once more it is another item, which names the
        first, and the first stays replayed.
        """
        one = known(3, partitions=PARTITIONS)
        store = FaultyStore(ledger.store)
        event = read_record(one.value).event
        store.refuses = lambda row: read_record(row.record).event == event
        await ledger.log.append(one.partition, [one.key], [one.value])
        async with running(ledger.log, ledger.quarantine, store):
            await caught_up(ledger)
            [position] = await items_of(ledger)
            await desk_of(ledger).replay(position, **WHO)
            await caught_up(ledger)
        items = await items_of(ledger)

        assert [item.state for item in items.values()] == [State.REPLAYED, State.OPEN]
        second = list(items.values())[1]
        assert second.position == items[position].replayed_to
        # Replayed once more, it names the second, and nothing of the first one is left in it.
        store.refuses = lambda _: False
        await desk_of(ledger).replay(second.position, **WHO)
        named = {packed_position(r.replayed_position) for r in await replays_in(ledger)}
        assert named == {position, second.position}


class TestDrop:
    async def test_it_is_a_note_and_nothing_is_deleted(self, ledger: Folder) -> None:
        """Who and why are kept, the record is there, and it may be replayed all the same."""
        [position] = await quarantined(ledger, astray(3))
        desk = desk_of(ledger)

        item = await desk.drop(position, **WHO)
        again = await desk.drop(position, by="bob", why="again")
        _, record = await desk.get(position)

        assert item.state is State.DROPPED
        assert again.note is not None
        assert again.note.by == "ann"
        assert record.value == astray(3).value
        assert (await desk.replay(position, **WHO)).state is State.REPLAYED

    async def test_what_is_in_a_trail_again_cannot_be_dropped(self, ledger: Folder) -> None:
        """A replayed record stays replayed."""
        [position] = await quarantined(ledger, astray(3))
        desk = desk_of(ledger)
        await desk.replay(position, **WHO)

        with pytest.raises(NotPossibleNow, match="already"):
            await desk.drop(position, **WHO)
        assert (await items_of(ledger))[position].state is State.REPLAYED


class TestItems:
    async def test_a_second_item_for_a_position_is_the_same(self, ledger: Folder) -> None:
        """After a crash a record may be in the log twice; it is listed once, as it was first."""
        [position] = await quarantined(ledger, bad_event(3))
        again = await ledger.quarantine.bounds(0), await contents(ledger.quarantine)
        for (partition, _), value in again[1].items():
            await ledger.quarantine.append(partition, [b"again"], [value])

        assert list(await items_of(ledger)) == [position]

    async def test_what_another_program_wrote_is_passed_over(self, ledger: Folder) -> None:
        """Garbage in the log `quarantine` itself stops neither the list nor a writer."""
        for value in (b"\xff\xff", b"", b"\x0a\x02\x0a\x00"):
            await ledger.quarantine.append(1, [b"K"], [value])
        [position] = await quarantined(ledger, garbage(3))

        assert list(await items_of(ledger)) == [position]

    async def test_beyond_the_limit_only_settled_items_are_forgotten(
        self, ledger: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Open items stay in the list, whatever their number."""
        positions = await quarantined(ledger, *(bad_event(number) for number in range(6)))
        await desk_of(ledger).drop(positions[2], **WHO)
        monkeypatch.setattr("ledger.quarantine.items.ITEMS_MAX", 2)
        items = Items(ledger.quarantine)
        await items.catch_up()

        found = {item.position for item in items.all()}
        assert found == set(positions) - {positions[2]}
        assert items.open_count == 5

    async def test_no_such_item_is_said(self, ledger: Folder) -> None:
        """A position that is not in quarantine is named, with where to look."""
        with pytest.raises(NotPossibleNow, match="scans-g1/2/9"):
            await desk_of(ledger).get(pack_position(1, 2, 9))
