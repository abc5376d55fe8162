"""What lies beside scans, and what must be true of it: refused scans are kept before anyone is
told, and are nowhere else; receipts speak of what is durable, and what they do not say can be found
all the same; only what is unfit is in quarantine, whole, and its stub stands in the trail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger.numbers import partition_of
from ledger.position import QUARANTINE_LOG, RECEIPTS_LOG, REFUSALS_LOG, unpack_position
from ledger.quarantine.records import read_said
from ledger.v1.receipt_pb2 import ReceiptGroup
from ledger.v1.refused_scan_pb2 import RefusedScan
from tests.simulation.trails import record_of, said_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ledger.v1.receipt_pb2 import Receipt
    from tests.simulation.devices import Scan
    from tests.simulation.history import History
    from tests.simulation.sim_log import LogCluster
    from tests.simulation.sim_store import StoreCluster

Numbered = tuple[str, bytes, int]
"""Source id, spool id and sequence."""

At = tuple[int, int]
"""Partition and index."""

NOTHING: Final[Mapping[Numbered, bytes]] = {}


class _Durable:
    """Gives what became durable in a log since the last time."""

    def __init__(self, log: LogCluster) -> None:
        self._log = log
        self._read = [0 for _ in log.partitions]

    def more(self) -> Sequence[bytes]:
        found: list[bytes] = []
        for number, partition in enumerate(self._log.partitions):
            if partition.durable > self._read[number]:
                found += partition.values[self._read[number] : partition.durable]
                self._read[number] = partition.durable
        return found


class BesideHistory:
    """Looks at the logs beside scans."""

    def __init__(
        self,
        history: History,
        scans: LogCluster,
        logs: Mapping[str, LogCluster],
        store: StoreCluster,
    ) -> None:
        self._history = history
        self._scans = scans
        self._store = store
        self._quarantine = logs[QUARANTINE_LOG]
        self._more_scans = _Durable(scans)
        self._more_refused = _Durable(logs[REFUSALS_LOG])
        self._stored: dict[Numbered, bytes] = {}
        """What is durable: its event."""
        self._refused: dict[Numbered, bytes] = {}
        self._kept: dict[tuple[str, bytes], None] = {}
        """What was refused, by source and event."""
        self._acked: dict[tuple[str, bytes], int] = {}
        """By source and spool: up to here every sequence was found durable or kept."""
        history.on_refused = self._is_kept
        history.on_placed = self._is_found
        logs[RECEIPTS_LOG].on_written = self._receipts

    # --- refusals ---------------------------------------------------------------------------------

    def _is_kept(self, scan: Scan) -> None:
        """A device was told that a scan is refused: it is kept, whole."""
        self._note()
        if (scan.source, scan.event) not in self._kept:
            self._history.breaks("a refused scan is kept", f"{scan.source}: {scan.event!r}")

    def check_refusals(self) -> None:
        """Nothing was refused that was sent well, and nothing is refused and stored."""
        self._note()
        for source, event in self._kept:
            if (source, event[2:18]) in self._history.sent:
                self._history.breaks("a good scan is taken", f"{source}: {event!r} was refused")
        for numbered, event in self._refused.items():
            if numbered[2] and numbered in self._stored:
                self._history.breaks("never both refused and stored", f"{numbered}: {event!r}")

    # --- receipts ---------------------------------------------------------------------------------

    def _receipts(self, values: Sequence[bytes]) -> None:
        """Receipts are written: what they call durable or refused is durable or kept by now."""
        self._note()
        for value in values:
            for receipt in ReceiptGroup.FromString(value).receipts:
                parts = [(part.first, part.last) for part in receipt.durable]
                self._are_in(receipt, parts, self._stored)
                parts = [(part.first, part.last) for part in receipt.refused]
                self._are_in(receipt, parts, self._refused)
                who = receipt.source_id, receipt.spool_id
                parts = [(self._acked.get(who, 0) + 1, receipt.acked_through)]
                # What was found once stays: nothing is ever taken out of what is kept.
                if self._are_in(receipt, parts, self._stored, self._refused):
                    self._acked[who] = max(self._acked.get(who, 0), receipt.acked_through)

    def _are_in(
        self,
        receipt: Receipt,
        parts: Iterable[tuple[int, int]],
        kept: Mapping[Numbered, bytes],
        or_kept: Mapping[Numbered, bytes] = NOTHING,
    ) -> bool:
        source_id, spool_id = receipt.source_id, receipt.spool_id
        for first, last in parts:
            for sequence in range(first, last + 1):
                numbered = source_id, spool_id, sequence
                if numbered not in kept and numbered not in or_kept:
                    what = f"{source_id}, sequence {sequence}"
                    self._history.breaks("a receipt says what is durable", what)
                    return False
        return True

    def _is_found(self, scan: Scan, spool_id: bytes, sequence: int) -> None:
        """A numbered scan's fate was told: should its receipt be lost, the record has its number,
        or what is kept of a refused one.
        """
        self._note()
        kept = self._refused if scan.fate == "refused" else self._stored
        if kept.get((scan.source, spool_id, sequence)) != scan.event:
            what = f"{scan.source}, sequence {sequence}: {scan.fate}"
            self._history.breaks("a lost receipt is healed: records have the numbers", what)

    def _note(self) -> None:
        """Take note of what became durable since the last time."""
        for value in self._more_scans.more():
            said = said_by(value)
            self._stored[said.source, said.spool_id, said.sequence] = said.event
        for value in self._more_refused.more():
            refused = RefusedScan.FromString(value)
            self._refused[refused.source_id, refused.spool_id, refused.sequence] = refused.event
            self._kept[refused.source_id, refused.event] = None

    # --- quarantine -------------------------------------------------------------------------------

    def check_quarantine(self, *unfit: At) -> None:
        """Exactly these records are in quarantine, whole, and their stubs in their trails."""
        items = {}
        for value in _Durable(self._quarantine).more():
            said = read_said(value)
            at = unpack_position(said.position)
            items[at.partition, at.index] = said.record.item.value
        wanted = {at: self._scans.partitions[at[0]].values[at[1]] for at in unfit}
        if items != wanted:
            self._history.breaks(
                "only what is unfit is in quarantine", f"{sorted(items)} instead of {list(unfit)}"
            )
        if missing := [at for at in unfit if not self._has_stub(at)]:
            self._history.breaks("what is in quarantine shows in its trail", str(missing))

    def _has_stub(self, at: At) -> bool:
        """Whether a trail's partition, and the store, have the notice of a record."""
        key = record_of(self._scans.partitions[at[0]].values[at[1]]).tracking_key
        home = self._scans.partitions[partition_of(key, len(self._scans.partitions))]
        stubs = {value for value in home.values[: home.durable] if _stands_for(value, at)}
        rows = self._store.trails[key].rows.values() if key in self._store.trails else ()
        return any(row.record in stubs for row in rows)


def _stands_for(value: bytes, at: At) -> bool:
    record = record_of(value)
    position = record.quarantined.position
    return record.HasField("quarantined") and (position.partition, position.index) == at
