"""Completeness as a person and a program read it. Pure: messages in; a line, a table, documents
out.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp
from rich.table import Table
from rich.text import Text

from ledger.app.render import printable
from ledger.v1 import operator_service_pb2 as pb

_STATE_STYLES: Final = {
    pb.COMPLETENESS_STATE_WITHOUT_RECORD: "bold red",
    pb.COMPLETENESS_STATE_NEVER_ARRIVED: "bold red",
    pb.COMPLETENESS_STATE_UNCONFIRMED: "red",
    pb.COMPLETENESS_STATE_QUARANTINED: "yellow",
    pb.COMPLETENESS_STATE_SILENT: "yellow",
}

_SETTLED: Final = {
    pb.COMPLETENESS_STATE_REFUSED,
    pb.COMPLETENESS_STATE_DROPPED,
    pb.COMPLETENESS_STATE_SETTLED,
    pb.COMPLETENESS_STATE_SILENT,
}
"""What is never missing, however old."""


def summary_line(page: pb.ListCompletenessFindingsResponse) -> Text:
    """Say whether all is there, and the sums."""
    verdict = ("Complete", "bold green") if page.complete else ("Not complete", "bold red")
    spools = "spool" if page.spool_count == 1 else "spools"
    line = Text.assemble(verdict)
    line.append(f": {page.minted_count:,} scans minted, in {page.spool_count:,} {spools}")
    for one in page.sums:
        line.append(f"; {one.count:,} {state_words(one.state)}")
        young = one.count - one.missing_count
        if young and one.state not in _SETTLED:
            line.append(f" ({young:,} of them too young to be missing)")
    if page.unread_count:
        line.append(f"; {page.unread_count:,} more records are in no trail yet, and of any source")
    if page.untracked_count:
        line.append(f"; {page.untracked_count:,} sources beyond the limit were not looked at")
    if page.forgotten_count:
        line.append(f"; {page.forgotten_count:,} spools have more gaps than can be told apart")
    return line.append(".")


def findings_table(page: pb.ListCompletenessFindingsResponse) -> Table:
    """Give what was found."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("source", "spool", "sequences"):
        table.add_column(name, overflow="fold")
    table.add_column("scans", justify="right")
    for name in ("where", "facility", "day", "for"):
        table.add_column(name, overflow="fold", no_wrap=name == "where")
    for one in page.findings:
        table.add_row(
            Text(printable(one.source_id)),
            one.spool_id.hex()[:8],
            sequences_words(one),
            f"{_count(one):,}" if _count(one) else "",
            Text(state_words(one.state), _STATE_STYLES.get(one.state, "") if _counts(one) else ""),
            Text(printable(one.facility)),
            one.day,
            age_words(page.find_time.seconds - one.since_time.seconds),
        )
    return table


def settled_lines(page: pb.ListCompletenessFindingsResponse) -> Iterator[str]:
    """Say who settled what, and why."""
    for one in page.findings:
        if one.state == pb.COMPLETENESS_STATE_SETTLED:
            what = f"{one.source_id} {sequences_words(one)}"
            who = f"by {one.settled_by} at {_iso(one.settle_time)}: {one.settled_why}"
            yield printable(f"{what}: settled {who}")


def sequences_words(one: pb.CompletenessFinding) -> str:
    """Say which sequences it is."""
    if not one.last_sequence:
        return ""
    if one.first_sequence == one.last_sequence:
        return str(one.first_sequence)
    return f"{one.first_sequence} to {one.last_sequence}"


def state_words(state: int) -> str:
    """Say where scans are."""
    return _word(state).replace("_", " ")


def age_words(seconds: int) -> str:
    """Say how long it is, by its two largest units."""
    left = max(0, seconds)
    words = list[str]()
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or (unit == "s" and not words):
            words.append(f"{count} {unit}")
        elif words:
            break
    return " ".join(words[:2])


def head_document(page: pb.ListCompletenessFindingsResponse) -> dict[str, Any]:
    """Give all but the findings for a program."""
    return {
        "complete": page.complete,
        "found_at": _iso(page.find_time),
        "looked_through_until": _iso(page.look_time) if page.HasField("look_time") else None,
        "spools": page.spool_count,
        "minted": page.minted_count,
        "not_looked_at": {
            "records": page.unread_count,
            "sources": page.untracked_count,
            "forgotten_spools": page.forgotten_count,
        },
        "sums": {
            _word(one.state): {"scans": one.count, "missing": one.missing_count}
            for one in page.sums
        },
    }


def finding_document(one: pb.CompletenessFinding) -> dict[str, Any]:
    """Give one finding for a program."""
    document: dict[str, Any] = {
        "source": one.source_id,
        "spool": one.spool_id.hex(),
        "first": one.first_sequence,
        "last": one.last_sequence,
        "scans": _count(one),
        "state": _word(one.state),
        "missing": one.missing,
        "facility": one.facility,
        "day": one.day,
        "since": _iso(one.since_time),
    }
    if one.state == pb.COMPLETENESS_STATE_SETTLED:
        document["settled"] = {
            "by": one.settled_by,
            "why": one.settled_why,
            "at": _iso(one.settle_time),
        }
    return document


def _count(one: pb.CompletenessFinding) -> int:
    return one.last_sequence - one.first_sequence + 1 if one.last_sequence else 0


def _counts(one: pb.CompletenessFinding) -> bool:
    return one.missing or one.state == pb.COMPLETENESS_STATE_SILENT


def _word(state: int) -> str:
    if state not in pb.CompletenessState.values():
        return f"state_{state}"
    name = pb.CompletenessState.Name(pb.CompletenessState.ValueType(state))
    return name.removeprefix("COMPLETENESS_STATE_").lower()


def _iso(time: Timestamp) -> str:
    moment = datetime.fromtimestamp(time.seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time.nanos // 1_000_000:03d}Z"
