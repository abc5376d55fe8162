"""What sources' own codes mean, said beside their events in an answer. Nothing of it is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger import metrics
from ledger.v1.raw_pb2 import RawTrailEntry
from ledger.v1.scan_event_pb2 import ScanEventType
from ledger.v1.vocabulary_pb2 import CodeFlag, MappedEvent
from ledger.vocabulary import Flag

if TYPE_CHECKING:
    from ledger.v1.scan_event_pb2 import ScanEvent
    from ledger.vocabulary import Mappings
    from ledger.vocabulary.mappings import Mapped

CODE_FLAGS: Final = {
    Flag.REASON_MISSING: CodeFlag.CODE_FLAG_REASON_MISSING,
    Flag.ACTION_MISSING: CodeFlag.CODE_FLAG_ACTION_MISSING,
    Flag.CLOCK_NOT_STOPPED: CodeFlag.CODE_FLAG_CLOCK_NOT_STOPPED,
}
"""How each flag is said."""

OTHER: Final = "other"
"""How the metric calls code systems without a mapping."""

_UNMAPPED: Final = ScanEventType.SCAN_EVENT_TYPE_UNMAPPED


def begin_to_count(mappings: Mappings) -> None:
    """Show a 0 for each code system: of a series that begins with 1 nobody sees the increase."""
    for system in {OTHER, *(one.system for one in mappings.all)}:
        metrics.QUERY_UNMAPPED.labels(system)


def explained(event: ScanEvent, mappings: Mappings) -> RawTrailEntry | None:
    """Give an entry that says what the code of an event means, where the event does not say it
    itself, and what the code should have come with. None where there is nothing to say, as of an
    unknown code.
    """
    is_unmapped = event.type == _UNMAPPED
    if not is_unmapped and mappings.is_silent(event):
        return None
    found = mappings.inwards(event)
    if found is None:
        if is_unmapped:
            # By our own names: a source may write its system in as many ways as it likes.
            metrics.QUERY_UNMAPPED.labels(mappings.system_of(event.code_system) or OTHER).inc()
        return None
    row = found.row
    if not (is_unmapped or row.needs):
        return None
    out = RawTrailEntry()
    if is_unmapped:
        _put(out.mapped, found, event)
    if row.needs:
        out.marks.code_flags.extend(CODE_FLAGS[flag] for flag in row.flags(event))
    return out


def mapped_event(event: ScanEvent, mappings: Mappings) -> MappedEvent | None:
    """Give what the code of an event without a type of its own means; None where nobody knows."""
    found = mappings.inwards(event)
    if found is None:
        return None
    mapped = MappedEvent()
    _put(mapped, found, event)
    return mapped


def _put(mapped: MappedEvent, found: Mapped, event: ScanEvent) -> None:
    """Put a meaning; what the event says itself goes before what its code says."""
    meaning = found.row.meaning
    mapped.mapping = found.mapping.system
    mapped.mapping_version = found.mapping.version
    mapped.type = ScanEventType.ValueType(meaning.type)
    for name in ("reason", "action", "delivery_mode", "customs_direction"):
        value = getattr(event, name) or getattr(meaning, name)
        if value:
            setattr(mapped, name, value)
    if meaning.facility_role:
        mapped.facility_role = meaning.facility_role
    if meaning.action_required:
        mapped.action_required = True
