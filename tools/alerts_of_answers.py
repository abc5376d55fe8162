"""The alerts of those who ask: answers that fail, are slow, or tell codes that nobody maps; and
numbers that run out.
"""

from __future__ import annotations

from typing import Final

from tools.alert import WARNING, Alert

ANSWERS: Final = (
    Alert(
        "LedgerAnswersFail",
        'sum by (method, status) (rate(ledger_query_requests_total{status=~"Busy|Uncertain'
        '|Diverged|Closed"}[5m])) > 0.5',
        "10m",
        WARNING,
        "{{ $labels.method }} fails with {{ $labels.status }}",
        "The store is slow or away. Diverged means that it holds what was never put there: stop "
        "and look.",
    ),
    Alert(
        "LedgerAnswersSlow",
        "histogram_quantile(0.99, "
        "sum by (le, method) (rate(ledger_query_seconds_bucket[10m]))) > 1",
        "10m",
        WARNING,
        "one {{ $labels.method }} in a hundred takes {{ $value }} s",
        "Look at the store's read latency first, then for query processes that are busy.",
    ),
    Alert(
        "LedgerCodesUnmapped",
        "sum by (system) (increase(ledger_query_unmapped_entries_total[1d])) > 0",
        "10m",
        WARNING,
        "answers showed codes of {{ $labels.system }} that no mapping explains",
        "`parcel-ledger unmapped` lists them with counts and examples. Put them into a mapping in "
        "the folder of the setting `mappings`, test it with `parcel-ledger mapping check`, and "
        "start the processes that answer anew: it explains what was recorded before, too.",
    ),
    Alert(
        "LedgerNumbersRunOut",
        "min by (range) (ledger_numbers_free_ratio) < 0.1",
        "10m",
        WARNING,
        "{{ $value | humanizePercentage }} of the range {{ $labels.range }} can still be issued",
        "`parcel-ledger number ranges` says how many those are, and when more become free. Add a "
        "range with a name and serials of its own to the file of `number_ranges`, and start the "
        "processes that issue anew.",
    ),
)
