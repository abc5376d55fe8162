"""Quarantine, jobs and upkeep as a person reads them. Pure: messages in, tables and lines out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from rich.table import Table
from rich.text import Text

from ledger.app.render import position_words, printable, reason_words, utc_time
from ledger.v1.backup_pb2 import Backup
from ledger.v1.comparison_pb2 import ComparedFault, Comparison
from ledger.v1.operator_service_pb2 import (
    GetQuarantinedResponse,
    Job,
    JobState,
    ListUnmappedResponse,
    QuarantineItem,
    QuarantineState,
    UnmappedCode,
)
from ledger.v1.rebuild_pb2 import Rebuild, StoreGeneration, StoreGenerationState
from ledger.vocabulary import Mapping

SHOWN_BYTES: Final = 512
"""Bytes of a record that are shown as hexadecimal; --json has all."""

_STATE_STYLES: Final = {
    QuarantineState.QUARANTINE_STATE_OPEN: "yellow",
    QuarantineState.QUARANTINE_STATE_REPLAYED: "green",
    QuarantineState.QUARANTINE_STATE_DROPPED: "dim",
}
_FAULT_WORDS: Final = {
    ComparedFault.COMPARED_FAULT_MISSING: "the row is missing",
    ComparedFault.COMPARED_FAULT_OTHER: "another row stands in its place",
    ComparedFault.COMPARED_FAULT_SURPLUS: "a row that nobody should have written",
}
_GENERATION_WORDS: Final = {
    StoreGenerationState.STORE_GENERATION_STATE_SERVING: "serves",
    StoreGenerationState.STORE_GENERATION_STATE_BUILDING: "half built; `rebuild` goes on with it",
    StoreGenerationState.STORE_GENERATION_STATE_KEPT: "served before, and is kept",
}
_JOB_STYLES: Final = {
    JobState.JOB_STATE_DONE: "green",
    JobState.JOB_STATE_FAILED: "bold red",
    JobState.JOB_STATE_CANCELLED: "yellow",
}


def items_table(items: Iterable[QuarantineItem]) -> Table:
    """Give what is in quarantine."""
    table = _table("position", "since", "state", "reason", "item", "source")
    for item in items:
        table.add_row(
            position_words(item.position),
            utc_time(item.quarantine_time),
            state_words(item),
            reason_words(item.reason),
            Text(printable(item.tracking_key)),
            Text(printable(item.source_id)),
        )
    return table


def item_table(answer: GetQuarantinedResponse) -> Table:
    """Give one record in quarantine, with all that is known of it."""
    item, record = answer.item, answer.record
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    sequence = f"{record.spool_id.hex()} {record.sequence}" if record.spool_id else ""
    rows: dict[str, str | Text] = {
        "position": position_words(item.position),
        "state": state_words(item),
        "since": utc_time(item.quarantine_time),
        "reason": reason_words(item.reason),
        "why": printable(item.message),
        "item": printable(item.tracking_key),
        "source": printable(item.source_id),
        "spool, sequence": sequence,
        "by": printable(item.note_by),
        "at": utc_time(item.note_time) if item.HasField("note_time") else "",
        "note": printable(item.note_why),
        "bytes": f"{record.value_bytes:,}",
        "SHA-256": record.value_sha256.hex(),
        "record": record.value[:SHOWN_BYTES].hex(" ", 4)
        + (" …" if len(record.value) > SHOWN_BYTES else ""),
    }
    for name, value in rows.items():
        if value:
            table.add_row(name, value if isinstance(value, Text) else Text(value))
    return table


def state_words(item: QuarantineItem) -> Text:
    """Say what became of an item."""
    state = item.state
    known = state in QuarantineState.values()
    word = QuarantineState.Name(state) if known else f"state {state}"
    words = word.removeprefix("QUARANTINE_STATE_").lower()
    if item.HasField("replayed_to"):
        words += f" to {position_words(item.replayed_to)}"
    return Text(words, _STATE_STYLES.get(state, ""))


def jobs_table(jobs: Iterable[Job]) -> Table:
    """Give jobs."""
    table = _table("job", "kind", "state", "done", "began", "ended", "")
    for job in jobs:
        table.add_row(
            job.job_id,
            Text(printable(job.kind)),
            _job_state(job),
            f"{job.done:,} of {job.total:,}" if job.total else "",
            utc_time(job.start_time) if job.HasField("start_time") else "",
            utc_time(job.end_time) if job.HasField("end_time") else "",
            Text(printable(job.error or job.message)),
        )
    return table


def job_line(job: Job) -> Text:
    """Give one job as a line."""
    line = Text.assemble(f"{printable(job.kind)} {job.job_id} ", _job_state(job))
    if job.total:
        line.append(f": {job.done:,} of {job.total:,}")
    for words in filter(None, (job.message, job.error)):
        line.append(f"; {printable(words)}")
    return line


def comparison_lines(comparison: Comparison) -> Iterator[Text]:
    """Give what came of comparing store and log, line by line."""
    held = f"{comparison.rows:,} rows for {comparison.records:,} settled records"
    if comparison.same:
        yield Text.assemble(("The store holds what the log says", "green"), f": {held}.")
    else:
        yield Text.assemble(("Store and log differ", "bold red"), f": {held}.")
    for one in comparison.positions:
        words = _FAULT_WORDS.get(one.fault, "differs")
        key = f" {printable(one.tracking_key)}" if one.tracking_key else ""
        inside = " (contents)" if one.contents else ""
        yield Text(f"  {position_words(one.position)}{key}{inside}: {words}")
    unnamed = comparison.position_count - len(comparison.positions)
    if unnamed:
        yield Text(f"  and {unnamed:,} positions more")
    for each in comparison.ranges:
        first = position_words(each.first)
        counts = f"{each.store_rows:,} rows in the store, {each.log_rows:,} by the log"
        yield Text(f"  the 65,536 positions from {first}: {counts}")
    if comparison.range_count > len(comparison.ranges):
        yield Text(f"  and {comparison.range_count - len(comparison.ranges):,} ranges more")
    if comparison.younger_rows:
        yield Text(f"{comparison.younger_rows:,} rows are not settled yet: not compared.", "dim")
    if comparison.other_generation_rows:
        count = f"{comparison.other_generation_rows:,}"
        yield Text(f"{count} rows are of other generations of the log: not compared.", "dim")


def backup_line(backup: Backup) -> Text:
    """Give what was backed up."""
    records = sum(one.next_index for one in backup.partitions)
    return Text.assemble(
        ("The backup is whole", "green"),
        f": {printable(backup.folder)}, {backup.files:,} files, {backup.bytes:,} bytes, at least "
        f"{records:,} scans.",
    )


def rebuild_lines(rebuild: Rebuild) -> Iterator[Text]:
    """Give which generation serves now, and which is kept."""
    yield Text.assemble(
        (f"Generation {rebuild.store_generation} of the store serves", "green"),
        f": {rebuild.records:,} records were brought to it, and {rebuild.compared_rows:,} rows "
        f"compared with the log.",
    )
    before = rebuild.previous_store_generation
    yield Text(f"Generation {before} is kept: `parcel-ledger rebuild drop {before}` removes it.")


def generation_line(one: StoreGeneration) -> Text:
    """Give a generation and what it is there for."""
    words = _GENERATION_WORDS.get(one.state, "does not serve")
    return Text(f"generation {one.store_generation}: {words}")


def unmapped_table(codes: Iterable[UnmappedCode]) -> Table:
    """Give codes that no mapping explains."""
    table = _table("system", "code", "scans", "last scanned", "shown as", "from", "for example")
    for code in codes:
        system = printable(code.code_system)
        texts = (*code.source_texts, *code.source_reason_codes, *code.source_action_codes)
        table.add_row(
            Text(system if code.system_is_known else f"{system} (no mapping)"),
            Text(printable(code.source_code)),
            f"{code.count:,}",
            utc_time(code.last_scan_time)[:16],
            *(
                Text(", ".join(map(printable, some)))
                for some in (texts, code.source_ids, code.tracking_keys)
            ),
        )
    return table


def unmapped_words(answer: ListUnmappedResponse) -> str:
    """Say what was looked through, and how much of it is explained."""
    left_out = (
        f" {answer.left_out_count:,} more have codes that are not shown."
        if answer.left_out_count
        else ""
    )
    nothing = "" if answer.codes else "Every code is explained. "
    return (
        f"{nothing}Looked through {answer.looked_at_count:,} of {answer.record_count:,} records, "
        f"the newest; {answer.mapped_count:,} have a code that a mapping explains.{left_out}"
    )


def mappings_table(mappings: Iterable[Mapping]) -> Table:
    """Give mappings, in the order in which they are asked."""
    table = _table("system", "version", "codes", "also", "")
    for mapping in mappings:
        codes = len({mapping.key(row.code) for row in mapping.rows})
        table.add_row(
            mapping.system,
            mapping.version,
            f"{codes:,}",
            ", ".join(mapping.also),
            Text(printable(mapping.title)),
        )
    return table


def _job_state(job: Job) -> Text:
    known = job.state in JobState.values()
    word = JobState.Name(job.state).removeprefix("JOB_STATE_").lower() if known else "running"
    return Text(word, _JOB_STYLES.get(job.state, ""))


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in columns:
        table.add_column(name, overflow="fold", no_wrap=name == "position")
    return table
