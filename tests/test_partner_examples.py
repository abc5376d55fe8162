"""The worked examples of docs/integrate.md, word for word: files, commands, and what they say."""

from __future__ import annotations

import re
import shlex
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from tests.shells import ledger_up, typed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.app.demo.processes import LedgerProcess

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "integrate.md"
EXAMPLES: Final = ("A post", "A parcel carrier")

pytestmark = pytest.mark.slow


class Step(NamedTuple):
    """A line that a person types, and what it says."""

    command: str
    answer: Sequence[str]


class Example(NamedTuple):
    """One example: its files by name, how the ledger is started, and what is typed then."""

    files: dict[str, str]
    flags: Sequence[str]
    steps: Sequence[Step]


def example(title: str) -> Example:
    """Read the example under a heading."""
    text = PAGE.read_text(encoding="utf-8").split(f"\n### {title}")[1].split("\n### ")[0]
    blocks = re.findall(
        r"(?ms)^(?:`(\S+)`[^\n]*\n(?:[^\n`]+[^\n]*\n)?\n)?```(\w+)\n(.*?)^```", text
    )
    files = {name: body for name, kind, body in blocks if name and kind != "console"}
    typed_lines = [steps(body) for _, kind, body in blocks if kind == "console"]
    [up], *rest = typed_lines
    return Example(files, shlex.split(up.command)[2:], [step for some in rest for step in some])


def steps(block: str) -> list[Step]:
    """Split a console block into what is typed and what it says."""
    parts = re.split(r"(?m)^\$ ", block)
    return [Step(lines[0], lines[1:]) for lines in (part.splitlines() for part in parts[1:])]


def run(step: Step, ledger: LedgerProcess, folder: Path) -> list[str]:
    """Type a line; give what it says, as the page has it."""
    words = shlex.split(step.command)
    if words[0] != "parcel-ledger":
        subprocess.run(words, cwd=folder, check=True)
        return []
    before = ledger.records()
    said = typed(*words[1:], "--server", ledger.address)
    if words[1] == "send":
        durable = int(re.findall(r"([\d,]+) durable", said.answer)[0].replace(",", ""))
        wait_for(ledger, before + durable)
    return plain(said.remark + said.answer)


def wait_for(ledger: LedgerProcess, records: int) -> None:
    """Wait until so many scans can be read."""
    until_s = time.monotonic() + 20
    while ledger.records() < records:
        assert time.monotonic() < until_s
        time.sleep(0.02)


def plain(text: str) -> list[str]:
    """Leave out what differs from run to run: how long it took, and spaces at ends."""
    text = re.sub(r"; \d+\.\d s, [\d,]+ lines/s", "", text)
    return [line.rstrip() for line in text.splitlines()]


@pytest.mark.parametrize("title", EXAMPLES)
def test_an_example_is_what_happens(
    title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever copies the files and types the lines sees what the page shows."""
    shown = example(title)
    monkeypatch.chdir(tmp_path)
    for name, body in shown.files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(body, encoding="utf-8")

    with ledger_up(tmp_path, *shown.flags) as ledger:
        said = [Step(step.command, run(step, ledger, tmp_path)) for step in shown.steps]

    wanted = [Step(step.command, plain("\n".join(step.answer))) for step in shown.steps]
    assert said == wanted
    assert len(shown.files) >= 2
    assert len(shown.steps) >= 4
