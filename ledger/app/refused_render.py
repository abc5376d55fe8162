"""Refused scans of a gateway as a person reads them. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from rich.table import Table
from rich.text import Text

from ingest.spool_refused import RefusedScan, reason_name
from ledger.app.render import printable, utc_time
from ledger.v1 import refused_scan_pb2
from ledger.v1 import scan_event_pb2 as pb
from ledger.v1.ingest_service_pb2 import Refusal


def refused_table(scans: Iterable[RefusedScan]) -> Table:
    """Give scans that were refused after they had been spooled."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("refused", "source", "sequence", "tracking number"):
        table.add_column(name, no_wrap=True)
    for name in ("reason", "field", "why"):
        table.add_column(name, overflow="fold")
    for scan in scans:
        when = Timestamp()
        when.FromNanoseconds(scan.time_ns)
        try:
            number = pb.ScanEvent.FromString(scan.event).tracking_number
        except DecodeError:
            number = ""
        words = (scan.source_id, str(scan.sequence or ""), number, scan.reason, scan.field)
        cells = [Text(printable(word)) for word in (*words, scan.message)]
        table.add_row(utc_time(when), *cells)
    return table


def kept_table(scans: Iterable[refused_scan_pb2.RefusedScan]) -> Table:
    """Give scans that a ledger has kept as refused."""
    return refused_table(
        RefusedScan(
            place=0,
            time_ns=scan.record_time_ns,
            source_id=scan.source_id,
            spool_id=scan.spool_id,
            sequence=scan.sequence,
            field=scan.field,
            reason=reason_name(Refusal(reason=scan.reason)),
            message=scan.message,
            event=scan.event,
        )
        for scan in scans
    )
