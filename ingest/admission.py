"""Admission: from a batch as it came to the log records of its good scans, and why the others are
refused. Pure: no clock, no network, no log.

The rules are those of the proto files. A scan is judged alone, so a bad one never harms its
neighbours; a batch that breaks a batch rule is refused as a whole. Costs 4 µs a usual scan.
"""

from __future__ import annotations

import re
from functools import partial
from itertools import compress
from typing import TYPE_CHECKING, NamedTuple

from google.protobuf.message import DecodeError

from ingest.forms import Violation
from ingest.limits import FIELD_BYTES_EXACT, FIELD_BYTES_MAX, SEQUENCE_MAX
from ingest.rules import first_violation, is_time
from ingest.usual import Usual, read_usual
from ledger.codec import RecordMaker, containment_suffix
from ledger.errors import Refused, TooLarge
from ledger.event import (
    BATCH_BYTES_MAX,
    BATCH_SCANS_MAX,
    EVENT_BYTES_MAX,
    PERSONAL_BYTES_MAX,
    filed_number,
    timestamp_ns,
)
from ledger.numbers import (
    KEY_FORM,
    filing_key,
    is_check_digit_wrong,
    may_be_wrong,
    partitions_of,
)
from ledger.v1.ingest_service_pb2 import (
    REFUSAL_REASON_CHECK_DIGIT,
    REFUSAL_REASON_PERSONAL_DATA_NOT_ACCEPTED,
    REFUSAL_REASON_REQUIRED,
    REFUSAL_REASON_TOO_LARGE,
    REFUSAL_REASON_UNDECODABLE,
    Refusal,
)
from ledger.v1.scan_event_pb2 import ScanEvent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.usual import Filed
    from ledger.v1.raw_pb2 import RawBatch, RawScan

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


class Group(NamedTuple):
    """The admitted scans of a batch that go to one partition, in the order of the batch."""

    indexes: list[int]
    """Where they stand in the batch."""

    keys: list[bytes]
    records: list[bytes]


_group = partial(tuple.__new__, Group)
"""Makes a group of a tuple, in half the time of a call of the class: one for every six scans."""


class Admitted(NamedTuple):
    """What admission says of one batch. Groups and refusals name every index exactly once."""

    groups: dict[int, Group]
    """By partition."""

    refusals: list[Refusal]
    events: Sequence[bytes]
    records: Sequence[bytes]
    """Of all scans, in the order of the batch; empty where a scan is refused."""


def check_batch(batch: RawBatch, message_bytes: int) -> None:
    """Raise Refused or TooLarge where a batch breaks a rule of batches.

    `message_bytes` is the length of the message that it came in: measuring the batch alone costs
    more.
    """
    if message_bytes > BATCH_BYTES_MAX and batch.ByteSize() > BATCH_BYTES_MAX:
        raise TooLarge(
            f"The batch has {batch.ByteSize()} bytes; at most {BATCH_BYTES_MAX} are taken. "
            "Send its scans in smaller batches.",
            reason="BATCH_TOO_LARGE",
            field="batch",
            metadata={"bytes": str(batch.ByteSize()), "bytes_max": str(BATCH_BYTES_MAX)},
        )
    count = len(batch.scans)
    if not 1 <= count <= BATCH_SCANS_MAX:
        raise Refused(
            f"The batch has {count} scans; 1 to {BATCH_SCANS_MAX} are taken.",
            reason="BATCH_SCANS",
            field="batch.scans",
            metadata={"scans": str(count), "scans_max": str(BATCH_SCANS_MAX)},
        )
    check_source(batch.source_id, "batch.source_id")
    _check_spool(batch)
    if not batch.HasField("send_time"):
        raise Refused(
            "batch.send_time is missing; send the source's clock at the time of sending.",
            reason="SEND_TIME_REQUIRED",
            field="batch.send_time",
        )
    if not is_time(batch.send_time):
        raise Refused(
            "batch.send_time is not from 1970-01-01 to 2199-12-31 (UTC); set the source's clock.",
            reason="SEND_TIME_OUT_OF_RANGE",
            field="batch.send_time",
        )


