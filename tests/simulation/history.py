"""What happened, and the promises as invariants over it.

Some are checked whenever something happens (a mark, a refusal, a window), the others when the world
has healed and everything that was sent must be in the trails.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from ledger.event import PACK_ORDER, split_order
from ledger.numbers import partition_of
from ledger.position import pack_position
from ledger.trail_store import MarkKind
from ledger.v1.progress_pb2 import Mark, ProgressEntry
from tests.simulation.trails import said_by

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ledger.trail_store import MarkCell, ProgressCell, Row
    from ledger.v1.position_pb2 import Position
    from tests.simulation.devices import Scan
    from tests.simulation.loop import SimLoop
    from tests.simulation.sim_log import LogCluster
    from tests.simulation.sim_store import StoreCluster

Identity = tuple[str, bytes]
"""Source id and event id."""


class History:
    """Told of everything; `broken` says which promise did not hold."""

    def __init__(self, loop: SimLoop, log: LogCluster, store: StoreCluster) -> None:
        self.broken: list[str] = []
        self.sent: dict[Identity, dict[bytes, None]] = {}
        """All contents that a scan was sent with; good ones only."""
        self.acknowledged: dict[tuple[Identity, bytes], None] = {}
        self.scan_times: dict[bytes, int] = {}
        """By an event's bytes, in ns."""
        self._promised: dict[tuple[Identity, bytes], None] = {}
        """What a spool has taken."""
        self.scans = 0
        self.to_read_back: list[tuple[Scan, Sequence[Position]]] = []
        """Acknowledged scans with their positions, for whoever reads his own writes."""
        self._loop = loop
        self._log = log
        self._store = store
        self._places: list[list[tuple[Sequence[bytes], bytes]]] = [[] for _ in log.partitions]
        """By partition and index: the keys of the rows that the record is, and their order."""
        self._readable = [0 for _ in log.partitions]
        self._settled = [0 for _ in log.partitions]
        self.unfit: dict[tuple[int, int], None] = {}
        """Records that no trail may show: partition and index."""
        self.on_refused: Callable[[Scan], object] = bool
        """Asked when a device was told that a scan is refused."""
        self.on_placed: Callable[[Scan, bytes, int], object] = lambda *_: None
        """Asked when a device was told what became of what its spool has, and where."""
        self._frozen: list[list[bytes]] | None = None
        store.on_marks = self.marked
        store.on_rows = self.kept
        store.on_entry = self.entered

    def breaks(self, promise: str, what: str) -> None:
        """A promise does not hold: the run ends here."""
        if not self._loop.is_over:
            self.broken.append(f"{promise}: {what} (at {self._loop.time():.3f} s)")
            self._loop.stop()

    # --- what devices see and hear ----------------------------------------------------------------

    def sees(self, scan: Scan) -> None:
        """A device has a scan to send."""
        self.scans += 1
        if not scan.is_bad:
            self.sent.setdefault((scan.source, scan.event_id), {})[scan.event] = None
            self.scan_times[scan.event] = scan.time_ns

    def told(self, scan: Scan) -> None:
        """A device was told what became of a scan."""
        if scan.is_bad and scan.fate != "refused":
            self.breaks("a refused event is not stored", f"{scan.event!r} was taken")
        elif not scan.is_bad and scan.fate != "durable":
            self.breaks("a good scan is taken", f"{scan.event!r} was refused")
        elif scan.is_bad:
            self.on_refused(scan)
        else:
            self.acknowledged[(scan.source, scan.event_id), scan.event] = None

    def spooled(self, scan: Scan) -> None:
        """A device's spool has taken a scan."""
        self._promised[(scan.source, scan.event_id), scan.event] = None

    def positions_told(
        self, scans: Sequence[Scan], refused: set[int], positions: Sequence[Position]
    ) -> None:
        """A device got positions for scans that it handed over together."""
        taken = [scan for index, scan in enumerate(scans) if index not in refused]
        if taken and len(self.to_read_back) < 4:
            self.to_read_back.append((taken[-1], positions))

    # --- what reaches the store -------------------------------------------------------------------

    def kept(self, rows: Sequence[Row]) -> None:
        """Rows were put: each must be a record of the log, byte for byte."""
        for key, order, record, _ in rows:
            position = split_order(order).position
            partition, index = position >> 40 & 0xFFFF, position & (1 << 40) - 1
            values = self._values(partition)
            if index >= len(values) or values[index] != record:
                self.breaks("a row is its record", f"partition {partition}, index {index}")
            elif key not in (said := said_by(record)).keys:
                self.breaks("a row is its record", f"{key!r} of partition {partition}, {index}")
            elif partition_of(said.key, len(self._log.partitions)) != partition:
                self.breaks(
                    "a record in the wrong partition is not shown",
                    f"partition {partition}, index {index}",
                )

    def marked(self, reader: str, marks: Sequence[MarkCell]) -> None:
        """Marks were put: the rows of all records below them are there."""
        del reader
        for cell in marks:
            if cell.kind is MarkKind.READABLE:
                self._check_readable(cell)
            else:
                self._check_settled(cell.partition, cell.next_index)

    def entered(self, cell: ProgressCell) -> None:
        """An entry of the progress history was decided."""
        for at in ProgressEntry.FromString(cell.entry).settled:
            self._check_settled(at.partition, at.next_index)

    def _check_readable(self, cell: MarkCell) -> None:
        partition, end = cell.partition, cell.next_index
        values = self._values(partition)
        if end > len(values):
            self.breaks("a mark says no more than rows show", f"readable {end} is beyond the log")
            return
        value = values[end - 1]
        if Mark.FromString(cell.mark).last_record_hash != hashlib.sha256(value).digest():
            self.breaks("a mark names its last record", f"partition {partition}, index {end - 1}")
        # What the store forgot after it was put is not the mark's fault: a new life tells of it.
        store, places = self._store, self._places_of(partition, end)
        for index in range(self._readable[partition], end):
            keys, order = places[index]
            for key in keys:
                trail = store.trails.get(key)
                there = trail is not None and order in trail.rows
                is_fit = (partition, index) not in self.unfit
                if not there and is_fit and (key, order) not in store.missing:
                    self.breaks(
                        "a mark says no more than rows show",
                        f"readable {end} of partition {partition}, but no row of index {index} "
                        f"under {key!r}",
                    )
                    return
        self._readable[partition] = max(end, self._readable[partition])

    def _check_settled(self, partition: int, end: int) -> None:
        store, places = self._store, self._places_of(partition, end)
        if end > len(places):
            self.breaks("a mark says no more than rows show", f"settled {end} is beyond the log")
            return
        young_s = self._loop.time() - store.settle_after_s + 1e-6
        for index in range(self._settled[partition], end):
            keys, order = places[index]
            if (partition, index) in self.unfit:
                continue
            for key in keys:
                kept = store.trails[key].rows.get(order) if key in store.trails else None
                if kept is None or kept.since_s > young_s:
                    what = "no row" if kept is None else "a row that is too young"
                    self.breaks(
                        "what is settled is there for good",
                        f"settled {end} of partition {partition}, but {what} of index {index} "
                        f"under {key!r}",
                    )
                    return
        self._settled[partition] = max(end, self._settled[partition])

    def _places_of(self, partition: int, end: int) -> list[tuple[Sequence[bytes], bytes]]:
        places, values = self._places[partition], self._values(partition)
        if end <= len(places):
            return places
        for index in range(len(places), min(end, len(values))):
            said = said_by(values[index])
            position = pack_position(1, partition, index)
            places.append((said.keys, PACK_ORDER(said.scan_time_ns, said.event_id, position)))
        return places

    def _values(self, partition: int) -> list[bytes]:
        """What the log holds, or held before it became another one."""
        if self._frozen is not None:
            return self._frozen[partition]
        return self._log.partitions[partition].values

    # --- the log itself ---------------------------------------------------------------------------

    def freeze(self) -> None:
        """From here on the log is not what it was: nothing of what it becomes may get into trails,
        and no mark may say more than before.
        """
        self._frozen = [list(partition.values) for partition in self._log.partitions]

    def check_log(self) -> None:
        """Everything acknowledged is in the log, and nothing else than what was sent."""
        found: dict[tuple[Identity, bytes], None] = {}
        for partition in self._log.partitions:
            for value in partition.values[: partition.durable]:
                said = said_by(value)
                identity = said.source, said.event_id
                if said.event not in self.sent.get(identity, ()):
                    self.breaks("only what was sent is in the log", repr(said.event))
                found[identity, said.event] = None
        for identity, event in self.acknowledged:
            if (identity, event) not in found:
                self.breaks("an acknowledged scan is never lost", f"{identity} is not in the log")
                return
        for identity, event in self._promised:
            if (identity, event) not in found:
                self.breaks("a spool forgets nothing without a result", f"{identity} was spooled")
                return
