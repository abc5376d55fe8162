"""The rules of a scan event: what is refused, and why in plain words. Pure.

This is the complete and slower way (15 µs); `ingest.usual` knows which events need none of it.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

from ingest.forms import Violation, form_violations
from ingest.limits import UTC_OFFSET_MINUTES_MAX
from ledger.event import TIME_NS_END, TIME_NS_MIN, timestamp_ns
from ledger.numbers import UnfilableNumber, filing_key
from ledger.v1.ingest_service_pb2 import (
    REFUSAL_REASON_CONTRADICTION,
    REFUSAL_REASON_ENUM,
    REFUSAL_REASON_MALFORMED,
    REFUSAL_REASON_OUT_OF_RANGE,
    REFUSAL_REASON_REQUIRED,
    REFUSAL_REASON_TOO_LONG,
    REFUSAL_REASON_UNFILABLE_NUMBER,
)
from ledger.v1.scan_event_pb2 import (
    CONTAINMENT_DIRECTION_EMPTIED,
    CONTAINMENT_DIRECTION_IN,
    CONTAINMENT_DIRECTION_OUT,
    CONTAINMENT_DIRECTION_UNSPECIFIED,
    CORRECTION_KIND_DID_NOT_OCCUR,
    CORRECTION_KIND_INCORRECT_DATA,
    CORRECTION_KIND_UNSPECIFIED,
    SCAN_EVENT_TYPE_CORRECTION,
    SCAN_EVENT_TYPE_UNMAPPED,
    SCAN_EVENT_TYPE_UNSPECIFIED,
    UTC_OFFSET_SOURCE_UNKNOWN,
    UTC_OFFSET_SOURCE_UNSPECIFIED,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.timestamp_pb2 import Timestamp

    from ledger.v1.scan_event_pb2 import ScanEvent

DAY_NS: Final = 86_400 * 1_000_000_000
MINUTE_NS: Final = 60 * 1_000_000_000
_NANOS_END = 1_000_000_000
_COUNTRY = re.compile(r"[A-Z]{2}")
_OFFSET_PASSED_OVER = {UTC_OFFSET_SOURCE_UNSPECIFIED, UTC_OFFSET_SOURCE_UNKNOWN}
_NUMBER_REASONS = {
    "CONTROL_CHARACTER": REFUSAL_REASON_MALFORMED,
    "TOO_LONG": REFUSAL_REASON_TOO_LONG,
}


def first_violation(event: ScanEvent) -> Violation | None:
    """Judge an event by every rule. The form of all fields comes first, then what they say."""
    for rule in _RULES:
        for violation in rule(event):
            return violation
    return None


def is_time(time: Timestamp) -> bool:
    """Tell whether a time is well formed and in the range that is taken."""
    return 0 <= time.nanos < _NANOS_END and TIME_NS_MIN <= timestamp_ns(time) < TIME_NS_END


def _malformed(field: str, message: str) -> Violation:
    return Violation(field, REFUSAL_REASON_MALFORMED, message)


def _required(field: str, message: str) -> Violation:
    return Violation(field, REFUSAL_REASON_REQUIRED, message)


def _out_of_range(field: str, message: str) -> Violation:
    return Violation(field, REFUSAL_REASON_OUT_OF_RANGE, message)


def _contradiction(field: str, message: str) -> Violation:
    return Violation(field, REFUSAL_REASON_CONTRADICTION, message)


def _identity(event: ScanEvent) -> Iterator[Violation]:
    if not event.event_id:
        yield _required(
            "event.event_id",
            "event.event_id is missing; the source mints 16 bytes once and keeps them over "
            "every retry.",
        )
    yield from _number(event.tracking_number, "event.tracking_number")
    if event.type == SCAN_EVENT_TYPE_UNSPECIFIED:
        yield Violation(
            "event.type",
            REFUSAL_REASON_ENUM,
            "event.type is not stated; send what happened, or UNMAPPED with the source's own code.",
        )


def _number(number: str, where: str) -> Iterator[Violation]:
    if not number:
        yield _required(where, f"{where} is missing; send the number as it was scanned.")
        return
    try:
        filing_key(number)
    except UnfilableNumber as error:
        yield Violation(
            where,
            _NUMBER_REASONS.get(error.code, REFUSAL_REASON_UNFILABLE_NUMBER),
            f"{where} cannot be filed: {error.reason}. Send the number as it was scanned.",
        )


def _times(event: ScanEvent) -> Iterator[Violation]:
    if event.HasField("scan_time"):
        yield from _time(event.scan_time, "event.scan_time")
    else:
        yield _required(
            "event.scan_time", "event.scan_time is missing; send when it happened, by your clock."
        )
    offset = event.utc_offset_minutes
    if abs(offset) > UTC_OFFSET_MINUTES_MAX:
        yield _out_of_range(
            "event.utc_offset_minutes",
            f"event.utc_offset_minutes is {offset}; it goes from -{UTC_OFFSET_MINUTES_MAX} to "
            f"{UTC_OFFSET_MINUTES_MAX}.",
        )
    if event.date_only:
        yield from _date_only(event)
    has_from, has_until = (
        event.HasField("expected_from_time"),
        event.HasField("expected_until_time"),
    )
    if has_from:
        yield from _time(event.expected_from_time, "event.expected_from_time")
    if has_until:
        yield from _time(event.expected_until_time, "event.expected_until_time")
    if (
        has_from
        and has_until
        and timestamp_ns(event.expected_until_time) < timestamp_ns(event.expected_from_time)
    ):
        yield _contradiction(
            "event.expected_until_time",
            "event.expected_until_time is before event.expected_from_time.",
        )


def _date_only(event: ScanEvent) -> Iterator[Violation]:
    offset, at = event.utc_offset_minutes, "event.utc_offset_minutes"
    if event.utc_offset_source in _OFFSET_PASSED_OVER:
        offset, at = 0, "UTC, as event.utc_offset_source does not say where the offset comes from"
    if (timestamp_ns(event.scan_time) + offset * MINUTE_NS) % DAY_NS:
        yield _contradiction(
            "event.date_only",
            f"event.date_only is set, but event.scan_time is not 00:00 at {at}.",
        )


def _time(time: Timestamp, where: str) -> Iterator[Violation]:
    if not 0 <= time.nanos < _NANOS_END:
        yield _malformed(where, f"{where}.nanos is {time.nanos}; it goes from 0 to 999999999.")
    elif not is_time(time):
        yield _out_of_range(
            where,
            f"{where} is {time.seconds} s after 1970-01-01; times are taken from 1970-01-01 to "
            "2199-12-31 (UTC). Set the clock of the device.",
        )


def _position(event: ScanEvent) -> Iterator[Violation]:
    if not event.HasField("position"):
        return
    position = event.position
    for name, value, least, most in (
        ("latitude", position.latitude, -90, 90),
        ("longitude", position.longitude, -180, 180),
        ("accuracy_meters", position.accuracy_meters, 0, math.inf),
    ):
        if not (math.isfinite(value) and least <= value <= most):  # NaN is never within.
            bounds = f"from {least} to {most}" if most < math.inf else "0 or more"
            yield _out_of_range(
                f"event.position.{name}",
                f"event.position.{name} is {value}; it must be finite and {bounds}. Leave the "
                "position out where the device does not know it.",
            )


def _containment(event: ScanEvent) -> Iterator[Violation]:
    if not event.HasField("containment"):
        return
    direction, number = event.containment.direction, event.containment.container_number
    if direction == CONTAINMENT_DIRECTION_UNSPECIFIED:
        yield Violation(
            "event.containment.direction",
            REFUSAL_REASON_ENUM,
            "event.containment.direction is not stated; send IN, OUT or EMPTIED.",
        )
    where = "event.containment.container_number"
    if direction == CONTAINMENT_DIRECTION_EMPTIED and number:
        yield _contradiction(
            where,
            f"{where} must be empty for EMPTIED: event.tracking_number is the container there.",
        )
    if number or direction in {
        CONTAINMENT_DIRECTION_IN,
        CONTAINMENT_DIRECTION_OUT,
    }:
        yield from _number(number, where)


def _correction(event: ScanEvent) -> Iterator[Violation]:
    withdraws = event.type == SCAN_EVENT_TYPE_CORRECTION
    if not event.HasField("correction"):
        if withdraws:
            yield _required(
                "event.correction", "event.correction is missing; say which event is withdrawn."
            )
        return
    correction = event.correction
    yield from _number(correction.tracking_number, "event.correction.tracking_number")
    if not correction.source_id or not correction.event_id:
        name = "event_id" if correction.source_id else "source_id"
        yield _required(
            f"event.correction.{name}",
            f"event.correction.{name} is missing; it says which event is corrected.",
        )
    kind = correction.kind
    if kind == CORRECTION_KIND_UNSPECIFIED:
        yield Violation(
            "event.correction.kind",
            REFUSAL_REASON_ENUM,
            "event.correction.kind is not stated; send DID_NOT_OCCUR or INCORRECT_DATA.",
        )
    # A kind that this server does not know is kept, as every unknown value of an enum is.
    wrong = CORRECTION_KIND_INCORRECT_DATA if withdraws else CORRECTION_KIND_DID_NOT_OCCUR
    if kind == wrong:
        yield _contradiction(
            "event.correction.kind",
            "DID_NOT_OCCUR goes with the type CORRECTION and INCORRECT_DATA with any other type.",
        )


def _codes(event: ScanEvent) -> Iterator[Violation]:
    if event.type == SCAN_EVENT_TYPE_UNMAPPED:
        for name in ("code_system", "source_code"):
            if not getattr(event, name):
                yield _required(
                    f"event.{name}",
                    f"event.{name} is missing; an UNMAPPED event is known by the source's own "
                    "code alone.",
                )
    if event.HasField("place"):
        yield from _country("event.place.country", event.place.country)
    if event.HasField("announced"):
        announced = event.announced
        yield from _country("event.announced.origin_country", announced.origin_country)
        yield from _country("event.announced.destination_country", announced.destination_country)


def _country(where: str, code: str) -> Iterator[Violation]:
    if code and not _COUNTRY.fullmatch(code):
        yield _malformed(
            where, f"{where} is no ISO 3166-1 alpha-2 code: two capital letters, such as DE."
        )


def _lists(event: ScanEvent) -> Iterator[Violation]:
    for index, attachment in enumerate(event.attachments):
        if not attachment.sha256:
            path = f"event.attachments[{index}].sha256"
            yield _required(path, f"{path} is missing; send the SHA-256 of the attachment's bytes.")
    for index, attribute in enumerate(event.attributes):
        if not attribute.name:
            path = f"event.attributes[{index}].name"
            yield _required(path, f"{path} is missing; a value without a name tells nothing.")


_RULES: Final = (
    form_violations,
    _identity,
    _times,
    _position,
    _containment,
    _correction,
    _codes,
    _lists,
)
