"""Trails for tests: events, rows and marks, as ingest and the writer make them.

A `Shelf` is a writer whose every step the test decides: what arrives, what is readable, what is
settled, and when an entry of the progress history is made.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from ledger.aliases.records import alias_record
from ledger.codec import RecordMaker, containment_suffix, read_record
from ledger.contents import contents_key
from ledger.event import timestamp_ns
from ledger.marks import TRAIL_READER
from ledger.numbers import KEY_FORM, filing_key, partition_of
from ledger.position import SCANS_LOG, Position, pack_position
from ledger.progress import append_entry
from ledger.trail_store import MarkCell, MarkKind
from ledger.v1.position_pb2 import Position as WirePosition
from ledger.v1.progress_pb2 import Mark
from ledger.v1.scan_event_pb2 import ScanEvent, ScanEventType, UtcOffsetSource
from tests.rows import row_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ledger.trail_store import Row, TrailStore
    from ledger.v1.trail_service_pb2 import TrailEntry

NUMBER = "RR123456785CH"
PARTITIONS = 4
START_S = 1_790_000_000
"""Scan time of minute 0, and record time of the first record, in seconds since 1970."""

SECOND = 1_000_000_000


def event_id(name: object) -> bytes:
    """Give the id of the event of that name."""
    return hashlib.sha256(str(name).encode()).digest()[:16]


def scan(name: object, *, minute: float = 0, number: str = NUMBER, **fields: object) -> ScanEvent:
    """Make an event: what has the same name has the same id."""
    event = ScanEvent(
        event_id=event_id(name),
        tracking_number=number,
        type=ScanEventType.SCAN_EVENT_TYPE_SORTED,
        scan_time=at_minute(minute),
        utc_offset_source=UtcOffsetSource.UTC_OFFSET_SOURCE_DEVICE,
    )
    event.MergeFrom(ScanEvent(**fields))  # type: ignore[arg-type] # Whatever the test names.
    return event


def at_minute(minute: float) -> Timestamp:
    """Give the scan time of a minute."""
    return timestamp(START_S * SECOND + int(minute * 60 * SECOND))


def timestamp(time_ns: int) -> Timestamp:
    """Give nanoseconds since 1970 as the wire has them."""
    seconds, nanos = divmod(time_ns, SECOND)
    return Timestamp(seconds=seconds, nanos=nanos)


class Arrival(NamedTuple):
    """An event as it reaches the ledger."""

    event: ScanEvent
    source: str = "scanner-1"
    number: str = ""
    """The number under which it is filed, where that is not the event's own."""
    sealed: bytes = b""
    send_time_ns: int | None = None


