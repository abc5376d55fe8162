"""Trails and progress as a person reads them. Pure: messages in, tables and lines out.

Text of an event comes from anywhere, so whatever a terminal would obey is shown instead.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp
from rich.table import Table
from rich.text import Text

from ledger.app.partner_time import LOCAL_TIME_DOUBT
from ledger.app.place_render import NONE_KNOWN, Known, local_time, place_of
from ledger.event import event_type_name
from ledger.facilities import Doubt
from ledger.v1 import scan_event_pb2 as pb
from ledger.v1.ingest_service_pb2 import Durability
from ledger.v1.position_pb2 import Position
from ledger.v1.progress_service_pb2 import PartitionProgress
from ledger.v1.quarantine_pb2 import QuarantineReason
from ledger.v1.trail_service_pb2 import ClockFlag, EntryMarks, NumberFlag, TrailEntry
from ledger.v1.vocabulary_pb2 import CodeFlag, MappedEvent

CLOCK_WORDS: Final = {
    ClockFlag.CLOCK_FLAG_NEVER_SET: "clock never set",
    ClockFlag.CLOCK_FLAG_AHEAD: "clock ahead",
    ClockFlag.CLOCK_FLAG_LATE: "recorded late",
    ClockFlag.CLOCK_FLAG_SENDER_SKEWED: "sender's clock off",
    ClockFlag.CLOCK_FLAG_OFFSET_ASSUMED: "UTC assumed",
}
"""What each clock flag says."""

CODE_WORDS: Final = {
    CodeFlag.CODE_FLAG_REASON_MISSING: "reason missing",
    CodeFlag.CODE_FLAG_ACTION_MISSING: "action missing",
    CodeFlag.CODE_FLAG_CLOCK_NOT_STOPPED: "clock not stopped: no retention reason",
}
"""What each flag of a code says."""

NUMBER_WORDS: Final = {NumberFlag.NUMBER_FLAG_CHECK_DIGIT_WRONG: "check digit wrong"}
"""What each flag of a number says."""
DOUBT_WORDS: Final = {
    Doubt.AMBIGUOUS: "local time was twice, first taken",
    Doubt.SKIPPED: "local time never was",
}
"""What each doubt about a partner's local time says."""

DURABILITY_WORDS: Final = {
    Durability.DURABILITY_SYNCED: "synced to disk",
    Durability.DURABILITY_REPLICATED: "on at least two brokers",
    Durability.DURABILITY_WRITTEN: "in one broker's memory",
    Durability.DURABILITY_SPOOLED: "on the gateway's disk, not yet in the ledger",
}
"""What each durability says."""

WhatOf = Callable[[pb.ScanEvent, MappedEvent | None], str]
"""Says what happened; the second is what its source's own code means."""

_OUT: Final = pb.CONTAINMENT_DIRECTION_OUT
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STYLES: Final = {
    pb.SCAN_EVENT_TYPE_DELIVERED: "bold green",
    pb.SCAN_EVENT_TYPE_DELIVERY_ATTEMPTED: "yellow",
    pb.SCAN_EVENT_TYPE_DAMAGED: "bold red",
    pb.SCAN_EVENT_TYPE_LOST: "bold red",
    pb.SCAN_EVENT_TYPE_SEIZED: "bold red",
}
_WATCH_WIDTHS = (26, 34, 22, 22, 20)
"""Columns of a watched line, in characters: usual values fit, longer ones push the rest on."""


class Cells(NamedTuple):
    """One entry, column by column. Text is not markup: brackets in a scan are brackets."""

    time: Text
    event: Text
    place: Text
    device: Text
    source: Text
    marks: Text


