"""Every limit of the door in: of fields, batches, streams and memory, each with its reason.

The limits of fields are those that the proto files state; a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FIELD_BYTES_MAX: Final = {
    "ScanEvent.tracking_number": 128,
    "ScanEvent.facility": 64,
    "ScanEvent.device": 128,
    "ScanEvent.operator": 128,
    "ScanEvent.raw_barcode": 4096,
    "ScanEvent.carrier": 64,
    "ScanEvent.code_system": 64,
    "ScanEvent.source_code": 64,
    "ScanEvent.source_reason_code": 64,
    "ScanEvent.source_action_code": 64,
    "ScanEvent.source_event_id": 512,
    "ScanEvent.source_text": 512,
    "ScanEvent.next_facility": 64,
    "Place.name": 128,
    "Place.city": 128,
    "Place.region": 128,
    "Place.postal_code": 32,
    "Place.country": 2,
    "Containment.container_number": 128,
    "Attachment.media_type": 128,
    "AnnouncedFacts.service": 64,
    "AnnouncedFacts.origin_country": 2,
    "AnnouncedFacts.destination_country": 2,
    "AnnouncedFacts.destination_postcode_area": 16,
    "AnnouncedFacts.consignor_reference": 128,
    "Correction.tracking_number": 128,
    "Correction.source_id": 128,
    "Attribute.name": 64,
    "Attribute.value": 1024,
    "Batch.source_id": 128,
    "Open.client": 128,
    "Open.version": 128,
    "SourceProgress.source_id": 128,
}
"""Most bytes of a text (as UTF-8) or of bytes, by message and field."""

FIELD_BYTES_EXACT: Final = {
    "ScanEvent.event_id": 16,
    "Attachment.sha256": 32,
    "Correction.event_id": 16,
    "Batch.spool_id": 16,
    "SourceProgress.spool_id": 16,
}
"""The only length that bytes may have, by message and field."""

FIELD_COUNT_MAX: Final = {
    "ScanEvent.attachments": 8,
    "ScanEvent.attributes": 16,
    "Open.sources": 1_000,
    "Heartbeat.sources": 1_000,
}
"""Most elements of a list, by message and field."""

UTC_OFFSET_MINUTES_MAX: Final = 1_080
"""Farthest local time from UTC, in minutes, either way: 18 hours, as in ISO 8601 libraries."""

SEQUENCE_MAX: Final = (1 << 63) - 1
"""Highest sequence of a spool: fits a signed 64-bit number, which is all that most stores have."""

MESSAGE_BYTES_MAX: Final = 4 << 20
"""Most bytes of one message: what the gRPC server takes, four times the largest batch."""

SOURCES_PER_STREAM_MAX: Final = 10_000
"""Most sources on one stream: the scanners of a large facility behind one gateway. Some 300 bytes
each.
"""

SOURCES_MAX: Final = 100_000
"""Most sources of all streams together: ten large facilities. Some 600 bytes each, 60 MB."""

STATES_WAITING_MAX: Final = 1_000
"""States of sources that wait to be written on one stream. Beyond it the stream is not read; the
sources of one more message may come on top.
"""

BATCHES_PER_STREAM_MAX: Final = 64
"""Most batches of one stream without a result. Beyond it the stream is not read: it bounds what a
sender that does not read its results can keep here.
"""

WINDOW_SCANS: Final = 20_000
"""Scans that a stream may have on their way: ten of the largest batches, half a second of work."""

WINDOW_BYTES: Final = 8 << 20
"""Bytes that a stream may have on their way: eight of the largest batches."""

PENDING_BYTES_MAX: Final = 32 << 20
"""Bytes admitted and not yet durable, of all streams: two seconds of work at full speed, so that a
result never takes much longer, and as Python objects some 60 MB. Above it no stream is read. Each
stream may add the one message that it had begun to send: gRPC keeps it for a read that is open, and
an idle stream has one open. Nothing in Python bounds their sum: 200 streams that sent 3.8 MB each
at once took 370 MB.
"""

PENDING_BYTES_MIN: Final = 1 << 20
"""The least that this bound becomes where the log is slow: the largest batch."""

SLOW_S: Final = 0.5
"""When a batch waits longer than this for the log, senders get less: five times what the slowest
thousandth waits at half of full speed.
"""

PACE_TICK_S: Final = 0.25
"""How often that is looked at: from the least window to the full one it takes six looks."""

ROOM_WAIT_S: Final = 2.0
"""Longest that a sender on a stream waits until its request is read, or looked at; then it is told
to send again later.
"""

ROOM_RETRY_S: Final = 2.0
"""Seconds after which it may: some looks later."""

LAG_RECORDS_MAX: Final = 5_000_000
"""Records that no trail shows, beyond which nothing more is taken until there are fewer: minutes of
work of the writer. A store that is slow or away for longer slows the senders, and they keep scans.
The setting of that name changes it, for a log that has room for days.
"""

LINGER_S: Final = 0.02
"""Shortest time in seconds from one flush to the next, so the longest that a scan waits for others.
At 20,000 scans/s it takes a fifth of the CPU off a scan, compared with 5 ms; after a pause nobody
waits.
"""

FLUSHES_IN_FLIGHT_MAX: Final = 4
"""Most flushes on their way to the log: one is written, one is waiting, two are being made."""

FLUSH_BYTES_MAX: Final = 3 << 20
"""Bytes with which a flush is full; one more append of a mebibyte may go with it. All flushes on
their way together are then 16 MiB at most, which a log takes without being busy.
"""

FLUSH_RECORDS_ENOUGH: Final = 2_000
"""Records that are worth a flush without a wait: the cost of a commit is spread thin by then."""

BUSY_RETRY_S: Final = 0.5
"""Seconds after which a sender that was turned away may try again: by then a quarter of what may be
pending is done.
"""

UNCERTAIN_RETRY_S: Final = 0.2
"""Seconds to wait before sending again what may be in the log: about the time of a leader change
that goes well.
"""

ENDING_RETRY_S: Final = 1.0
"""Seconds to wait where the server ends: the time of a restart."""

REFUSED_EVENT_BYTES_MAX: Final = 64 << 10
"""Bytes of a refused event that are kept: eight times the largest good one. Of a longer one its
first bytes, its length and its hash are.
"""

REFUSALS_PER_MINUTE_MAX: Final = 1_000
"""Refused scans of one source that are kept in a minute: a hand scanner makes some tens, a sorter
with a broken camera some hundreds. Beyond it they are to be sent again later, which slows the
source down until somebody sees to it.
"""

GATEWAY_REFUSALS_PER_MINUTE_MAX: Final = 300
"""The same at a gateway, whose spool holds them until they are forwarded: 150 MB for a day without
a ledger. Less than what the ledger keeps in a minute, so that what was gathered comes to an end.
"""

REFUSING_SOURCES_MAX: Final = 10_000
"""Sources whose refused scans are counted. Some 200 bytes each."""

REFUSALS_PENDING_BYTES_MAX: Final = 4 << 20
"""Bytes of refused scans that wait to be kept, of all sources."""

REFUSALS_FLUSH_BYTES_MAX: Final = 2 << 20
"""Bytes with which a flush of refused scans is full; one is on its way at a time. With one more
append it is less than what a log beside `scans` takes without being busy.
"""

RECEIPTS_LINGER_S: Final = 0.2
"""Shortest time in seconds from one record of receipts to the next of its partition: with 32
partitions 160 records a second at most, and on an idle ledger five syncs a second at most.
"""

RECEIPTS_REST_S: Final = 1.0
"""Seconds until receipts that could not be written are tried again."""

RECEIPTS_WAITING_MAX: Final = 20_000
"""Receipts that wait to be written. Beyond it those of one source are made into one. Some 300 bytes
each, and more where a source has many gaps.
"""

NOTED_SCANS_MAX: Final = 40_000
"""Scans of results whose receipt is not made yet: they keep their records in memory, some 20 MB.
Beyond it receipts are made at once.
"""

RECENT_SOURCES_MAX: Final = 20_000
"""Sources of which is remembered what they were told. Some 700 bytes each."""

RECENT_CONTENTS_MAX: Final = 1_000_000
"""Scans whose content is remembered, by four bytes each, so that two senders with one spool are
found: those of the last minute at full speed.
"""

WORD_S: Final = 60.0
"""Seconds after which a source's word that says nothing new is written down again: it shows that
the source lives.
"""

RECORD_OVERHEAD_BYTES: Final = 200
"""What a scan takes in memory beside its bytes: the envelope, and Python's objects for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestLimits:
    """What a test may set; of settings only `lag_records_max` reaches it. The rest are facts of the
    wire.
    """

    pending_bytes_max: int = PENDING_BYTES_MAX
    pending_bytes_min: int = PENDING_BYTES_MIN
    slow_s: float = SLOW_S
    pace_tick_s: float = PACE_TICK_S
    room_wait_s: float = ROOM_WAIT_S
    lag_records_max: int = LAG_RECORDS_MAX
    linger_s: float = LINGER_S
    flushes_in_flight_max: int = FLUSHES_IN_FLIGHT_MAX
    flush_bytes_max: int = FLUSH_BYTES_MAX
    flush_records_enough: int = FLUSH_RECORDS_ENOUGH
    window_scans: int = WINDOW_SCANS
    window_bytes: int = WINDOW_BYTES
    batches_per_stream_max: int = BATCHES_PER_STREAM_MAX
    sources_per_stream_max: int = SOURCES_PER_STREAM_MAX
    sources_max: int = SOURCES_MAX
    states_waiting_max: int = STATES_WAITING_MAX
    busy_retry_s: float = BUSY_RETRY_S
    receipts_linger_s: float = RECEIPTS_LINGER_S
    receipts_rest_s: float = RECEIPTS_REST_S
    receipts_waiting_max: int = RECEIPTS_WAITING_MAX
    noted_scans_max: int = NOTED_SCANS_MAX
    recent_sources_max: int = RECENT_SOURCES_MAX
    recent_contents_max: int = RECENT_CONTENTS_MAX
    word_s: float = WORD_S
    refusals_per_minute_max: int = REFUSALS_PER_MINUTE_MAX
    refusing_sources_max: int = REFUSING_SOURCES_MAX
