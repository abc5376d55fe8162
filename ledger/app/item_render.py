"""Items as a person reads them: status, four stages, a timeline with places and local times. Pure.

A customer and an agent see the same, in the same words; what an agent sees beside it comes from
`agent_lines`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from ledger.app.item_words import (
    PRESENCE_WORDS,
    STYLES,
    confidence_words,
    where_words,
)
from ledger.app.place_render import NONE_KNOWN, as_event, local_time, place_of, place_words
from ledger.app.render import printable, utc_time
from ledger.app.stage_render import stage_lines
from ledger.v1 import item_pb2 as pb
from ledger.v1.trail_service_pb2 import LookupStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ledger.app.item_words import ItemWords
    from ledger.app.place_render import Known
    from ledger.v1.item_service_pb2 import ItemAnswer
    from ledger.v1.scan_event_pb2 import ScanEvent

Line = Text | Table


def item_lines(answer: ItemAnswer, words: ItemWords, known: Known = NONE_KNOWN) -> Iterator[Line]:
    """Give all that a customer sees of one item."""
    if not answer.HasField("item"):
        yield Text(nothing_words(answer, words))
        return
    item = answer.item
    yield _title(answer, words)
    yield from _beside(item, words, known)
    yield Text()
    yield from stage_lines(item, known)
    if len(item.legs) > 1:
        yield Text()
        yield from (_leg(leg, words) for leg in item.legs)
    if item.events:
        yield Text()
        yield timeline(item.events, words, known)
    if item.has_more:
        yield Text("There is more; `parcel-ledger trail` shows all.", "yellow")
    yield from _notes(item, words, known)
    if answer.others:
        others = _count(len(answer.others), "other item")
        yield Text(f"This number was used before, by {others}.", "yellow")


def nothing_words(answer: ItemAnswer, words: ItemWords) -> str:
    """Say why there is no item."""
    number = printable(answer.tracking_number)
    if answer.message:
        return f"{number}: {answer.message}" if number else answer.message
    if answer.oversized:
        return f"{number} has too many scans for a status; `parcel-ledger trail` shows them."
    if answer.quarantined_count:
        return f"What was recorded for {number} lies in quarantine, and cannot be read."
    return words.unseen(answer.tracking_number)


def items_table(
    answers: Iterable[ItemAnswer], words: ItemWords, known: Known = NONE_KNOWN
) -> Table:
    """Give several items, one a line."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("number", "status", "since"):
        table.add_column(name, no_wrap=True)
    table.add_column("place", overflow="fold")
    table.add_column("beside it", overflow="fold")
    for answer in answers:
        number = Text(printable(answer.tracking_number))
        if not answer.HasField("item"):
            table.add_row(
                number, _absence(answer, words), Text(), Text(), Text(printable(answer.message))
            )
            continue
        item = answer.item
        since = local_time(as_event(item.since, item.place.facility), known)
        flags = ", ".join(map(words.flag, item.flags))
        table.add_row(
            number, _milestone(item, words), since, _place(item, known), Text(flags, "yellow")
        )
    return table


def timeline(events: Iterable[pb.ItemEvent], words: ItemWords, known: Known = NONE_KNOWN) -> Table:
    """Give events, one a line: local time, what happened, and where."""
    table = _lines_table()
    for one in events:
        table.add_row("", *_cells(one, words, known))
    return table


def agent_lines(answer: ItemAnswer, words: ItemWords, known: Known = NONE_KNOWN) -> Iterator[Line]:
    """Give what an agent sees beside what the customer does."""
    item = answer.item
    yield Text(f"Filed under {', '.join(map(printable, answer.tracking_keys))}.")
    if answer.more_keys:
        yield Text("The item has more keys; these are the nearest.", "yellow")
    if answer.quarantined_count:
        yield Text(f"{answer.quarantined_count:,} of its records lie in quarantine.", "yellow")
    if item.carriers:
        yield Text(f"Told by {', '.join(map(printable, item.carriers))}.")
    for leg in item.legs:
        missing = f", {leg.missing_count:,} or more missing" if leg.missing_count else ""
        yield Text(
            f"{words.leg(leg.kind)}: {_count(leg.scan_count, 'scan')}, "
            f"{_count(leg.notice_count, 'notice')}"
            f"{missing}."
        )
    if item.HasField("delivered"):
        yield from _confidence(item.delivered, words)
    for conflict in item.conflicts:
        yield Text("One scan came with several contents, and all count:", "bold red")
        yield timeline(conflict.versions, words, known)
    for other in answer.others:
        carriers = f", {', '.join(map(printable, other.carriers))}" if other.carriers else ""
        yield Text(
            f"Another item had this number: {words.milestone(other.milestone)}, "
            f"{utc_time(other.first_time)} to {utc_time(other.last_time)}{carriers}."
        )


