"""Every metric of every role: name, unit, meaning, labels. Nothing else in the house makes one.

Roles take the objects from here. Labels are looked up once, outside of the hot path.
"""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)

# When each counter began is in no panel and no alert, and would be a third of the page.
disable_created_metrics()  # type: ignore[no-untyped-call] # It has no annotations.

REGISTRY = CollectorRegistry(auto_describe=True)
"""All metrics of this process."""

ProcessCollector(registry=REGISTRY)
"""process_*: its CPU seconds, memory, open files and start, where there is a /proc (Linux)."""

_LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

BUILD = Info("ledger_build", "Version and role of this process.", registry=REGISTRY)
READY = Gauge(
    "ledger_ready",
    "1 while this process can do its work: it has begun, what it needs answers, and it does not "
    "end.",
    registry=REGISTRY,
)
ENGINE_REACHABLE = Gauge(
    "ledger_engine_reachable",
    "1 while the log, or the store, answers this process.",
    ["engine"],
    registry=REGISTRY,
)
LOOP_LAG_SECONDS = Histogram(
    "ledger_loop_lag_seconds",
    "Seconds by which the event loop was late for a beat: how long everything else waited.",
    buckets=_LATENCY_BUCKETS_S,
    registry=REGISTRY,
)
INGEST_DURABLE = Counter(
    "ledger_ingest_durable_scans", "Scans acknowledged as durable.", registry=REGISTRY
)
INGEST_REFUSED = Counter(
    "ledger_ingest_refused_scans", "Scans refused, by reason.", ["reason"], registry=REGISTRY
)
INGEST_RESEND = Counter(
    "ledger_ingest_resend_scans",
    "Scans answered with: send again, by reason.",
    ["reason"],
    registry=REGISTRY,
)
INGEST_REFUSALS_OVER_LIMIT = Counter(
    "ledger_ingest_refusals_over_limit_scans",
    "Refused scans that were not kept, and are to be sent again, because their source has too many "
    "of them.",
    registry=REGISTRY,
)
INGEST_RECEIPTS = Counter(
    "ledger_ingest_receipts", "Receipts written, by kind.", ["kind"], registry=REGISTRY
)
INGEST_RECEIPTS_FAILED = Counter(
    "ledger_ingest_receipts_failed_appends",
    "Appends of receipts that failed and are tried again.",
    registry=REGISTRY,
)
INGEST_RECEIPTS_DROPPED = Counter(
    "ledger_ingest_receipts_dropped",
    "Receipts that were dropped because too many wait: what they say is unconfirmed, not lost.",
    registry=REGISTRY,
)
INGEST_SEQUENCE_CONFLICTS = Counter(
    "ledger_ingest_sequence_conflicts",
    "Scans whose sequence came with another content before: two senders use one spool.",
    registry=REGISTRY,
)
INGEST_BATCHES = Counter("ledger_ingest_batches", "Batches answered.", registry=REGISTRY)
INGEST_STREAMS = Gauge("ledger_ingest_streams", "Streams open now.", registry=REGISTRY)
INGEST_WINDOW_SHARE = Gauge(
    "ledger_ingest_window_share",
    "Share of the full window that senders get now: 1 while the log is quick and trails keep up.",
    registry=REGISTRY,
)
INGEST_PENDING_BYTES = Gauge(
    "ledger_ingest_pending_bytes",
    "Bytes admitted, or to be kept as refused, and not yet durable, by log.",
    ["log"],
    registry=REGISTRY,
)
INGEST_ACK_SECONDS = Histogram(
    "ledger_ingest_ack_seconds",
    "Seconds from a batch's arrival to its result.",
    buckets=_LATENCY_BUCKETS_S,
    registry=REGISTRY,
)
LOG_APPENDED = Counter(
    "ledger_log_appended_records", "Records appended, by log.", ["log"], registry=REGISTRY
)
LOG_COMMIT_SECONDS = Histogram(
    "ledger_log_commit_seconds",
    "Seconds of one synced group commit (embedded engine).",
    buckets=_LATENCY_BUCKETS_S,
    registry=REGISTRY,
)
LOG_APPEND_SECONDS = Histogram(
    "ledger_log_append_seconds",
    "Seconds of one append to one partition, until it was durable or failed, by log.",
    ["log"],
    buckets=_LATENCY_BUCKETS_S,
    registry=REGISTRY,
)
LOG_PRODUCERS_REPLACED = Counter(
    "ledger_log_producers_replaced",
    "Producers given up for new ones after an error that they would not have recovered from "
    "(Kafka).",
    registry=REGISTRY,
)
LOG_REBALANCES = Counter(
    "ledger_log_rebalances",
    "Times the partitions were shared out anew among the readers of a name (Kafka).",
    registry=REGISTRY,
)
LOG_UNREAD_RECORDS = Gauge(
    "ledger_log_unread_records",
    "Records of all partitions that no trail shows yet, whoever reads them. NaN where Kafka does "
    "not let ingest know.",
    registry=REGISTRY,
)
STORE_ERRORS = Counter(
    "ledger_store_errors",
    "Requests to the trail store that failed, by kind of error.",
    ["kind"],
    registry=REGISTRY,
)
WRITER_ROWS = Counter(
    "ledger_writer_rows", "Rows kept in the trail store, repeats included.", registry=REGISTRY
)
WRITER_READABLE_INDEX = Gauge(
    "ledger_writer_readable_index", "Next index that trails show.", ["partition"], registry=REGISTRY
)
WRITER_SETTLED_INDEX = Gauge(
    "ledger_writer_settled_index", "Next index that is settled.", ["partition"], registry=REGISTRY
)
WRITER_LAG_SECONDS = Gauge(
    "ledger_writer_lag_seconds",
    "Seconds from the record time of the last kept record to when it was readable.",
    registry=REGISTRY,
)
WRITER_RETRIES = Counter(
    "ledger_writer_retries",
    "Calls repeated because log or store was busy or unsure, by kind.",
    ["kind"],
    registry=REGISTRY,
)
WRITER_PARTITIONS = Gauge(
    "ledger_writer_partitions", "Partitions that this writer reads now.", registry=REGISTRY
)
WRITER_REWINDS = Counter(
    "ledger_writer_rewinds",
    "Times the writer went back to the settled marks, because a process of the store ended or came "
    "back.",
    registry=REGISTRY,
)
QUARANTINED = Counter(
    "ledger_quarantined_records",
    "Records that this writer put into quarantine, by reason, repeats included.",
    ["reason"],
    registry=REGISTRY,
)
QUARANTINE_OPEN = Gauge(
    "ledger_quarantine_open_records",
    "Records in quarantine that nobody has replayed or dropped.",
    registry=REGISTRY,
)
QUARANTINE_SHARE = Gauge(
    "ledger_quarantine_share_ratio",
    "Which part of the last 10,000 records that this writer read could not be kept.",
    registry=REGISTRY,
)
COMPLETENESS_SCANS = Gauge(
    "ledger_completeness_scans",
    "Scans that are not in a trail, by where they are; those that are on their way for less than a "
    "minute are left out.",
    ["state"],
    registry=REGISTRY,
)
COMPLETENESS_OLDEST_SECONDS = Gauge(
    "ledger_completeness_oldest_seconds",
    "Seconds since the oldest scan was heard of that is missing; 0 where none is.",
    registry=REGISTRY,
)
COMPLETENESS_SILENT = Gauge(
    "ledger_completeness_silent_sources",
    "Sources of which nothing was heard for an hour.",
    registry=REGISTRY,
)
COMPLETENESS_BEYOND = Gauge(
    "ledger_completeness_untracked_sources",
    "Sources that nobody audits, because there are too many.",
    registry=REGISTRY,
)
COMPLETENESS_RECORDS = Counter(
    "ledger_completeness_looked_through_records",
    "Records of the log that were looked through for scans without a receipt.",
    registry=REGISTRY,
)
PROGRESS_ENTRIES = Counter(
    "ledger_progress_entries",
    "Entries of the progress history decided by this process.",
    registry=REGISTRY,
)
PROGRESS_AGE_SECONDS = Gauge(
    "ledger_progress_age_seconds",
    "Seconds since the last entry of the progress history, by this process's clock; negative where "
    "the clock is behind it and no entry is made.",
    registry=REGISTRY,
)
QUERY_REQUESTS = Counter(
    "ledger_query_requests",
    "Requests answered, by method and status.",
    ["method", "status"],
    registry=REGISTRY,
)
QUERY_SECONDS = Histogram(
    "ledger_query_seconds",
    "Seconds from a request's arrival to its answer, by method (streams have none).",
    ["method"],
    buckets=_LATENCY_BUCKETS_S,
    registry=REGISTRY,
)
QUERY_ENTRIES = Counter("ledger_query_entries", "Trail entries sent.", registry=REGISTRY)
QUERY_UNMAPPED = Counter(
    "ledger_query_unmapped_entries",
    "Trail entries that were sent with a source's own code which no mapping explains, by code "
    "system; `other` are those without any mapping.",
    ["system"],
    registry=REGISTRY,
)
QUERY_WATCHES = Gauge("ledger_query_watches", "Watches open now.", registry=REGISTRY)
NUMBERS_ISSUED = Counter(
    "ledger_numbers_issued",
    "Tracking numbers given to mailers, by range.",
    ["range"],
    registry=REGISTRY,
)
NUMBERS_WASTED = Counter(
    "ledger_numbers_wasted",
    "Tracking numbers that were, or may have been, taken and were given to nobody: they rest until "
    "their next turn.",
    ["range"],
    registry=REGISTRY,
)
NUMBERS_CONTENDED = Counter(
    "ledger_numbers_contended_takes",
    "Times numbers were taken anew, because another issuer was first.",
    ["range"],
    registry=REGISTRY,
)
NUMBERS_FREE = Gauge(
    "ledger_numbers_free_ratio",
    "Which part of a range could be issued, when this process last took numbers of it or was asked "
    "for its ranges.",
    ["range"],
    registry=REGISTRY,
)
SPOOL_BYTES = Gauge(
    "ledger_spool_bytes", "Bytes that a gateway's spool takes on its disk.", registry=REGISTRY
)
SPOOL_BYTES_MAX = Gauge(
    "ledger_spool_max_bytes", "Bytes that a gateway's spool may take.", registry=REGISTRY
)
SPOOL_UNSETTLED = Gauge(
    "ledger_spool_unsettled_scans",
    "Scans in a gateway's spool that the ledger has neither taken nor refused, as far as is known.",
    registry=REGISTRY,
)
SPOOL_OLDEST_SECONDS = Gauge(
    "ledger_spool_oldest_seconds", "Age of the oldest of them; 0 is none.", registry=REGISTRY
)
SPOOL_OVERDUE = Gauge(
    "ledger_spool_overdue", "1 while the oldest is older than the limit.", registry=REGISTRY
)
SPOOL_LISTED = Gauge(
    "ledger_spool_refused_scans",
    "Scans in a gateway's list of those that the ledger refused after they had been spooled.",
    registry=REGISTRY,
)
SPOOL_LET_GO = Gauge(
    "ledger_spool_refused_let_go_scans",
    "Scans that went out of that list because it was full; the ledger's log of refusals has them.",
    registry=REGISTRY,
)
SPOOL_TURNED_AWAY = Counter(
    "ledger_spool_turned_away_scans",
    "Scans that a gateway did not take, because its spool or its disk was full; their senders keep "
    "them.",
    registry=REGISTRY,
)
SPOOL_HELD_SOURCES = Gauge(
    "ledger_spool_held_sources",
    "Sources whose scans a gateway keeps back, because the ledger does not take them now.",
    registry=REGISTRY,
)
SPOOL_FORWARDED = Counter(
    "ledger_spool_forwarded_scans",
    "Scans of a gateway that the ledger has acknowledged.",
    registry=REGISTRY,
)
SPOOL_LEDGER_CONNECTED = Gauge(
    "ledger_spool_ledger_connected",
    "1 while the ledger has a gateway's stream open.",
    registry=REGISTRY,
)