def check_source(source_id: str, field: str) -> None:
    """Raise Refused for a source id that is missing, too long or has a control character."""
    size = len(source_id.encode())
    if not size:
        raise Refused(f"{field} is missing; say who saw it.", reason="SOURCE_REQUIRED", field=field)
    if size > FIELD_BYTES_MAX["Batch.source_id"]:
        raise Refused(
            f"{field} has {size} bytes; at most {FIELD_BYTES_MAX['Batch.source_id']} are taken.",
            reason="SOURCE_TOO_LONG",
            field=field,
        )
    if _CONTROL.search(source_id):
        raise Refused(
            f"{field} has a control character in it; send it without.",
            reason="SOURCE_MALFORMED",
            field=field,
        )


def _check_spool(batch: RawBatch) -> None:
    wanted = FIELD_BYTES_EXACT["Batch.spool_id"] if batch.first_sequence else 0
    if len(batch.spool_id) != wanted:
        kind = "a numbered batch" if wanted else "an unnumbered batch (first_sequence 0)"
        raise Refused(
            f"batch.spool_id has {len(batch.spool_id)} bytes; {kind} has {wanted}.",
            reason="SPOOL_ID_LENGTH",
            field="batch.spool_id",
        )
    if batch.first_sequence + len(batch.scans) - 1 > SEQUENCE_MAX:
        raise Refused(
            f"The batch's sequences go beyond {SEQUENCE_MAX}; make a new spool.",
            reason="SEQUENCE_OUT_OF_RANGE",
            field="batch.first_sequence",
        )


def admit(
    batch: RawBatch,
    *,
    partitions: int,
    now_ns: int,
    principal: str,
    refuses_check_digits: bool = False,
) -> Admitted:
    """Judge every scan of a batch that `check_batch` let through, and make the log records.

    `refuses_check_digits` is whether wrong ones are refused; else such a scan is a good one.
    """
    scans = list(batch.scans)  # Each look at one in the message makes it anew.
    events = [scan.event for scan in scans]
    first, step = batch.first_sequence, 1 if batch.first_sequence else 0
    maker = RecordMaker(
        source_id=batch.source_id,
        spool_id=batch.spool_id,
        key_form=KEY_FORM,
        send_time_ns=timestamp_ns(batch.send_time),
        record_time_ns=now_ns,
        principal=principal,
    )
    personal = [scan.personal for scan in scans]
    # What has personal data is never usual: an empty event is not, either.
    usual = read_usual(
        [b"" if data else event for event, data in zip(events, personal, strict=True)]
        if any(personal)
        else events
    )
    if refuses_check_digits:
        usual = _cleared(usual)
    places, keys = usual.places, usual.keys
    is_all = len(places) == len(events)
    records = maker.all(
        events if is_all else [events[place] for place in places],
        keys,
        usual.scan_times_ns,
        usual.event_ids,
        [first + place * step for place in places],
        usual.suffixes,
    )
    if is_all:
        return Admitted(_grouped(places, keys, records, partitions), [], events, records)
    known = dict(zip(places, zip(keys, records, strict=True), strict=True))
    refusals: list[Refusal] = []
    for place, event in enumerate(events):
        if place in known:
            continue
        judged = _judge(scans[place], event, refuses_check_digits=refuses_check_digits)
        if isinstance(judged, Violation):
            refusals.append(
                Refusal(
                    index=place,
                    sequence=first + place * step,
                    field=judged.field,
                    reason=judged.reason,
                    message=judged.message,
                )
            )
            continue
        key, scan_time_ns, event_id, suffix = judged
        sequence = first + place * step
        known[place] = (key, maker.one(event, key, scan_time_ns, event_id, sequence, suffix))
    places = sorted(known)
    keys, records = [known[place][0] for place in places], [known[place][1] for place in places]
    of_all = [known[place][1] if place in known else b"" for place in range(len(events))]
    return Admitted(_grouped(places, keys, records, partitions), refusals, events, of_all)


