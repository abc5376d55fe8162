"""The guide and the runbook speak of what there is: commands, settings, metrics, alerts, reasons,
versions, files.
"""

import re
import shlex
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from ledger.app.settings import NAMES, load
from tests.deployment import (
    DEPLOY,
    IMAGE,
    ROOT,
    engine_version,
    is_accepted,
    metric_names,
    metrics_in,
)

GUIDE = DEPLOY / "README.md"
RUNBOOK = DEPLOY / "runbook.md"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"

each_text = pytest.mark.parametrize("path", [GUIDE, RUNBOOK], ids=lambda path: path.name)


def fenced(path: Path, language: str) -> Iterator[str]:
    """The blocks of a language."""
    for indent, block in re.findall(rf"(?ms)^( *)```{language}\n(.*?)^ *```", path.read_text()):
        yield re.sub(f"(?m)^{indent}", "", block)


def commands(path: Path, program: str) -> Iterator[list[str]]:
    """What is typed to call a program: lines of blocks, and words in backticks."""
    lines = [line for block in fenced(path, "sh") for line in block.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", path.read_text())
    for line in lines:
        if line.startswith(program + " "):
            yield shlex.split(line)[1:]


def anchors(path: Path) -> set[str]:
    """What links into a text may point at."""
    titles = re.findall(r"(?m)^#+ (.+)$", path.read_text())
    return {re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-") for title in titles}


@each_text
def test_every_link_leads_somewhere(path: Path) -> None:
    """Files exist, and so do the headings that are pointed at."""
    for target in re.findall(r"\]\(([^)]+)\)", path.read_text()):
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


@each_text
def test_every_path_is_there(path: Path) -> None:
    """Whatever is named below a folder of this project exists, but for figures to come."""
    named = re.findall(
        r"\b(?:deploy|tests|docs|loadtest|requirements)/[\w./-]*\w", path.read_text()
    )

    assert not [
        each
        for each in named
        if not (ROOT / each).exists() and not each.startswith("docs/benchmarks/")
    ]


@each_text
def test_every_command_is_one(path: Path) -> None:
    """The command line takes each `parcel-ledger ...` as it is written."""
    typed = list(commands(path, "parcel-ledger"))

    assert typed
    for words in typed:
        assert is_accepted(words), words


def test_the_containers_that_are_called_are_ours() -> None:
    """Docker builds and Compose runs what is here, under the name that the manifests use."""
    built = [words for words in commands(GUIDE, "docker") if words[0] == "build"]

    assert [words[words.index("--tag") + 1] for words in built] == [IMAGE]
    for words in commands(GUIDE, "docker"):
        files = [after for word, after in pairwise(words) if word == "--file"]
        assert files
        assert all((ROOT / file).exists() for file in files)


@each_text
def test_every_metric_is_one(path: Path) -> None:
    """Only metrics that a process shows are named; a histogram also without its endings."""
    histograms = {name.removesuffix("_bucket") for name in metric_names()}

    assert metrics_in(path.read_text()) <= metric_names() | histograms


def test_every_setting_is_one() -> None:
    """What looks like a setting of the engines is one, and blocks of settings go together."""
    named = re.findall(r"`((?:kafka|cassandra)_[a-z_]+)", GUIDE.read_text())

    assert named
    assert set(named) <= set(NAMES)
    for block in fenced(GUIDE, "toml"):
        settings = tomllib.loads(block)
        assert settings.keys() <= set(NAMES)
        assert load(settings, environ={}).settings.log_generation == settings["log_generation"]


def test_every_reason_is_one() -> None:
    """The reasons that the guide explains are those of the program."""
    reasons = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", GUIDE.read_text()))
    program = "".join(path.read_text() for path in (ROOT / "ledger").rglob("*.py"))
    known = set(re.findall(r'reason="([A-Z_]+)"', program))

    named = {each for each in reasons if each.startswith(("LOG", "RECORD", "STORE"))}
    assert len(named) > 5
    assert named <= known


def test_every_alert_is_explained() -> None:
    """The runbook has a section for each rule, in the same order, with the same severity."""
    rules = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
    sections = re.findall(r"(?m)^## (\w+)\n\n\*(\w+)\.\*", RUNBOOK.read_text())

    assert [(name, severity.lower()) for name, severity in sections] == [
        (each["alert"], each["labels"]["severity"]) for each in rules
    ]


def test_the_versions_are_those_that_are_tested() -> None:
    """Engines by their recipes, drivers by their lock."""
    text = GUIDE.read_text()
    lock = (ROOT / "requirements" / "roles.txt").read_text()
    drivers = dict(re.findall(r"(?m)^(aiokafka|cassandra-driver)==(\S+)", lock))

    assert f"| Kafka | {engine_version('kafka')}, KRaft |" in text
    assert f"| Cassandra | {engine_version('cassandra')} |" in text
    assert f"| {', '.join(drivers)} | {', '.join(drivers.values())} |" in text


def test_the_prices_are_those_that_are_measured() -> None:
    """The table has a row for each choice that `make bench-prices` measures."""
    table = GUIDE.read_text().partition("| choice | on a disk |")[2].partition("\n\n")[0]
    rows = re.findall(r"(?m)^\| ([^|]+?) \| ([^|]+?) \|", table)
    measured = (ROOT / "loadtest" / "bench" / "prices.py").read_text()
    choices = re.findall(r'Choice\(\s*"([^"]+)",\s*"([^"]+)"', measured)

    assert len(choices) > 3
    assert [row for row in rows if "---" not in row[0]] == choices
