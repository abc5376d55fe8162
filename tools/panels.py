"""How each metric of ledger/metrics.py is shown: in which row, under which title, in which unit.

What a metric means, and which labels it has, is said in ledger/metrics.py alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

EACH = "each"
SUM = "sum"
MAX = "max"


class Panel(NamedTuple):
    """One metric on the dashboard."""

    metric: str
    """The name of the object in ledger/metrics.py, or of a metric of the process."""
    title: str
    unit: str
    """As Grafana calls it: `cps` is so many a second, `s` seconds, `short` a plain number."""
    how: str = EACH
    """What is done with a gauge of several processes: EACH, SUM or MAX. Counters are added up, as
    rates; of histograms the middle and the slowest hundredth are shown.
    """


class Row(NamedTuple):
    """Panels that belong together."""

    title: str
    panels: Sequence[Panel]


ROWS: Final = (
    Row(
        "Does it work",
        (
            Panel("READY", "Ready", "bool_yes_no"),
            Panel("ENGINE_REACHABLE", "Log and store answer", "bool_yes_no"),
            Panel("BUILD", "Processes by role and version", "short"),
            Panel("INGEST_DURABLE", "Scans acknowledged", "cps"),
            Panel("LOG_UNREAD_RECORDS", "Scans that no trail shows yet", "short", MAX),
            Panel("QUERY_REQUESTS", "Requests answered", "reqps"),
        ),
    ),
    Row(
        "Scans in",
        (
            Panel("INGEST_ACK_SECONDS", "From a batch to its result", "s"),
            Panel("INGEST_REFUSED", "Scans refused", "cps"),
            Panel("INGEST_RESEND", "Scans to be sent again", "cps"),
            Panel("INGEST_REFUSALS_OVER_LIMIT", "Refused scans beyond a source's limit", "cps"),
            Panel("INGEST_BATCHES", "Batches", "cps"),
            Panel("INGEST_RECEIPTS", "Receipts", "cps"),
            Panel("INGEST_RECEIPTS_FAILED", "Failed appends of receipts", "cps"),
            Panel("INGEST_RECEIPTS_DROPPED", "Receipts dropped", "cps"),
            Panel("INGEST_SEQUENCE_CONFLICTS", "Sequences with two contents", "cps"),
            Panel("INGEST_STREAMS", "Streams open", "short"),
            Panel("INGEST_WINDOW_SHARE", "Share of the window that senders get", "percentunit"),
            Panel("INGEST_PENDING_BYTES", "On its way to the log", "bytes"),
        ),
    ),
    Row(
        "The log",
        (
            Panel("LOG_APPENDED", "Records appended", "cps"),
            Panel("LOG_APPEND_SECONDS", "One append", "s"),
            Panel("LOG_COMMIT_SECONDS", "One synced commit (embedded)", "s"),
            Panel("LOG_PRODUCERS_REPLACED", "Producers replaced (Kafka)", "cps"),
            Panel("LOG_REBALANCES", "Partitions shared out anew (Kafka)", "cps"),
        ),
    ),
    Row(
        "Trails and their store",
        (
            Panel("WRITER_ROWS", "Rows kept", "cps"),
            Panel("WRITER_LAG_SECONDS", "From recorded to readable", "s"),
            Panel("WRITER_PARTITIONS", "Partitions of each writer", "short"),
            Panel("WRITER_READABLE_INDEX", "Readable, by partition", "short", MAX),
            Panel("WRITER_SETTLED_INDEX", "Settled, by partition", "short", MAX),
            Panel("WRITER_RETRIES", "Calls repeated", "cps"),
            Panel("WRITER_REWINDS", "Times gone back to what is settled", "cps"),
            Panel("STORE_ERRORS", "Failed requests to the store", "cps"),
            Panel("PROGRESS_ENTRIES", "Entries of the progress history", "cps"),
            Panel("PROGRESS_AGE_SECONDS", "Age of its last entry", "s"),
        ),
    ),
    Row(
        "Quarantine",
        (
            Panel("QUARANTINED", "Records put into quarantine", "cps"),
            Panel("QUARANTINE_OPEN", "Open in quarantine", "short", MAX),
            Panel("QUARANTINE_SHARE", "Share of what was read last", "percentunit"),
        ),
    ),
    Row(
        "Completeness",
        (
            Panel("COMPLETENESS_SCANS", "Scans in no trail, by where they are", "short", MAX),
            Panel("COMPLETENESS_OLDEST_SECONDS", "Age of the oldest that is missing", "s", MAX),
            Panel("COMPLETENESS_SILENT", "Silent sources", "short", MAX),
            Panel("COMPLETENESS_BEYOND", "Sources that nobody audits", "short", MAX),
            Panel("COMPLETENESS_RECORDS", "Records looked through for lost receipts", "cps"),
        ),
    ),
    Row(
        "Trails out",
        (
            Panel("QUERY_SECONDS", "From a request to its answer", "s"),
            Panel("QUERY_ENTRIES", "Entries sent", "cps"),
            Panel("QUERY_WATCHES", "Watches open", "short"),
            Panel("QUERY_UNMAPPED", "Entries sent with a code that no mapping explains", "cps"),
        ),
    ),
    Row(
        "Issuing of numbers",
        (
            Panel("NUMBERS_ISSUED", "Numbers issued", "cps"),
            Panel("NUMBERS_FREE", "Free of each range, as last seen", "percentunit"),
            Panel("NUMBERS_WASTED", "Numbers left out until their next turn", "cps"),
            Panel("NUMBERS_CONTENDED", "Takes that another issuer was before", "cps"),
        ),
    ),
    Row(
        "Gateways",
        (
            Panel("SPOOL_UNSETTLED", "Scans to forward", "short"),
            Panel("SPOOL_OLDEST_SECONDS", "Age of the oldest", "s"),
            Panel("SPOOL_OVERDUE", "Older than the limit", "bool_yes_no"),
            Panel("SPOOL_LEDGER_CONNECTED", "The ledger's stream is open", "bool_yes_no"),
            Panel("SPOOL_FORWARDED", "Scans forwarded", "cps"),
            Panel("SPOOL_BYTES", "The spool on its disk", "bytes"),
            Panel("SPOOL_BYTES_MAX", "What it may take", "bytes"),
            Panel("SPOOL_TURNED_AWAY", "Scans turned away", "cps"),
            Panel("SPOOL_LISTED", "Scans in the list of refused ones", "short"),
            Panel("SPOOL_LET_GO", "Of these, let go as it was full", "short"),
            Panel("SPOOL_HELD_SOURCES", "Sources kept back", "short"),
        ),
    ),
    Row(
        "Processes",
        (
            Panel("process_cpu_seconds_total", "Processors in use", "short"),
            Panel("process_resident_memory_bytes", "Memory", "bytes"),
            Panel("process_virtual_memory_bytes", "Address space", "bytes"),
            Panel("process_open_fds", "Open files and connections", "short"),
            Panel("process_max_fds", "The most of them that are allowed", "short"),
            Panel("process_start_time_seconds", "Up for", "s"),
            Panel("LOOP_LAG_SECONDS", "How late the event loop is", "s"),
        ),
    ),
)
"""The whole dashboard, from above."""