def printable(text: str) -> str:
    """Show what a terminal would obey (escapes, reversed text) instead of doing it."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def utc_time(time: Timestamp) -> str:
    """Give a time of the ledger's own clock, in UTC."""
    moment = _EPOCH + timedelta(seconds=time.seconds, microseconds=time.nanos // 1_000)
    return f"{moment.strftime('%Y-%m-%d %H:%M:%S')}.{moment.microsecond // 1_000:03d}Z"


def what_of(event: pb.ScanEvent, mapped: MappedEvent | None = None) -> str:
    """Say what happened, with what matters of it; `mapped`: what its source's own code means."""
    shown = mapped or event
    said = event_type_name(shown.type).replace("_", " ").lower()
    if shown.type == pb.SCAN_EVENT_TYPE_UNMAPPED:
        said = f"{event.code_system} {event.source_code}"
    return printable(said) + details_of(event, mapped, _enum(shown, "reason"))


def details_of(event: pb.ScanEvent, mapped: MappedEvent | None, reason: str) -> str:
    """Say what matters of what happened, to stand behind it; `reason`: why, in words."""
    shown = mapped or event
    more = [
        _enum(shown, "delivery_mode"),
        reason,
        _enum(shown, "action"),
        _enum(shown, "customs_direction"),
        mapped.facility_role.replace("_", " ").lower() if mapped else "",
    ]
    if event.HasField("containment"):
        inner = event.containment
        which_way = "out of" if inner.direction == _OUT else _enum(inner, "direction")
        more.append(f"{which_way} {inner.container_number}".strip())
    if event.HasField("correction"):
        more.append(f"{_enum(event.correction, 'kind')} {event.correction.event_id.hex()[:8]}…")
    details = ", ".join(filter(None, more))
    said = f" ({details})" if details else ""
    if event.next_facility:
        said += f" → {event.next_facility}"
    return printable(said)


def marks_of(marks: EntryMarks) -> Text:
    """Say what a reader should know about an entry."""
    found = []
    if marks.conflict:
        found.append(("CONFLICT", "bold red"))
    if marks.corrected:
        found.append(("corrected", "yellow"))
    if marks.correction:
        found.append(("correction", "yellow"))
    if marks.duplicate_count:
        copies = "copy" if marks.duplicate_count == 1 else "copies"
        found.append((f"+{marks.duplicate_count} {copies}", "cyan"))
    if marks.HasField("replayed_position"):
        found.append(("out of quarantine", "cyan"))
    if marks.inherited_from:
        found.append((f"from {printable(marks.inherited_from)}", "cyan"))
    found += [(CLOCK_WORDS.get(flag, f"clock flag {flag}"), "dim") for flag in marks.clock_flags]
    found += [(CODE_WORDS.get(flag, f"code flag {flag}"), "yellow") for flag in marks.code_flags]
    found += [
        (NUMBER_WORDS.get(flag, f"number flag {flag}"), "yellow") for flag in marks.number_flags
    ]
    return Text(", ").join(Text(words, style) for words, style in found)


def cells_of(entry: TrailEntry, known: Known = NONE_KNOWN, what: WhatOf = what_of) -> Cells:
    """Give one entry, column by column; `known` are the facilities that came with it."""
    if entry.HasField("quarantined"):
        return _notice(entry)
    event = entry.event
    mapped = entry.mapped if entry.HasField("mapped") else None
    style = _STYLES.get(mapped.type if mapped else event.type, "")
    if entry.marks.corrected:
        style = "strike dim"
    return Cells(
        Text(local_time(event, known)),
        Text(what(event, mapped), style),
        Text(printable(place_of(event, known))),
        Text(printable(event.device)),
        Text(printable(entry.source_id)),
        _with_doubt(_with_mapping(marks_of(entry.marks), event, mapped), event),
    )


def _with_mapping(marks: Text, event: pb.ScanEvent, mapped: MappedEvent | None) -> Text:
    """Put before the marks whose word for an event this is: made on read, by which mapping."""
    if event.type != pb.SCAN_EVENT_TYPE_UNMAPPED:
        return marks
    if mapped is None:
        said = Text("no mapping", "yellow")
    else:
        code = f"{event.code_system} {event.source_code}"
        by = f"{mapped.mapping} {mapped.mapping_version}"
        said = Text(printable(f"mapped from {code} by {by}"), "dim")
        if mapped.action_required:
            said.append(", action required", "yellow")
    return Text(", ").join(filter(None, (said, marks)))


def _with_doubt(marks: Text, event: pb.ScanEvent) -> Text:
    """Put behind the marks where the event's offset was only inferred, and why its local time is in
    doubt.
    """
    words = [
        Text(DOUBT_WORDS[Doubt(one.value)], "yellow")
        for one in event.attributes
        if one.name == LOCAL_TIME_DOUBT and one.value in DOUBT_WORDS
    ]
    if event.utc_offset_source == pb.UTC_OFFSET_SOURCE_INFERRED:
        words.append(Text("time zone inferred", "dim"))
    return Text(", ").join(filter(None, (marks, *words)))


def _notice(entry: TrailEntry) -> Cells:
    """Give the notice that a record of the item lies in quarantine."""
    return Cells(
        Text(""),
        Text(f"in quarantine ({reason_words(entry.quarantined.reason)})", "bold yellow"),
        Text(position_words(entry.quarantined.position)),
        Text(""),
        Text(printable(entry.source_id)),
        marks_of(entry.marks),
    )


def trail_table(
    entries: Iterable[TrailEntry],
    known: Known = NONE_KNOWN,
    *,
    recorded: bool,
    with_keys: bool = False,
    what: WhatOf = what_of,
) -> Table:
    """Give a trail as a table; with `recorded` also when and where each entry was recorded, with
    `with_keys` also the key that it is filed under. `what` says what happened.
    """
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    if recorded:
        table.add_column("recorded", no_wrap=True)
        table.add_column("position", no_wrap=True)
    table.add_column("local time", no_wrap=True)
    filed = ("filed under",) if with_keys else ()
    for name in ("event", "place", "device", "source", *filed, "marks"):
        table.add_column(name, overflow="fold")
    for entry in entries:
        before = [utc_time(entry.record_time), position_of(entry)] if recorded else []
        *cells, marks = cells_of(entry, known, what)
        key = [Text(printable(entry.tracking_key))] if with_keys else []
        table.add_row(*before, *cells, *key, marks)
    return table


def watched_line(entry: TrailEntry, keys: Collection[str], known: Known = NONE_KNOWN) -> Text:
    """Give one entry as a line of a watch; `keys` are those of the number that is watched."""
    *columns, marks = cells_of(entry, known)
    line = Text(no_wrap=True, overflow="ignore")
    for cell, width in zip(columns, _WATCH_WIDTHS, strict=True):
        cell.pad_right(max(0, width - cell.cell_len))
        line.append_text(cell).append(" ")
    if entry.tracking_key not in keys:
        line.append(f"filed under {printable(entry.tracking_key)} ", "cyan")
    line.append_text(marks)
    line.rstrip()
    return line


def position_of(entry: TrailEntry) -> str:
    """Say where an entry's record lies."""
    return position_words(entry.position)


def position_words(at: Position) -> str:
    """Say where a record lies, as commands take it."""
    return f"{printable(at.log)}-g{at.generation}/{at.partition}/{at.index}"


def reason_words(reason: int) -> str:
    """Say in a word or two why a record could not be kept."""
    known = reason in QuarantineReason.values()
    word = QuarantineReason.Name(QuarantineReason.ValueType(reason)) if known else f"for {reason}"
    return word.removeprefix("QUARANTINE_REASON_").replace("_", " ").lower()


def progress_table(partitions: Sequence[PartitionProgress]) -> Table:
    """Give how far each partition is, and the sums."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("log")
    for name in ("partition", "readable", "settled", "to settle"):
        table.add_column(name, justify="right")
    table.add_column("last record")
    for one in partitions:
        behind = one.readable_index - one.settled_index
        table.add_row(
            f"{one.log}-g{one.generation}",
            str(one.partition),
            f"{one.readable_index:,}",
            f"{one.settled_index:,}",
            f"{behind:,}" if behind else "",
            utc_time(one.readable_record_time) if one.HasField("readable_record_time") else "",
        )
    readable = sum(one.readable_index for one in partitions)
    settled = sum(one.settled_index for one in partitions)
    sums = ("all", str(len(partitions)), f"{readable:,}", f"{settled:,}", f"{readable - settled:,}")
    table.add_row(*sums, "", style="bold")
    return table


def durability_words(durability: Durability.ValueType) -> str:
    """Say what durable means, in brackets; empty where nothing was said."""
    words = DURABILITY_WORDS.get(durability, "")
    return f" ({words})" if words else ""


def _enum(message: Any, name: str) -> str:  # noqa: ANN401 - any message with such a field.
    number = getattr(message, name)
    if not number:
        return ""
    values = message.DESCRIPTOR.fields_by_name[name].enum_type
    known = values.values_by_number.get(number)
    if not known:
        return f"{name} {number}"
    prefix = values.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return str(known.name).removeprefix(prefix).replace("_", " ").lower()
