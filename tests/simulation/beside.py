"""What lies beside scans, and what must be true of it: refused scans are kept before anyone is
told, receipts speak of what is durable, and only what is unfit is in quarantine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.position import QUARANTINE_LOG, RECEIPTS_LOG, REFUSALS_LOG, unpack_position
from ledger.quarantine.records import read_said
from ledger.v1.log_record_pb2 import LogRecord
from ledger.v1.receipt_pb2 import ReceiptGroup
from ledger.v1.refused_scan_pb2 import RefusedScan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.simulation.devices import Scan
    from tests.simulation.history import History
    from tests.simulation.sim_log import LogCluster

Numbered = tuple[str, bytes, int]
"""Source id, spool id and sequence."""


class BesideHistory:
    """Looks at the logs beside scans."""

    def __init__(self, history: History, scans: LogCluster, logs: Mapping[str, LogCluster]) -> None:
        self._history = history
        self._scans = scans
        self._logs = logs
        self._read = [0 for _ in scans.partitions]
        self._numbered: dict[Numbered, None] = {}
        history.on_refused = self._is_kept
        logs[RECEIPTS_LOG].on_written = self._receipts

    def _is_kept(self, scan: Scan) -> None:
        """A device was told that a scan is refused: it is kept, whole."""
        for value in _durable(self._logs[REFUSALS_LOG]):
            kept = RefusedScan.FromString(value)
            if (kept.source_id, kept.event) == (scan.source, scan.event):
                return
        self._history.breaks("a refused scan is kept", f"{scan.source}: {scan.event!r}")

    def _receipts(self, values: Sequence[bytes]) -> None:
        """Receipts are written: what they call durable is durable by now."""
        self._note_numbered()
        for value in values:
            for receipt in ReceiptGroup.FromString(value).receipts:
                for part in receipt.durable:
                    for sequence in range(part.first, part.last + 1):
                        if (receipt.source_id, receipt.spool_id, sequence) not in self._numbered:
                            self._history.breaks(
                                "a receipt says what is durable",
                                f"{receipt.source_id}, sequence {sequence}",
                            )
                            return

    def _note_numbered(self) -> None:
        """Take note of the sequences of what became durable since the last time."""
        for number, partition in enumerate(self._scans.partitions):
            for value in partition.values[self._read[number] : partition.durable]:
                record = LogRecord.FromString(value)
                self._numbered[record.source_id, record.spool_id, record.sequence] = None
            self._read[number] = partition.durable

    def check_quarantine(self, *unfit: tuple[int, int]) -> None:
        """Exactly these records, by partition and index, are in quarantine, whole."""
        items = {}
        for value in _durable(self._logs[QUARANTINE_LOG]):
            said = read_said(value)
            at = unpack_position(said.position)
            items[at.partition, at.index] = said.record.item.value
        wanted = {at: self._scans.partitions[at[0]].values[at[1]] for at in unfit}
        if items != wanted:
            self._history.breaks(
                "only what is unfit is in quarantine", f"{sorted(items)} instead of {list(unfit)}"
            )


def _durable(log: LogCluster) -> Iterator[bytes]:
    for partition in log.partitions:
        yield from partition.values[: partition.durable]
