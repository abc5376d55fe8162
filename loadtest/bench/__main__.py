"""Runs the bench: `make bench`, or `QUICK=1 make bench`, or `SECTIONS=embedded,rf1 make bench`.

Exit code: 0 where every section ran and nothing was lost or doubled, goals met or not; else 1.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from loadtest.bench import distributed, embedded
from loadtest.bench.facts import machine
from loadtest.bench.goals import judged, weak_references
from loadtest.bench.keep import RESULTS, document, keep
from loadtest.bench.plan import EMBEDDED, Scale, scale_of, sections_of
from loadtest.bench.section import Section, good
from loadtest.bench.tables import print_goals, print_section

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def main() -> int:
    """Run the sections, even after one has failed, print the tables and keep the figures."""
    console = Console(width=None if sys.stdout.isatty() else 150)
    scale = scale_of(os.environ)
    try:
        names = sections_of(os.environ)
    except ValueError as wrong:
        console.print(str(wrong))
        return 2
    sections: dict[str, dict[str, Any]] = {}
    failed: dict[str, str] = {}
    began_s = time.monotonic()
    for name in names:
        sections[name], error = _measured(name, scale, _sayer(console, name, began_s))
        if error:
            failed[name] = error
            console.print(f"[bold red]{name} failed[/]: ", end="")
            console.print(error, markup=False)
    about = machine()
    _print(console, about, sections, failed)
    found = document(about, scale._asdict(), sections, failed)
    console.print(f"Kept in {', '.join(str(path) for path in keep(found))}", markup=False)
    return 1 if failed else 0


def _measured(
    name: str, scale: Scale, say: Callable[[str], None]
) -> tuple[dict[str, Any], str | None]:
    """Measure one section. Gives its figures, and what went wrong."""
    measure = embedded.measure if name == EMBEDDED else distributed.measure
    began_s = time.monotonic()
    error: str | None = None
    with tempfile.TemporaryDirectory(prefix="parcel-ledger-bench-") as place:
        logs = RESULTS / "logs" / name
        for old in logs.glob("*"):
            old.unlink()
        section = Section(name, scale, say, Path(place), logs, bool(os.environ.get("PROFILE")))
        try:
            measure(section)
        except Exception as failure:  # The others go on.
            error = f"{type(failure).__name__}: {failure}"
            logs.mkdir(parents=True, exist_ok=True)
            (logs / "failure.txt").write_text(traceback.format_exc(), encoding="utf-8")
            for log in Path(place).glob("engines/*/*.log"):
                shutil.copy(log, logs / f"{log.parent.name}-{log.name}")
    section.figures["seconds"] = time.monotonic() - began_s
    if not error and not good(section.figures):
        error = (
            f"acknowledged scans were lost, doubled or in conflict: {section.figures['counted']}"
        )
    return section.figures, error


def _sayer(console: Console, name: str, began_s: float) -> Callable[[str], None]:
    def say(words: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - began_s), 60)
        console.print(f"{minutes:3}:{seconds:02}  {name}: {words}", markup=False, highlight=False)

    return say


def _print(
    console: Console,
    about: Mapping[str, str],
    sections: Mapping[str, Mapping[str, Any]],
    failed: Mapping[str, str],
) -> None:
    console.print(" · ".join(f"{name} {value}" for name, value in about.items()), markup=False)
    for name, figures in sections.items():
        title = f"{name}, {figures['seconds']:.0f} s" + (" (failed)" if name in failed else "")
        print_section(console, title, figures)
    print_goals(console, judged(sections))
    for words in weak_references(sections):
        console.print(f"[bold yellow]WARNING[/] {words}")


if __name__ == "__main__":
    sys.exit(main())
