"""Keeps what was measured: one JSON, and its plots.

A full run is kept in docs/benchmarks; one of chosen sections, or a short one, beside it in a
folder that git does not look at, so that it cannot replace what was measured together.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from loadtest.bench.goals import judged
from loadtest.bench.plan import SECTIONS
from loadtest.bench.plots import draw_all

if TYPE_CHECKING:
    from collections.abc import Mapping

DOCS: Final = Path("docs/benchmarks")
RESULTS: Final = Path("bench-results")

DIGITS: Final = 5
"""Digits that are kept: more than any of these figures has meaning."""


def document(
    about: Mapping[str, Any],
    scale: Mapping[str, Any],
    sections: Mapping[str, Mapping[str, Any]],
    failed: Mapping[str, str],
) -> dict[str, Any]:
    """Put the whole run into one document."""
    goals = [
        {
            **one.goal._asdict(),
            "measured": one.measured,
            "met": one.met,
        }
        for one in judged(sections)
    ]
    found = {
        "about": dict(about),
        "scale": dict(scale),
        "percentiles": "exact: every measurement is kept",
        "sections": sections,
        "failed": dict(failed),
        "goals": goals,
    }
    kept: dict[str, Any] = rounded(found)
    return kept


def folder_for(found: Mapping[str, Any]) -> Path:
    """Give the folder that a run is kept in."""
    whole = not found["scale"]["quick"] and set(found["sections"]) == set(SECTIONS)
    return DOCS if whole and not found["failed"] else RESULTS


def keep(found: Mapping[str, Any]) -> list[Path]:
    """Write the document and its plots; give the files."""
    folder = folder_for(found)
    folder.mkdir(parents=True, exist_ok=True)
    name = folder / "bench.json"
    name.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return [name, *draw_all(found["sections"], folder)]


def rounded(value: Any) -> Any:  # noqa: ANN401 - any JSON.
    """Round all figures of a document."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {str(name): rounded(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(one) for one in value]
    return value
