"""What no mapping explains: codes of sources, counted over the newest records of the log `scans`.

It only reads, within a number of records and a time, so it may be asked of a ledger under load.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, MutableSequence, Sequence
from typing import Final

from google.protobuf.message import DecodeError

from ledger.codec import read_record
from ledger.errors import Diverged
from ledger.event import timestamp_ns
from ledger.scan_log import ScanLog
from ledger.v1.log_record_pb2 import LogRecord
from ledger.v1.operator_service_pb2 import ListUnmappedResponse, UnmappedCode
from ledger.v1.scan_event_pb2 import ScanEvent, ScanEventType
from ledger.vocabulary import Mappings

RECORDS: Final = 100_000
"""Records that are looked through where the request does not say: a second's work."""

RECORDS_MAX: Final = 1_000_000
"""Most records: what takes more is a report, not a question."""

LOOK_S: Final = 20.0
"""Longest look in seconds: the caller waits for it."""

CODES_MAX: Final = 1_000
"""Most codes in an answer: some 500 KB; a source that sends more sends no codes."""

EXAMPLES_MAX: Final = 3
"""Most examples of each kind: enough to ask the partner about."""

_STEP: Final = 500
"""Records that are read together: a few milliseconds of the event loop."""


async def list_unmapped(
    scans: ScanLog, mappings: Mappings, *, records_max: int, monotonic: Callable[[], float]
) -> ListUnmappedResponse:
    """Look through the newest records of each partition. Raises what the log raises."""
    out = ListUnmappedResponse()
    tally = _Tally(mappings, out)
    partitions = scans.identity.partitions
    most = min(records_max or RECORDS, RECORDS_MAX)
    end_s = monotonic() + LOOK_S
    bounds = [await scans.bounds(partition) for partition in range(partitions)]
    out.record_count = sum(each.next - each.first for each in bounds)
    left = most
    for partition, each in enumerate(bounds):
        # What a small partition leaves of its share, those behind it get.
        share = -(-left // (partitions - partition))
        index = max(each.first, each.next - share)
        left -= each.next - index
        while index < each.next and monotonic() < end_s:
            values = await scans.read(partition, index, min(_STEP, each.next - index))
            tally.add(values)
            index += len(values)
            await asyncio.sleep(0)  # A log that answers at once lets nobody else run.
    out.codes.sort(key=lambda code: (-code.count, code.code_system, code.source_code))
    return out


class _Tally:
    """Counts codes into an answer."""

    def __init__(self, mappings: Mappings, out: ListUnmappedResponse) -> None:
        self._mappings = mappings
        self._out = out
        self._codes: dict[tuple[str, str], UnmappedCode] = {}

    def add(self, values: Sequence[bytes]) -> None:
        """Count records. What cannot be read lies in quarantine, and is not of interest here."""
        for value in values:
            try:
                record = read_record(value)
                event = ScanEvent.FromString(record.event)
            except (DecodeError, Diverged):
                continue
            if event.type == ScanEventType.SCAN_EVENT_TYPE_UNMAPPED:
                self._add(record, event)
        self._out.looked_at_count += len(values)

    def _add(self, record: LogRecord, event: ScanEvent) -> None:
        if self._mappings.inwards(event) is not None:
            self._out.mapped_count += 1
            return
        name = (event.code_system, event.source_code)
        code = self._codes.get(name)
        if code is None:
            if len(self._codes) == CODES_MAX:
                self._out.left_out_count += 1
                return
            code = self._out.codes.add(
                code_system=event.code_system,
                source_code=event.source_code,
                system_is_known=self._mappings.knows(event.code_system),
            )
            self._codes[name] = code
        code.count += 1
        time = event.scan_time
        if not code.HasField("first_scan_time") or (
            timestamp_ns(time) < timestamp_ns(code.first_scan_time)
        ):
            code.first_scan_time.CopyFrom(time)
        if timestamp_ns(time) >= timestamp_ns(code.last_scan_time):
            code.last_scan_time.CopyFrom(time)
        _keep(code.tracking_keys, record.tracking_key.decode())
        _keep(code.source_ids, record.source_id)
        _keep(code.source_texts, event.source_text)
        _keep(code.source_reason_codes, event.source_reason_code)
        _keep(code.source_action_codes, event.source_action_code)


def _keep(examples: MutableSequence[str], text: str) -> None:
    if text and len(examples) < EXAMPLES_MAX and text not in examples:
        examples.append(text)
