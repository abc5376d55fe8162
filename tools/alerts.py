"""The alerts: when to wake somebody, or to tell somebody tomorrow, and what to do then.

`critical`: scans are not taken, or not shown, or soon will not be. `warning`: look at it today.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tools.alert import CRITICAL, WARNING, Alert
from tools.alerts_of_answers import ANSWERS

if TYPE_CHECKING:
    from collections.abc import Sequence

ALERTS: Final[Sequence[Alert]] = (
    Alert(
        "LedgerProcessGone",
        'up{job=~"ingest|writer|query|up"} == 0',
        "2m",
        WARNING,
        "{{ $labels.job }} at {{ $labels.instance }} does not answer",
        "Look whether its process runs, and at the end of its log. Others of its role go on.",
    ),
    Alert(
        "LedgerRoleNotReady",
        "max by (role) (ledger_ready * on (instance) group_left (role) ledger_build_info) == 0",
        "1m",
        CRITICAL,
        "no {{ $labels.role }} process is ready",
        "Ask one of them for /ready, beside its metrics: it says what it waits for.",
    ),
    Alert(
        "LedgerEngineAway",
        "ledger_engine_reachable == 0",
        "2m",
        CRITICAL,
        "{{ $labels.instance }} does not reach the {{ $labels.engine }}",
        "Where all processes say so, look after Kafka (log) or Cassandra (store); where one does, "
        "after its network. Nothing acknowledged is lost meanwhile, and nothing has to be done "
        "when the engine is back.",
    ),
    Alert(
        "LedgerTrailsFallBehind",
        # Ingest learns of it some seconds late: on a busy ledger that is as much.
        'max(ledger_log_unread_records{job!="ingest"}) > 100000 and '
        'max(delta(ledger_log_unread_records{job!="ingest"}[10m])) > 0',
        "10m",
        WARNING,
        "{{ $value }} scans are recorded that no trail shows yet, and they become more",
        "More scans come than writers keep. Start more writers (at most one for each partition), "
        "or look why the store is slow.",
    ),
    Alert(
        "LedgerTrailsLate",
        "max(ledger_writer_lag_seconds and rate(ledger_writer_rows_total[5m]) > 0) > 60",
        "5m",
        WARNING,
        "scans are readable {{ $value }} s after they were recorded",
        "Writers catch up after an outage, or are too slow: see whether unread records fall.",
    ),
    Alert(
        "LedgerNobodyWrites",
        "max(ledger_log_unread_records) > 0 and sum(rate(ledger_writer_rows_total[5m])) == 0",
        "5m",
        CRITICAL,
        "scans are recorded and no writer keeps any",
        "Look at the writers' logs. A writer that has ended with exit code 3 has found that the "
        "log is not what it was: read what it says, and start it no more before that is clear.",
    ),
    Alert(
        "LedgerQuarantineFills",
        "max(ledger_quarantine_share_ratio) > 0.002",
        "1m",
        CRITICAL,
        "{{ $value | humanizePercentage }} of what a writer reads cannot be kept",
        "At 1 % the writer stops. See `parcel-ledger quarantine list`: one reason in all of them "
        "is a program that writes past ingest, or a fault of ours.",
    ),
    Alert(
        "LedgerQuarantineOpen",
        "max(ledger_quarantine_open_records) > 0",
        "1h",
        WARNING,
        "{{ $value }} records lie in quarantine, and nobody has looked after them",
        "`parcel-ledger quarantine list` shows them; replay those that can be kept by now, and "
        "drop the others with a reason.",
    ),
    Alert(
        "LedgerPartitionsWithoutWriter",
        "sum(ledger_writer_partitions) "
        "< count(count by (partition) (ledger_writer_readable_index))",
        "5m",
        CRITICAL,
        "not every partition has a writer",
        "Look whether writers come and go (rebalances), and at their logs.",
    ),
    Alert(
        "LedgerWritersComeAndGo",
        "max(increase(ledger_log_rebalances_total[15m])) > 10",
        "5m",
        WARNING,
        "partitions were shared out anew {{ $value }} times in 15 minutes",
        "Writers start and end all the time, or are too busy to tell the group that they live.",
    ),
    Alert(
        "LedgerHistoryStands",
        "min(ledger_progress_age_seconds) > 180",
        "5m",
        WARNING,
        "the progress history has had no entry for {{ $value }} s",
        "Answers as of a past time end there. Look at the writers' logs and at the store: entries "
        "need a majority of its replicas.",
    ),
    Alert(
        "LedgerClockBehind",
        "min(ledger_progress_age_seconds) < -5",
        "1m",
        WARNING,
        "a writer's clock is {{ $value }} s behind another's",
        "Set the clocks of the writers' machines by a time server: until then the slow ones make "
        "no entries of the progress history.",
    ),
    Alert(
        "LedgerScansRefused",
        "sum(rate(ledger_ingest_refused_scans_total[15m])) > 0.05 * "
        "(sum(rate(ledger_ingest_refused_scans_total[15m])) "
        "+ sum(rate(ledger_ingest_durable_scans_total[15m])))",
        "15m",
        WARNING,
        "more than one scan in twenty is refused",
        "See the reasons on the dashboard. A new scanner program often has one fault in all scans.",
    ),
    Alert(
        "LedgerScansNotTaken",
        "sum by (reason) (rate(ledger_ingest_resend_scans_total[5m])) > 0 and on () "
        "sum(rate(ledger_ingest_durable_scans_total[5m])) == 0",
        "2m",
        CRITICAL,
        "scanners are told to send again ({{ $labels.reason }}), and nothing is acknowledged",
        "The log takes nothing. Scanners keep their scans and send them again; look after Kafka: "
        "too few replicas in sync, a full disk, rights that were taken away.",
    ),
    Alert(
        "LedgerScansWithoutRecord",
        'max(ledger_completeness_scans{state="without_record"}) > 0',
        "1m",
        CRITICAL,
        "{{ $value }} scans were acknowledged, and no record has them",
        "The log has lost what it had promised to keep: look after its disks, and what was changed "
        "or restored. Their sources have forgotten them; `parcel-ledger completeness` says which.",
    ),
    Alert(
        "LedgerScansMissing",
        "max by (state) (ledger_completeness_scans"
        '{state!~"refused|dropped|settled|without_record"}) > 0',
        "15m",
        WARNING,
        "{{ $value }} scans are missing ({{ $labels.state }})",
        "`parcel-ledger completeness` says which, of which source, and since when. Nothing of it "
        "is lost while its source still has it.",
    ),
    Alert(
        "LedgerAuditBlind",
        "max(ledger_completeness_untracked_sources) > 0",
        "15m",
        WARNING,
        "{{ $value }} sources are beyond the limit of the audit of completeness",
        "Nobody says what of theirs is missing. Look who sends with ever new spools.",
    ),
    Alert(
        "LedgerAcksSlow",
        "histogram_quantile(0.99, sum by (le) (rate(ledger_ingest_ack_seconds_bucket[10m]))) > 2.5",
        "10m",
        WARNING,
        "one batch in a hundred waits {{ $value }} s for its result",
        "Compare with the time of one append: where that is as long, the log is slow; else there "
        "are too few ingest processes.",
    ),
    Alert(
        "LedgerAppendsSlow",
        "histogram_quantile(0.99, sum by (le) (rate(ledger_log_append_seconds_bucket[10m]))) > 2.5",
        "10m",
        WARNING,
        "one append in a hundred takes {{ $value }} s",
        "Look after the brokers: disks, replicas that fall behind, a leader that changes often.",
    ),
    Alert(
        "LedgerCommitsSlow",
        "histogram_quantile(0.99, sum by (le) (rate(ledger_log_commit_seconds_bucket[10m]))) > 0.5",
        "10m",
        WARNING,
        "one synced commit in a hundred takes {{ $value }} s (embedded engine)",
        "The disk is slow or shared. Give the data folder a disk of its own.",
    ),
    Alert(
        "LedgerProducersReplaced",
        "sum(increase(ledger_log_producers_replaced_total[30m])) > 5",
        "5m",
        WARNING,
        "producers were replaced {{ $value }} times in half an hour",
        "The brokers refuse batches. The ingest processes' logs say why; nothing is doubled by it.",
    ),
    Alert(
        "LedgerStoreErrors",
        "sum by (kind) (rate(ledger_store_errors_total[5m])) > 1",
        "10m",
        WARNING,
        "requests to the store fail ({{ $labels.kind }})",
        "Busy and Uncertain are repeated: look after Cassandra's nodes. Refused is not: look at "
        "the logs for what was refused.",
    ),
    Alert(
        "LedgerStoreForgets",
        "max(increase(ledger_writer_rewinds_total[1h])) > 5",
        "1m",
        WARNING,
        "writers went back {{ $value }} times in an hour, because nodes of the store ended",
        "Look why Cassandra's nodes end. Nothing is lost, but what is not settled is written again "
        "each time.",
    ),
    *ANSWERS,
    Alert(
        "LedgerLoopLate",
        "histogram_quantile(0.99, "
        "sum by (le, instance) (rate(ledger_loop_lag_seconds_bucket[10m]))) > 0.5",
        "10m",
        WARNING,
        "{{ $labels.instance }} has no processor time for {{ $value }} s at a time",
        "It shares its processor with too much. Give it one of its own, or start more of its role.",
    ),
    Alert(
        "LedgerMemoryGrows",
        'process_resident_memory_bytes{job=~"ingest|writer|query"} > 600e6',
        "15m",
        WARNING,
        "{{ $labels.instance }} has {{ $value | humanize1024 }}B of memory, twice what its role "
        "needs",
        "Restart it, which loses nothing, and report it with its metrics and log.",
    ),
    Alert(
        "LedgerFilesRunOut",
        'process_open_fds{job=~"ingest|writer|query|up"} > 0.8 * process_max_fds',
        "5m",
        WARNING,
        "{{ $labels.instance }} has {{ $value }} files and connections open, nearly all it may",
        "Raise its limit of open files, or start more processes of its role.",
    ),
    Alert(
        "GatewaySpoolFills",
        "ledger_spool_bytes > 0.8 * ledger_spool_max_bytes",
        "5m",
        CRITICAL,
        "the spool of {{ $labels.instance }} has {{ $value | humanize1024 }}B and is nearly full",
        "When it is full the gateway turns scans away. Find out why they do not go on: "
        "ledger_spool_ledger_connected and its log say it. Give it more with spool_bytes_max.",
    ),
    Alert(
        "GatewayScansOverdue",
        "ledger_spool_overdue == 1",
        "5m",
        WARNING,
        "scans wait in the spool of {{ $labels.instance }} for longer than its limit",
        "They are kept. Look at its log: the ledger is away, or does not take a source.",
    ),
    Alert(
        "GatewayScansRefused",
        "increase(ledger_spool_refused_scans[1h]) > 0",
        "1m",
        WARNING,
        "the ledger refused scans that {{ $labels.instance }} had taken",
        "`parcel-ledger gateway refusals` lists them with the reasons. They are kept whole.",
    ),
    Alert(
        "LedgerVersionsMixed",
        "count(count by (version) (ledger_build_info)) > 1",
        "1h",
        WARNING,
        "{{ $value }} versions run side by side",
        "An upgrade was not finished. Old and new ones understand each other; finish it all the "
        "same.",
    ),
)
"""In the order of the file that is made of them."""