def _grouped(
    places: Sequence[int], keys: Sequence[bytes], records: Sequence[bytes], partitions: int
) -> dict[int, Group]:
    """Put together what goes to the same partition."""
    groups: dict[int, Group] = {}
    for place, key, record, partition in zip(
        places, keys, records, partitions_of(keys, partitions), strict=True
    ):
        if (group := groups.get(partition)) is None:
            group = groups[partition] = _group(([], [], []))
        group[0].append(place)
        group[1].append(key)
        group[2].append(record)
    return groups


def _cleared(usual: Usual) -> Usual:
    """Keep those usual events whose numbers cannot have a wrong check digit: 2 µs each."""
    clear = [not may_be_wrong(key) for key in usual.keys]
    if all(clear):
        return usual
    return Usual(
        places=list(compress(usual.places, clear)),
        keys=list(compress(usual.keys, clear)),
        scan_times_ns=list(compress(usual.scan_times_ns, clear)),
        event_ids=list(compress(usual.event_ids, clear)),
        suffixes=list(compress(usual.suffixes, clear)),
    )


def _judge(scan: RawScan, event: bytes, *, refuses_check_digits: bool) -> Filed | Violation:
    """Judge a scan that is not of the usual kind."""
    if len(scan.personal) > PERSONAL_BYTES_MAX:
        return Violation(
            "personal",
            REFUSAL_REASON_TOO_LARGE,
            f"personal has {len(scan.personal)} bytes; at most {PERSONAL_BYTES_MAX} are taken.",
        )
    if scan.personal:
        return Violation(
            "personal",
            REFUSAL_REASON_PERSONAL_DATA_NOT_ACCEPTED,
            "This server cannot seal personal data; send the scan without it.",
        )
    judged = read_exactly(event)
    if refuses_check_digits and not isinstance(judged, Violation) and may_be_wrong(judged[0]):
        return _wrong_check_digit(event) or judged
    return judged


def _wrong_check_digit(event: bytes) -> Violation | None:
    parsed = ScanEvent.FromString(event)
    if not is_check_digit_wrong(filed_number(parsed)):
        return None
    corrects = parsed.HasField("correction")
    return Violation(
        "event.correction.tracking_number" if corrects else "event.tracking_number",
        REFUSAL_REASON_CHECK_DIGIT,
        "The check digit of the tracking number is wrong, and this ledger refuses that from this "
        "source. The scan is kept among the refused ones; read the label again.",
    )


def read_exactly(event: bytes) -> Filed | Violation:
    """Judge an event by every rule, and give what filing needs or the first rule that it breaks."""
    if not event:
        return Violation("event", REFUSAL_REASON_REQUIRED, "event is missing or empty.")
    if len(event) > EVENT_BYTES_MAX:
        return Violation(
            "event",
            REFUSAL_REASON_TOO_LARGE,
            f"event has {len(event)} bytes; at most {EVENT_BYTES_MAX} are taken. Keep documents "
            "and pictures elsewhere, and send their digests as attachments.",
        )
    try:
        parsed = ScanEvent.FromString(event)
    except DecodeError:
        return Violation(
            "event",
            REFUSAL_REASON_UNDECODABLE,
            "event is no ScanEvent: its bytes cannot be decoded. Text must be UTF-8.",
        )
    violation = first_violation(parsed)
    if violation is not None:
        return violation
    suffix = b""
    if parsed.HasField("containment"):
        container = parsed.containment.container_number
        suffix = containment_suffix(
            filing_key(container) if container else b"",
            KEY_FORM if container else 0,
            parsed.containment.direction,
        )
    return filing_key(filed_number(parsed)), timestamp_ns(parsed.scan_time), parsed.event_id, suffix