class Shelf:
    """A writer for tests, of one generation of the log."""

    def __init__(self, store: TrailStore, *, generation: int = 1) -> None:
        self.store = store
        self.generation = generation
        self.now_ns = START_S * SECOND
        self.next_index: defaultdict[int, int] = defaultdict(int)

    async def put(self, *arrivals: Arrival | ScanEvent, readable: bool = True) -> list[Position]:
        """Keep events in this order, one second apart; and mark them readable."""
        places = [self._place(arrival) for arrival in map(_arrival, arrivals)]
        for begin in range(0, len(places), 5_000):
            put = [row for row, _ in places[begin : begin + 5_000]]
            inside = [
                row._replace(tracking_key=contents_key(container))
                for row in put
                if (container := read_record(row.record).container_key)
            ]
            await self.store.put(put + inside)
        if readable:
            await self.mark()
        return [position for _, position in places]

    async def alias(
        self, one: str, other: str, *, both_ways: bool = True, readable: bool = True
    ) -> list[Position]:
        """Keep what says that two numbers are one item, under the first and then the other."""
        keys = filing_key(one), filing_key(other)
        found = []
        for key, named in (keys, keys[::-1])[: 1 + both_ways]:
            self.now_ns += SECOND
            value = alias_record(
                key, named, form=KEY_FORM, other_form=KEY_FORM, by="me", why="relabelled",
                time_ns=self.now_ns,
            )  # fmt: skip
            found.append(await self.put_record(key, value))
        if readable:
            await self.mark()
        return found

    async def put_record(self, key: bytes, value: bytes) -> Position:
        """Keep any record under a key."""
        partition = partition_of(key, PARTITIONS)
        position = Position(self.generation, partition, self.next_index[partition])
        self.next_index[partition] += 1
        packed = pack_position(position.generation, position.partition, position.index)
        await self.store.put([row_of(read_record(value), value, packed)])
        return position

    async def mark(self, kind: MarkKind = MarkKind.READABLE) -> None:
        """Mark all that was put."""
        cells = [
            MarkCell(
                kind,
                SCANS_LOG,
                self.generation,
                partition,
                next_index,
                Mark(next_index=next_index, last_record_time_ns=self.now_ns).SerializeToString(),
            )
            for partition, next_index in self.next_index.items()
        ]
        await self.store.put_marks(TRAIL_READER, cells)

    async def settle(self) -> int:
        """Mark all as settled, make an entry of the history, and return its time."""
        await self.mark(MarkKind.SETTLED)
        self.now_ns += 61 * SECOND  # After a minute there is an entry also where nothing moved.
        assert await append_entry(self.store, now_ns=lambda: self.now_ns)
        return self.now_ns

    def _place(self, arrival: Arrival) -> tuple[Row, Position]:
        self.now_ns += SECOND
        key = filing_key(arrival.number or arrival.event.tracking_number)
        partition = partition_of(key, PARTITIONS)
        position = Position(self.generation, partition, self.next_index[partition])
        self.next_index[partition] += 1
        return row(arrival, position, record_time_ns=self.now_ns), position


def row(arrival: Arrival, position: Position, *, record_time_ns: int, key: bytes = b"") -> Row:
    """Make the row of an event, as ingest and the writer do; under `key` where one is given."""
    event = arrival.event
    key = key or filing_key(arrival.number or event.tracking_number)
    maker = RecordMaker(
        source_id=arrival.source,
        spool_id=b"",
        key_form=KEY_FORM,
        send_time_ns=record_time_ns if arrival.send_time_ns is None else arrival.send_time_ns,
        record_time_ns=record_time_ns,
        principal="anonymous",
    )
    suffix = b""
    if event.HasField("containment"):
        number = event.containment.container_number
        inside = filing_key(number) if number else b""
        suffix = containment_suffix(inside, KEY_FORM if inside else 0, event.containment.direction)
    value = maker.one(
        event.SerializeToString(), key, timestamp_ns(event.scan_time), event.event_id, 0, suffix
    )
    record = read_record(value)
    if arrival.sealed:
        record.sealed_personal = arrival.sealed
        value = record.SerializeToString()
    packed = pack_position(position.generation, position.partition, position.index)
    return row_of(record, value, packed)


def _arrival(arrival: Arrival | ScanEvent) -> Arrival:
    return arrival if isinstance(arrival, Arrival) else Arrival(arrival)


def positions(entries: Iterable[TrailEntry]) -> list[Position]:
    """Give the positions of entries."""
    return [position_of(entry.position) for entry in entries]


def position_of(wire: WirePosition) -> Position:
    """Read a position."""
    assert wire.log == SCANS_LOG
    return Position(wire.generation, wire.partition, wire.index)


def wire_position(position: Position) -> WirePosition:
    """Write a position."""
    return WirePosition(
        log=SCANS_LOG,
        generation=position.generation,
        partition=position.partition,
        index=position.index,
    )


def names(entries: Iterable[TrailEntry], known: Sequence[object]) -> list[object]:
    """Give the names of events by their ids."""
    by_id = {event_id(name): name for name in known}
    return [by_id[entry.event.event_id] for entry in entries]
