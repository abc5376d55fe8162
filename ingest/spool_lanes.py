"""Which scans of a spool go out next: a lane of live ones, and one of the backlog.

A backlog leaves at least half of the uplink to live scans: while both lanes have scans, the one
that has sent fewer bytes is next. Scans are read from the disk when their turn comes; here are
places.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from ingest.scanner_batch import SCAN_FRAME_BYTES, OutBatch, Part
from ingest.spool_ranges import Ranges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ingest.spool import Spool
    from ingest.spool_frames import Frame

LIVE_NS: Final = 5_000_000_000
"""Age in ns from which a scan that has not been sent belongs to the backlog: a person who waits for
a parcel's trail has turned away by then.
"""

READ_BYTES: Final = 256 << 10
"""What is read from the disk at once, to sort it by sources: some 700 scans of the usual size."""

SKEW_NS: Final = 1_000_000_000
"""How far the clocks of scans in one batch may be apart: they are judged by minutes."""

HELD_RUNS_MAX: Final = 10_000
"""Most runs of places that are remembered for a source that is held back. Beyond it all between the
first and the last is read again when it is let go: what is on its way then is sent once more.
"""

Source: TypeAlias = tuple[str, bytes]
"""A source id and a spool id."""


class Outbound(NamedTuple):
    """A scan as it was spooled."""

    source_id: str
    spool_id: bytes
    sequence: int
    """0 where the source is unnumbered."""

    skew_ns: int
    """How far the source's clock is ahead of this machine's."""

    event: bytes
    was_refused: bool = False
    """Whether its source was told already that it is refused."""


class Run(NamedTuple):
    """Whose the scans from one place on are: the owner of parts of a batch."""

    source_id: str
    spool_id: bytes
    skew_ns: int
    first_place: int
    was_refused: bool

    @property
    def source(self) -> Source:
        """Whose they are."""
        return self.source_id, self.spool_id


class _Lane:
    """Places that wait for their turn, and the batches of those that were read last."""

    def __init__(self) -> None:
        self.places = Ranges()
        self.ready: deque[OutBatch[Run]] = deque()

    @property
    def is_empty(self) -> bool:
        return not self.places and not self.ready


class Lanes:
    """All scans of a spool that are not settled and not on their way."""

    def __init__(
        self,
        spool: Spool,
        read: Callable[[bytes, int], Outbound],
        *,
        now_ns: Callable[[], int],
    ) -> None:
        """`read` makes a scan of what was spooled, and of its place."""
        self._spool = spool
        self._read = read
        self._now_ns = now_ns
        self._live = _Lane()
        self._backlog = _Lane()
        self._held: dict[Source, Ranges] = {}
        self._seen_end = spool.next_place
        self._lead_bytes = 0  # By which live scans are ahead.
        self._backlog.places.add(1, self._seen_end)
        for first, end in self._settled():
            self._backlog.places.remove(first, end)

    @property
    def queued(self) -> int:
        """How many scans wait here, those of sources that are held back not among them."""
        waiting = self._spool.next_place - self._seen_end
        for lane in (self._live, self._backlog):
            waiting += lane.places.count + sum(len(batch.events) for batch in lane.ready)
        return waiting

    def take(self, scans_max: int, bytes_max: int) -> OutBatch[Run] | None:
        """Give the next batch, at most so large; None where there is none."""
        self._live.places.add(self._seen_end, self._spool.next_place)
        self._seen_end = self._spool.next_place
        self._retire()
        while not (self._live.is_empty and self._backlog.is_empty):
            lane = self._next_lane()
            if not lane.ready:
                self._fill(lane, scans_max, bytes_max)
                continue
            batch = lane.ready.popleft()
            if batch.parts[0].owner.source in self._held:
                self.put_back(batch)
                continue
            self._lead_bytes += batch.bytes if lane is self._live else -batch.bytes
            return batch
        return None

    def put_back(self, batch: OutBatch[Run]) -> None:
        """Take a batch back that was given; it has its turn later."""
        for owner, offset, scans in batch.parts:
            first = owner.first_place + offset
            places = self._held.get(batch.parts[0].owner.source, self._backlog.places)
            places.add(first, first + scans)

    def hold(self, source: Source) -> None:
        """Keep the scans of a source back."""
        self._held.setdefault(source, Ranges())

    def release(self, source: Source) -> None:
        """Let the scans of a source have their turn again."""
        for first, end in self._held.pop(source, Ranges()):
            self._backlog.places.add(first, end)

    def _settled(self) -> Iterator[tuple[int, int]]:
        """Give the runs of places that are settled already."""
        place = 1
        for first, end in self._spool.unsettled_between(1, self._seen_end):
            if place < first:
                yield place, first
            place = end
        yield place, self._seen_end

    def _next_lane(self) -> _Lane:
        """Choose a lane that is not empty; both are not."""
        if self._live.is_empty or self._backlog.is_empty:
            self._lead_bytes = 0  # What is not used is not saved up.
            return self._backlog if self._live.is_empty else self._live
        return self._live if self._lead_bytes <= 0 else self._backlog

    def _retire(self) -> None:
        """Make live scans that have grown old a part of the backlog."""
        if self._live.places:
            first = self._live.places.first
            self._move(first, self._spool.place_before(self._now_ns() - LIVE_NS))

    def _move(self, first: int, end: int) -> None:
        for begin, over in list(self._live.places.within(first, end)):
            self._backlog.places.add(begin, over)
        self._live.places.remove(first, end)

    def _fill(self, lane: _Lane, scans_max: int, bytes_max: int) -> None:
        """Read the next scans of a lane, and sort them into batches."""
        first = lane.places.first
        unsettled = next(self._spool.unsettled_between(first, self._seen_end), None)
        if unsettled is None or unsettled[0] > first:
            lane.places.remove(first, unsettled[0] if unsettled else self._seen_end)
            return
        old_ns = self._now_ns() - LIVE_NS
        scans: list[tuple[int, Outbound]] = []
        for frame in self._spool.frames(first, READ_BYTES):
            end = frame.first_place + len(frame.scans)
            if lane is self._live and frame.time_ns < old_ns:
                self._move(frame.first_place, end)
                continue
            scans += self._scans_of(frame, lane.places)
            lane.places.remove(frame.first_place, end)
        lane.ready.extend(batches_of(scans, scans_max, bytes_max))

    def _scans_of(self, frame: Frame, places: Ranges) -> Iterator[tuple[int, Outbound]]:
        """Give the scans of a frame that are to be sent, with their places."""
        frame_end = frame.first_place + len(frame.scans)
        for first, end in places.within(frame.first_place, frame_end):
            for begin, over in self._spool.unsettled_between(first, end):
                for place in range(begin, over):
                    scan = self._read(frame.scans[place - frame.first_place], place)
                    held = self._held.get((scan.source_id, scan.spool_id)) if self._held else None
                    if held is None:
                        yield place, scan
                        continue
                    held.add(place, place + 1)
                    if len(held) > HELD_RUNS_MAX:
                        held.add(held.first, place + 1)


class _Gathering:
    """A batch that grows."""

    def __init__(self, scan: Outbound) -> None:
        self.batch: OutBatch[Run] = OutBatch(scan.sequence)
        self._scan = scan
        self._next_sequence = scan.sequence
        self._size = self.batch.bytes
        self._run: list[bytes] = []  # Of places that follow each other, refused or not.
        self._first_place = 0
        self._was_refused = False

    def fits(self, scan: Outbound, scans_max: int, bytes_max: int) -> bool:
        """Tell whether a scan may be the next one."""
        return (
            scan.sequence == self._next_sequence
            and abs(scan.skew_ns - self._scan.skew_ns) <= SKEW_NS
            and len(self.batch.events) + len(self._run) < scans_max
            and self._size + len(scan.event) + SCAN_FRAME_BYTES <= bytes_max
        )

    def add(self, place: int, scan: Outbound) -> None:
        """Take a scan."""
        follows = place == self._first_place + len(self._run)
        if self._run and not (follows and scan.was_refused is self._was_refused):
            self.close()
        if not self._run:
            self._first_place, self._was_refused = place, scan.was_refused
        self._run.append(scan.event)
        self._size += len(scan.event) + SCAN_FRAME_BYTES
        self._next_sequence += 1 if scan.sequence else 0

    def close(self) -> OutBatch[Run]:
        """Give the batch with all that was taken."""
        first = self._scan
        owner = Run(
            first.source_id, first.spool_id, first.skew_ns, self._first_place, self._was_refused
        )
        self.batch.add(Part(owner, 0, len(self._run)), self._run)
        self._run = []
        return self.batch


def batches_of(
    scans: list[tuple[int, Outbound]], scans_max: int, bytes_max: int
) -> list[OutBatch[Run]]:
    """Sort scans into batches of one source and contiguous sequences each. One scan always fits."""
    growing: dict[Source, _Gathering] = {}
    order: list[_Gathering] = []
    for place, scan in scans:
        source = (scan.source_id, scan.spool_id)
        found = growing.get(source)
        if found is None or not found.fits(scan, scans_max, bytes_max):
            found = growing[source] = _Gathering(scan)
            order.append(found)
        found.add(place, scan)
    return [gathering.close() for gathering in order]
