"""Bugs to plant: each is a mistake that somebody could make, and that the simulation must find.

A bug replaces one function of the real code, or one habit of an engine.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

import ledger.quarantine.sorting
import ledger.writer
from ingest.receipts import Receipts
from ingest.refusals import Kept, Refusals
from ingest.results import result_of
from ingest.scanner_session import Session
from ingest.spool import Spool
from ledger.codec import Fault, RecordMaker, rows_of
from ledger.errors import Busy, Uncertain
from ledger.event import split_order
from ledger.insist import insist
from ledger.marks import TRAIL_READER, marks_of
from ledger.position import INDEX_MAX
from ledger.quarantine.keeper import Keeper
from ledger.quarantine.records import Unfit
from ledger.settling import Settling
from ledger.trail_store import MarkKind
from ledger.v1.ingest_service_pb2 import (
    DURABILITY_REPLICATED,
    DURABILITY_SYNCED,
    BatchResult,
    IndexRange,
)
from ledger.v1.quarantine_pb2 import QUARANTINE_REASON_STORE_REFUSED
from ledger.writer import Writer
from query.listing import Question
from query.tokens import Bookmark, read_page_token
from query.trail import by_position
from tests.simulation.sim_log import LogCluster
from tests.simulation.sim_store import StoreCluster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# ruff: noqa: ANN401 - what a bug passes on it need not know.

SPOOL_KEEPS: Final = 30
"""Scans beyond which the spool with a bug makes room: more than a short outage leaves."""


def _marks_before_rows() -> Any:
    keep = Writer._keep

    async def marks_first(self: Writer, step: Any, before: Any) -> None:
        await insist(lambda: self._store.put_marks(TRAIL_READER, step.marks))
        await keep(self, step, before)

    return patch.object(Writer, "_keep", marks_first)


def _hash_not_checked() -> Any:
    async def bounds_alone(log: Any, cell: Any) -> None:
        await log.bounds(cell.partition)

    return patch.object(ledger.writer, "check_mark", bounds_alone)


def _from_readable() -> Any:
    taken = Writer.taken

    async def behind(self: Writer, partitions: Any) -> Any:
        start = dict(await taken(self, partitions))
        cells = marks_of(await insist(lambda: self._store.marks(TRAIL_READER)), self._log.identity)
        for partition in partitions:
            if cell := cells.get((MarkKind.READABLE, partition)):
                start[partition] = max(start[partition], cell.next_index)
        return start

    return patch.object(Writer, "taken", behind)


def _forgets_before_the_result() -> Any:
    take_back = Session.take_back

    def drops(self: Session) -> Any:
        for batch in list(self._in_flight.values()):
            everything = BatchResult(durable=[IndexRange(last=len(batch.events) - 1)])
            self._outgoing.settle(batch, everything, DURABILITY_SYNCED)
        self._in_flight.clear()
        return take_back(self)

    return patch.object(Session, "take_back", drops)


def _new_event_ids() -> Any:
    message = Session._batch_message

    def minted_again(self: Session, batch: Any, now_s: float, now_ns: int) -> bytes:
        if batch.tries:
            batch.events = [
                event[:2] + bytes([event[2] ^ 0x55]) + event[3:] if len(event) > 18 else event
                for event in batch.events
            ]
        return message(self, batch, now_s, now_ns)

    return patch.object(Session, "_batch_message", minted_again)


def _refused_is_stored() -> Any:
    def all_durable(count: int, refusals: Any, outcomes: Any, **more: Any) -> Any:
        del refusals
        return result_of(count, (), outcomes, **more)

    return patch("ingest.intake.result_of", all_durable)


def _last_write_wins() -> Any:
    keep = StoreCluster.keep

    def overwrites(  # noqa: PLR0917 - as the method has them.
        self: StoreCluster, trail: Any, key: bytes, order: bytes, record: bytes, now: float
    ) -> None:
        for other in [each for each in trail.orders if each[:24] == order[:24] != each]:
            trail.orders.remove(other)
            del trail.rows[other]
        keep(self, trail, key, order, record, now)

    return patch.object(StoreCluster, "keep", overwrites)


class _EqualToAll(int):
    def __ne__(self, _: object) -> bool:
        return False

    __eq__ = int.__eq__
    __hash__ = int.__hash__


def _any_partition() -> Any:
    return patch.object(ledger.quarantine.sorting, "partition_of", lambda *_: _EqualToAll())


def _not_pinned() -> Any:
    def newest(text: str, digest: bytes) -> Bookmark:
        pins, last = read_page_token(text, digest)
        return Bookmark([pin._replace(next_index=INDEX_MAX) for pin in pins], last)

    return patch("query.service.read_page_token", newest)


def _settles_at_once() -> Any:
    add = Settling.add

    def now(self: Settling, marks: Any) -> None:
        add(self, marks)
        self._waiting[-1] = self._waiting[-1]._replace(due=0.0)

    return patch.object(Settling, "add", now)


def _overlooks_deaths() -> Any:
    tick = Settling._tick

    async def blind(self: Settling) -> None:
        self._lives = await insist(self._store.lives)
        await tick(self)

    return patch.object(Settling, "_tick", blind)


def _drops_its_oldest() -> Any:
    append = Spool.append

    async def makes_room(self: Spool, scans: Any) -> int:
        if self.unsettled > SPOOL_KEEPS:
            first = self.settled_through + 1
            self._unsettled -= self._notes.settle(first, first + len(scans))
        return await append(self, scans)

    return patch.object(Spool, "append", makes_room)


@contextmanager
def _shows_copies() -> Iterator[None]:
    # Copies are put together where rows are read, and again where a trail is made of them.
    with (
        patch("query.copies._content", lambda row: row.order),
        patch("query.trail._is_copy", lambda *_: False),
    ):
        yield


def _quarantines_for_the_store() -> Any:
    put = Keeper.put

    async def gives_up(self: Keeper, rows: Any) -> None:
        try:
            await self._store.put(rows)
        except (Busy, Uncertain) as error:
            fault = Fault(QUARANTINE_REASON_STORE_REFUSED, str(error))
            unfit = [Unfit(split_order(row.order).position, row.record, fault) for row in rows]
            await put(self, await self.keep(unfit))

    return patch.object(Keeper, "put", gives_up)


def _receipts_for_all() -> Any:
    note = Receipts.note

    def notes_all(self: Receipts, batch: Any, result: BatchResult) -> None:
        del result
        everything = BatchResult(durable=[IndexRange(last=batch.scans - 1)])
        note(self, batch, everything)

    return patch.object(Receipts, "note", notes_all)


def _does_not_wait_for_refusals() -> Any:
    keep = Refusals.keep

    def at_once(self: Refusals, *what: Any, **more: Any) -> Kept:
        keep(self, *what, **more)
        return Kept(None, None)

    return patch.object(Refusals, "keep", at_once)


def _without_stubs() -> Any:
    async def nothing(*_: Any) -> None: ...

    return patch.object(Keeper, "_append_stub", nothing)


def _without_contents() -> Any:
    def of_items(values: Any, first_position: int, _: Any) -> Any:
        return rows_of(values, first_position, [])

    return patch.object(ledger.quarantine.sorting, "rows_of", of_items)


def _numbers_of_others() -> Any:
    make: Any = RecordMaker.all

    def shifts(self: RecordMaker, *parts: Any) -> Any:
        *before, sequences, suffixes = parts
        return make(self, *before, [each and each + 1 for each in sequences], suffixes)

    return patch.object(RecordMaker, "all", shifts)


def _acknowledges_written(durability: Any) -> Callable[[], Any]:
    return lambda: patch.object(LogCluster, "acknowledges_written", frozenset({durability}))


BUGS: Final[dict[str, Callable[[], Any]]] = {
    "ack before sync": _acknowledges_written(DURABILITY_SYNCED),
    "ack on acks=1": _acknowledges_written(DURABILITY_REPLICATED),
    "mark before rows": _marks_before_rows,
    "mark without hash check": _hash_not_checked,
    "writer starts from readable": _from_readable,
    "client forgets before the result": _forgets_before_the_result,
    "retry with a new event id": _new_event_ids,
    "arrival order": lambda: patch.object(Question, "rank", property(lambda _: by_position)),
    "refused counted as stored": _refused_is_stored,
    "window ignored": lambda: patch.object(Session, "_has_room", lambda *_: True),
    "last write wins": _last_write_wins,
    "wrong partition accepted": _any_partition,
    "page token not pinned": _not_pinned,
    "settled at once": _settles_at_once,
    "a node's death overlooked": _overlooks_deaths,
    "spool drops its oldest": _drops_its_oldest,
    "copies shown": _shows_copies,
    "quarantine when the store is down": _quarantines_for_the_store,
    "a receipt for an unwritten batch": _receipts_for_all,
    "refused before it is kept": _does_not_wait_for_refusals,
    "quarantine without a stub": _without_stubs,
    "a record with another's number": _numbers_of_others,
    "contents without a row": _without_contents,
}


@contextmanager
def planted(bug: str) -> Iterator[None]:
    """Have a bug in the code; none without a name."""
    if not bug:
        yield
        return
    with BUGS[bug]():
        yield
