"""Dashboard and alerts: made from the metrics, and speaking of no metric or label but theirs."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Counter, Gauge, Histogram

from ledger import metrics
from tools import gen_monitoring
from tools.gen_monitoring import DASHBOARD, RULES

WORDS = {
    *("by", "on", "and", "or", "unless", "without", "ignoring", "bool", "offset"),
    *("group_left", "group_right"),
}
"""Words of PromQL that are no names."""

FUNCTIONS = {
    *("sum", "max", "min", "count", "rate", "increase", "delta", "time", "histogram_quantile"),
}
SCRAPE = {"job", "instance"}
"""Labels that Prometheus gives to whatever it reads."""

SCRAPED = {"up": SCRAPE}
"""Metrics that Prometheus makes itself, with their labels."""


def offered() -> dict[str, set[str]]:
    """Every series that a process may show, with its labels; in the list of ledger/metrics.py."""
    series: dict[str, set[str]] = dict(SCRAPED)
    for family in metrics.REGISTRY.collect():
        if family.name.startswith("process_"):
            for sample in family.samples:
                series[sample.name] = set(SCRAPE)
    for metric in vars(metrics).values():
        if not isinstance(metric, Counter | Gauge | Histogram):
            continue
        labels = {*metric._labelnames, *SCRAPE}
        match metric:
            case Counter():
                series[f"{metric._name}_total"] = labels
            case Gauge():
                series[metric._name] = labels
            case Histogram():
                series[f"{metric._name}_bucket"] = {*labels, "le"}
                series[f"{metric._name}_sum"] = series[f"{metric._name}_count"] = labels
    series[f"{metrics.BUILD._name}_info"] = {"version", "role", *SCRAPE}
    return series


def read(expr: str) -> tuple[set[str], set[str]]:
    """Take the names of metrics and of labels out of an expression of PromQL."""
    bare = re.sub(r'"[^"]*"', '""', expr)
    labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", bare))
    for listed in re.findall(r"\b(?:by|on|without|ignoring|group_left)\s*\(([^)]*)\)", bare):
        labels |= {label.strip() for label in listed.split(",") if label.strip()}
    rest = re.sub(r"\b(?:by|on|without|ignoring|group_left)\s*\([^)]*\)", " ", bare)
    rest = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", rest)
    called = set(re.findall(r"\b([a-z_]\w*)\s*\(", rest))
    assert called <= FUNCTIONS, f"not known to this test: {called - FUNCTIONS}"
    names = set(re.findall(r"\b[a-zA-Z_]\w*\b", re.sub(r"\b\d+(\.\d+)?(e\d+)?\b", " ", rest)))
    return names - called - WORDS, labels


def dashboard() -> dict[str, Any]:
    """The dashboard as it lies there."""
    document: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return document


def shown() -> list[str]:
    """Every expression of the dashboard."""
    return [
        target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", ())
    ]


def alerts() -> list[dict[str, Any]]:
    """The alerts as they lie there."""
    [group] = yaml.safe_load(RULES.read_text())["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


@pytest.mark.parametrize("expr", [*shown(), *(alert["expr"] for alert in alerts())])
def test_an_expression_speaks_of_metrics_and_labels_that_there_are(expr: str) -> None:
    """A metric that was renamed would leave a panel empty, and an alert silent."""
    series = offered()
    names, labels = read(expr)

    assert names
    assert names <= series.keys()
    assert labels <= set().union(*(series[name] for name in names))


def test_the_reader_of_expressions_finds_what_is_wrong() -> None:
    """Names in all places of an expression are seen."""
    expr = 'sum by (one) (rate(a_total{two=~"x|y"}[5m])) > 2e3 * on (three) group_left (four) b'

    assert read(expr) == ({"a_total", "b"}, {"one", "two", "three", "four"})
    with pytest.raises(AssertionError, match="avg"):
        read("avg(a)")


def test_every_metric_is_on_the_dashboard() -> None:
    """None is measured for nobody."""
    seen = set().union(*(read(expr)[0] for expr in shown()))
    for family in metrics.REGISTRY.collect():
        endings = ("", "_total", "_bucket", "_info")
        assert {f"{family.name}{ending}" for ending in endings} & seen, family.name


def test_panels_say_what_they_show_and_do_not_overlap() -> None:
    """Each has a title, a unit and the metric's own words, and a place of its own."""
    places = set()
    ids = [panel["id"] for panel in dashboard()["panels"]]
    for panel in dashboard()["panels"]:
        assert panel["title"]
        if panel["type"] != "row":
            assert panel["description"].endswith(".")
            assert panel["fieldConfig"]["defaults"]["unit"]
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert (x, y) not in places
                places.add((x, y))

    assert len(set(ids)) == len(ids)


def test_alerts_have_the_form_that_prometheus_reads() -> None:
    """Nothing but its keys, a duration, a severity that people act on, and words with labels that
    the expression gives.
    """
    document = yaml.safe_load(RULES.read_text())
    assert document.keys() == {"groups"}
    assert [group.keys() for group in document["groups"]] == [{"name", "rules"}]
    names = [alert["alert"] for alert in alerts()]
    assert len(set(names)) == len(names) > 20
    for alert in alerts():
        assert alert.keys() == {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch(r"\d+[smhd]", alert["for"])
        assert alert["labels"]["severity"] in {"critical", "warning"}
        assert alert["annotations"].keys() == {"summary", "description"}
        words = " ".join(alert["annotations"].values())
        assert words.count("{{") == words.count("}}")
        assert not set(re.findall(r"\$labels\.(\w+)", words)) - labels_left(alert["expr"])


def labels_left(expr: str) -> set[str]:
    """The labels of what an expression gives: those it sums by, or all of its metric."""
    if listed := re.match(
        r"(?:sum|max|min|count|histogram_quantile\([\d.]+, sum) by \((.*?)\)", expr
    ):
        return {label.strip() for label in listed[1].split(",")}
    if expr.startswith(("sum(", "max(", "min(", "count(", "histogram_quantile(")):
        return set()
    names, _ = read(expr)
    return set.intersection(*(offered()[name] for name in names))


def test_what_is_stale_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The check fails after a change that was not made anew, and writes nothing."""
    monkeypatch.setattr("sys.argv", ["gen_monitoring.py", "--check"])
    fresh = gen_monitoring.main()
    monkeypatch.setattr(gen_monitoring, "ROOT", tmp_path)
    monkeypatch.setattr(gen_monitoring, "RULES", tmp_path / "alerts.yml")
    missing = gen_monitoring.main()
    (tmp_path / "alerts.yml").write_text(RULES.read_text() + "# by hand\n")
    edited = gen_monitoring.main()

    assert (fresh, missing, edited) == (0, 1, 1)
    assert capsys.readouterr().out.count("alerts.yml: not what") == 2
    assert (tmp_path / "alerts.yml").read_text().endswith("# by hand\n")
