"""Makes the dashboard and the alert rules in deploy/ from ledger/metrics.py and two tables.

`--check` writes nothing and says which of them is stale.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any, Final

import yaml
from prometheus_client import Counter, Gauge, Histogram, Info

from ledger import metrics
from tools.alerts import ALERTS
from tools.panels import EACH, ROWS
from tools.protos import ROOT

if TYPE_CHECKING:
    from prometheus_client.metrics import MetricWrapperBase

    from tools.panels import Panel

DASHBOARD: Final = ROOT / "deploy" / "grafana" / "parcel-ledger.json"
RULES: Final = ROOT / "deploy" / "prometheus" / "alerts.yml"

RATE: Final = "[$__rate_interval]"
ONLY: Final = '{job=~"$job",instance=~"$instance"}'
"""What the dashboard's choices leave of a metric."""

WIDTH, HEIGHT, COLUMNS = 8, 8, 24
"""Of a panel, and of the dashboard, in Grafana's units."""

MADE: Final = "# Made by `make gen` from ledger/metrics.py and tools/alerts.py; change it there.\n"


def main() -> int:
    """Writes in place, or reports what is stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail if it is stale")
    checks = parser.parse_args().check
    stale = 0
    for path, text in ((DASHBOARD, dashboard()), (RULES, rules())):
        if not checks:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            print(f"{path.relative_to(ROOT)}: not what ledger/metrics.py says; run `make gen`")
            stale = 1
    return stale


def rules() -> str:
    """Gives the alert rules as YAML for Prometheus."""
    document = {
        "groups": [
            {
                "name": "parcel-ledger",
                "rules": [
                    {
                        "alert": alert.name,
                        "expr": alert.expr,
                        "for": alert.held,
                        "labels": {"severity": alert.severity},
                        "annotations": {"summary": alert.summary, "description": alert.action},
                    }
                    for alert in ALERTS
                ],
            }
        ]
    }
    return MADE + yaml.safe_dump(document, sort_keys=False, width=100, allow_unicode=True)


def dashboard() -> str:
    """Gives the dashboard as JSON for Grafana."""
    panels: list[dict[str, Any]] = []
    y = 0
    for row in ROWS:
        place = {"x": 0, "y": y, "w": COLUMNS, "h": 1}
        panels.append({"type": "row", "title": row.title, "gridPos": place, "panels": []})
        y += 1
        for number, panel in enumerate(row.panels):
            line, column = divmod(number, COLUMNS // WIDTH)
            place = {"x": column * WIDTH, "y": y + line * HEIGHT, "w": WIDTH, "h": HEIGHT}
            panels.append({**_panel(panel), "gridPos": place})
        y += -(-len(row.panels) // (COLUMNS // WIDTH)) * HEIGHT
    for number, made in enumerate(panels, 1):
        made["id"] = number
    document = {
        "uid": "parcel-ledger",
        "title": "Parcel ledger",
        "description": "Made by `make gen` from ledger/metrics.py and tools/panels.py.",
        "tags": ["parcel-ledger"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "templating": {"list": _choices()},
        "panels": panels,
    }
    return json.dumps(document, indent=1) + "\n"


def _choices() -> list[dict[str, Any]]:
    source = {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    choices: list[dict[str, Any]] = [source]
    for name, of in (("job", ""), ("instance", '{job=~"$job"}')):
        choices.append(
            {
                "name": name,
                "type": "query",
                "datasource": {"type": "prometheus", "uid": "${source}"},
                "query": f"label_values(ledger_ready{of}, {name})",
                "refresh": 2,
                "multi": True,
                "includeAll": True,
                "allValue": ".*",
                "current": {"text": "All", "value": "$__all"},
            }
        )
    return choices


def _panel(panel: Panel) -> dict[str, Any]:
    targets, meaning = _targets(panel)
    return {
        "type": "timeseries",
        "title": panel.title,
        "description": meaning,
        "datasource": {"type": "prometheus", "uid": "${source}"},
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "min": 0 if panel.metric != "PROGRESS_AGE_SECONDS" else None,
                "custom": {"fillOpacity": 10, "showPoints": "never", "spanNulls": 60_000},
            },
            "overrides": [],
        },
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "calcs": ["lastNotNull"]},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {"refId": chr(ord("A") + number), "expr": expr, "legendFormat": legend}
            for number, (expr, legend) in enumerate(targets)
        ],
    }


def _targets(panel: Panel) -> tuple[list[tuple[str, str]], str]:
    """Gives the expressions of a metric, each with its legend, and what the metric means."""
    if panel.metric.startswith("process_"):
        return [(_of_process(panel.metric), "{{job}} {{instance}}")], _MEANINGS[panel.metric]
    metric: MetricWrapperBase = getattr(metrics, panel.metric)
    name, labels = metric._name, metric._labelnames
    by = f" by ({', '.join(labels)})" if labels else ""
    legend = " ".join(f"{{{{{label}}}}}" for label in labels)
    match metric:
        case Counter():
            return [(f"sum{by} (rate({name}_total{ONLY}{RATE}))", legend or "all")], _said(metric)
        case Histogram():
            within = ", ".join(("le", *labels))
            rate = f"sum by ({within}) (rate({name}_bucket{ONLY}{RATE}))"
            return [
                (f"histogram_quantile({share}, {rate})", f"{words} {legend}".strip())
                for share, words in ((0.5, "half within"), (0.99, "99 % within"))
            ], _said(metric)
        case Info():
            return [
                (f"count by (role, version) ({name}_info{ONLY})", "{{role}} {{version}}")
            ], _said(metric)
        case Gauge() if panel.how == EACH:
            return [(f"{name}{ONLY}", f"{{{{job}}}} {{{{instance}}}} {legend}".strip())], _said(
                metric
            )
        case Gauge():
            return [(f"{panel.how}{by} ({name}{ONLY})", legend or "all")], _said(metric)
    sys.exit(f"{panel.metric}: no way to show a {type(metric).__name__}")


def _said(metric: MetricWrapperBase) -> str:
    return metric._documentation


def _of_process(name: str) -> str:
    if name == "process_start_time_seconds":
        return f"time() - {name}{ONLY}"
    return f"rate({name}{ONLY}{RATE})" if name.endswith("_total") else f"{name}{ONLY}"


_MEANINGS: Final = {
    sample.name: family.documentation
    for family in metrics.REGISTRY.collect()
    for sample in family.samples
    if sample.name.startswith("process_")
}


if __name__ == "__main__":
    sys.exit(main())