def _title(answer: ItemAnswer, words: ItemWords) -> Text:
    item = answer.item
    title = Text(printable(answer.tracking_number), "bold")
    return title.append("  ").append_text(_milestone(item, words))


def _milestone(item: pb.Item, words: ItemWords) -> Text:
    return Text(words.milestone(item.milestone), STYLES.get(item.milestone, "bold"))


def _beside(item: pb.Item, words: ItemWords, known: Known) -> Iterator[Line]:
    """Say where it is, since when, and what is to be known beside that."""
    place = _place(item, known)
    if place:
        yield Text(place[:1].upper() + place[1:])
    if item.containers:
        yield Text(words.inside([one.tracking_key for one in item.containers]))
    if item.HasField("silent"):
        yield Text(
            f"Like this for {words.duration(item.in_state)}; last seen "
            f"{words.duration(item.silent)} ago.",
            "dim",
        )
    for flag in item.flags:
        yield Text(f"! {words.flag(flag)}", "yellow")


def _place(item: pb.Item, known: Known) -> str:
    place = item.place
    where = where_words(place.facility, place.words, known)
    if not (place.presence and where):
        return ""
    words = f"{PRESENCE_WORDS.get(place.presence, f'presence {place.presence}')} {where}"
    towards = f" → {where_words(place.next_facility, '', known)}" if place.next_facility else ""
    return words + towards


def _leg(leg: pb.ItemLeg, words: ItemWords) -> Text:
    line = Text(f"{words.leg(leg.kind)}, from {local_time(as_event(leg.start, ''))}: ")
    return line.append(words.milestone(leg.milestone), STYLES.get(leg.milestone, ""))


def _notes(item: pb.Item, words: ItemWords, known: Known) -> Iterator[Line]:
    """Say what was corrected, and what is not certain."""
    if item.corrections:
        yield Text()
        yield Text("Corrected, with what was said before:", "bold")
        table = _lines_table()
        for made in item.corrections:
            for old in made.corrected:
                table.add_row(
                    "-", *(Text(str(cell), "strike dim") for cell in _cells(old, words, known))
                )
            sign = "+" if made.in_effect else "?"  # Without effect: it was itself corrected.
            table.add_row(sign, *_cells(made.by, words, known))
        yield table
    if item.doubts:
        yield Text()
        yield Text(f"{words.label('doubts')}:", "bold")
        for doubt in item.doubts:
            yield Text(f"- {words.doubt(doubt)}")


def _lines_table() -> Table:
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, width=1)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    return table


def _cells(one: pb.ItemEvent, words: ItemWords, known: Known) -> tuple[Text, Text, Text]:
    mapped = one.mapped if one.HasField("mapped") else None
    return (
        Text(local_time(one.event, known)),
        Text(words.event(one.event, mapped, one.container_keys)),
        Text(_place_of(one.event, known)),
    )


def _place_of(event: ScanEvent, known: Known) -> str:
    """Say where an event was: as the status does; where there is no more, its position."""
    where = where_words(event.facility, place_words(event), known)
    return where or printable(place_of(event))


def _confidence(done: pb.DeliveredStage, words: ItemWords) -> Iterator[Text]:
    kept = len(done.attachments)
    documents = f"; {_count(kept, 'document')} elsewhere" if kept else ""
    sealed = "; personal data is sealed beside it" if done.has_personal else ""
    trust = confidence_words(done.confidence)
    yield Text(f"{words.label('delivery')}: {trust}{documents}{sealed}.")
    yield from (Text(f"- {words.weakness(one)}") for one in done.weaknesses)


def _absence(answer: ItemAnswer, words: ItemWords) -> Text:
    if answer.oversized or answer.quarantined_count:
        return Text("no status", "yellow")
    if answer.status == LookupStatus.LOOKUP_STATUS_NOT_YET_SEEN:
        return Text(words.unseen_briefly(), "dim")
    name = LookupStatus.Name(answer.status) if answer.status in LookupStatus.values() else ""
    return Text(name.removeprefix("LOOKUP_STATUS_").replace("_", " ").lower(), "dim")


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
