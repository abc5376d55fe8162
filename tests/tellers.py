"""Stories of items for tests of the fold: one line an event, in the words of the vocabulary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ledger.v1.scan_event_pb2 import (
    CaptureMethod,
    Correction,
    CorrectionKind,
    ScanEvent,
    ScanEventType,
)
from query.journey import Asked, Told, fold
from query.journey.rules import HOUR_NS
from tests.journeys import tell
from tests.trails import SECOND, START_S, event_id, scan

if TYPE_CHECKING:
    from collections.abc import Iterable

    from query.journey import Instance

START_NS = START_S * SECOND
WITHDRAWN = CorrectionKind.CORRECTION_KIND_DID_NOT_OCCUR
WRONG_DATA = CorrectionKind.CORRECTION_KIND_INCORRECT_DATA


def say(
    what: str,
    hour: float,
    facility: str = "",
    *,
    name: object = None,
    source: str = "scanner-1",
    **fields: Any,  # noqa: ANN401 - whatever the test names.
) -> Told:
    """Tell one event: what, at which hour, and where. The same name is the same event id."""
    event = scan(
        f"{what} {hour} {facility}" if name is None else name,
        minute=hour * 60,
        facility=facility,
        type=ScanEventType.Value(f"SCAN_EVENT_TYPE_{what}"),
        **fields,
    )
    return tell(event, source)


def notice(what: str, hour: float, facility: str = "", **fields: Any) -> Told:  # noqa: ANN401
    """Tell what a system made, and nobody saw."""
    system = CaptureMethod.CAPTURE_METHOD_SYSTEM_NOTICE
    return say(what, hour, facility, capture_method=system, **fields)


def correct(
    target: Told,
    kind: CorrectionKind.ValueType,
    what: str,
    hour: float,
    **fields: Any,  # noqa: ANN401
) -> Told:
    """Tell that an earlier event was wrong."""
    correction = Correction(
        tracking_number=target.event.tracking_number,
        source_id=target.source_id,
        event_id=target.event.event_id,
        kind=kind,
    )
    return say(what, hour, name=("correction", what, hour), correction=correction, **fields)


def other_content(one: Told, **fields: object) -> Told:
    """Tell the same identity with other content."""
    event = ScanEvent.FromString(one.data)
    event.MergeFrom(ScanEvent(**fields))  # type: ignore[arg-type] # Whatever the test names.
    assert event.event_id == one.event.event_id != event_id("")
    return tell(event, one.source_id, one.key)


def read(
    told: Iterable[Told], *, hour: float | None = None, asked: Asked | None = None
) -> Instance:
    """Give the newest item of a story; at an hour, or at the end of the story."""
    told = list(told)
    now_ns = max(one.scan_time_ns for one in told)
    if hour is not None:
        now_ns = START_NS + int(hour * HOUR_NS)
    found = fold(told, asked._replace(now_ns=now_ns) if asked else Asked(now_ns))
    assert found
    return found.instance


def usual() -> list[Told]:
    """Tell a usual way up to the tour."""
    return [
        notice("LABEL_CREATED", 0),
        say("ACCEPTED", 10, "PO"),
        say("DEPARTED", 12, "PO", next_facility="SC"),
        say("ARRIVED", 14, "SC"),
        say("SORTED", 16, "SC"),
        say("DEPARTED", 20, "SC", next_facility="DU"),
        say("ARRIVED", 30, "DU"),
        say("OUT_FOR_DELIVERY", 33, "DU"),
    ]
