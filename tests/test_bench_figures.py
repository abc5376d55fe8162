"""What the bench makes of its measurements: percentiles, rates, goals, and what it keeps."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from loadtest.bench import keep
from loadtest.bench.goals import GOALS, figure, judged, weak_references
from loadtest.bench.plan import FULL, QUICK, SECTIONS, scale_of, sections_of
from loadtest.bench.plots import draw_all
from loadtest.bench.section import good
from loadtest.bench.stats import around, cpu_us, middle, percentiles, rate
from loadtest.bench.tables import print_goals, rows_of, short

PLOT_BYTES_MAX = 100_000
"""A plot lies in the repository: larger ones would weigh on every clone."""

TIMES = {"p50": 10.0, "p99": 20.0, "p999": 30.0, "max": 40.0}
COUNTED = {"expected": 5, "found": 5, "lost": 0, "doubled": 0, "conflicts": 0, "strange": 0}


def section() -> dict[str, Any]:
    """Figures of a section on Kafka and Cassandra, all of which meet their goals."""
    return {
        "seconds": 600.0,
        "echo": {"scans_per_s": 700_000.0, "call_ms": TIMES, "calls_per_s": 4_000.0},
        "whole": {
            "scans_per_s": 41_234.567,
            "cpu_us": {"client": 3.3, "ingest": 5.0, "kafka": 3.0, "writer": 14.0},
            "samples": [[0.0, 0, 0], [1.0, 40_000, 39_000]],
        },
        "open": {"scans_per_s": 20_617.2, "ack_ms": TIMES, "readable_ms": TIMES},
        "java_producer": {"runs": [400_000.0, 380_000.0], "records_per_s": 390_000.0},
        "ingest": {"scans_per_s": 195_000.0, "ratio": 0.5, "cpu_us": {"ingest": 5.0}},
        "loader": {"runs": [50_000.0, 52_000.0], "rows_per_s": 51_000.0},
        "writer": {"rows_per_s": 40_800.0, "ratio": 0.8, "cpu_us": {"writer": 12.0}},
        "reads": {"per_s": 900.0, "ratio": 0.75, "events": 20, "ms": TIMES},
        "items": {
            "ms": TIMES,
            "trail_ms": TIMES,
            "per_s": 800.0,
            "trails_per_s": 900.0,
            "ratio": 0.89,
            "one_caller_per_s": 500.0,
            "batch_per_s": 2_000.0,
            "unchanged_per_s": 9_000.0,
            "batch_ratio": 4.0,
            "cpu_us": {"a trail": 650.0, "an item": 700.0},
        },
        "memory_mb": {"ingest": 120.0, "writer": 180.0, "query": 90.0},
        "counted": {**COUNTED, "refused": 0},
    }


@given(st.lists(st.floats(0, 1_000), min_size=1, max_size=300))
def test_percentiles_are_measurements_themselves(seconds: list[float]) -> None:
    """Each percentile was measured, as many are below it as it says, and they rise."""
    found = percentiles(seconds)

    kept = [value * 1e3 for value in seconds]
    assert set(found.values()) <= set(kept)
    assert found["max"] == max(kept)
    assert found["p50"] <= found["p99"] <= found["p999"] <= found["max"]
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        assert sum(value <= found[name] for value in kept) >= share * len(kept)


def test_no_measurement_has_no_percentile() -> None:
    """A run that measured nothing fails instead of showing zeros."""
    with pytest.raises(ValueError, match="nothing"):
        percentiles([])


def test_the_middle_of_a_drain_leaves_out_its_slow_ends() -> None:
    """Slow at the beginning, slow at the end: the rate is that of the middle."""
    samples = [(0.0, 0), (10.0, 100), (20.0, 200), (21.0, 400), (22.0, 600), (23.0, 800)]
    samples += [(24.0, 950), (34.0, 1_000)]

    begin, end = middle(samples)

    assert rate(samples, begin, end) == pytest.approx(550 / 3)


def test_a_drain_that_is_over_at_once_is_no_measurement() -> None:
    """Where all rows came between two looks, nothing can be said about the rate."""
    with pytest.raises(ValueError, match="short"):
        middle([(0.0, 0), (0.25, 1_000)])


def test_cpu_is_told_for_each_and_for_those_that_had_to_do_with_it() -> None:
    """CPU seconds become microseconds for each scan, of processes that ran all the time."""
    before, after = {"kafka": 1.0, "idle": 2.0}, {"kafka": 3.0, "idle": 2.5, "new": 9.0}

    assert cpu_us(before, after, 1_000_000) == {"kafka": 2.0, "idle": 0.5}
    assert cpu_us(before, after, 1_000_000, only=("kafka",)) == {"kafka": 2.0}


def test_a_reference_is_the_mean_of_its_runs_around() -> None:
    """What drifts in one direction all the time cancels out."""
    assert around([100.0, 80.0]) == 90.0


def test_goals_are_judged_by_the_figures() -> None:
    """Good figures meet all goals; one that is missed says so, and so does one not measured."""
    figures = section()
    figures["writer"]["ratio"] = 0.55
    del figures["reads"]["ratio"]

    verdicts = {(one.goal.path, one.goal.later): one for one in judged({"rf1": figures})}

    missed = {place for place, one in verdicts.items() if not one.met}
    assert missed == {
        (path, later) for path in ("writer.ratio", "reads.ratio") for later in (False, True)
    }
    assert verdicts["reads.ratio", False].measured is None
    assert verdicts["whole.scans_per_s", False].goal.wanted == 20_000


def test_less_is_better_where_it_says_so() -> None:
    """Memory above its limit is not met, and exactly at the limit it is."""
    figures = section()
    figures["memory_mb"] |= {"ingest": 300.1, "query": 300.0}

    met = {one.goal.path: one.met for one in judged({"rf3": figures})}

    assert (met["memory_mb.ingest"], met["memory_mb.query"]) == (False, True)


def test_a_weak_reference_is_told() -> None:
    """Below 0.7 of what it is known for, a reference is named; with three replicas nobody knows."""
    figures = section()
    figures["loader"]["rows_per_s"] = 30_000.0

    (words,) = weak_references({"rf1": figures, "rf3": figures})

    assert words.startswith("rf1: bare loader")
    assert weak_references({"rf1": section()}) == []


def test_every_goal_can_be_found_in_figures() -> None:
    """No goal on Kafka and Cassandra has a path that no figure has."""
    for goal in GOALS:
        if goal.section in ("rf1", "rf3"):
            assert figure(section(), goal.path) is not None, goal


def test_whatever_is_missing_leaves_a_table_whole() -> None:
    """A section that failed at once still has its table, without figures."""
    assert {len(row) for row in rows_of({})} == {3}
    assert len(list(rows_of(section()))) > len(list(rows_of({})))
    console = Console(width=150, record=True, file=io.StringIO())
    print_goals(console, judged({"rf1": {}}))
    assert "NO" in console.export_text()


@pytest.mark.parametrize(
    ("number", "words"),
    [(None, "–"), (0.0, "0"), (0.3456, "0.35"), (12.34, "12.3"), (41_234.567, "41,235")],
)
def test_numbers_are_written_with_digits_that_mean_something(
    number: float | None, words: str
) -> None:
    """Small numbers have decimals, large ones have none."""
    assert short(number) == words


def test_good_is_only_what_was_counted() -> None:
    """A run that was not read back is not good, and neither is one with a loss."""
    assert good({"counted": {**COUNTED, "refused": 3}})
    assert not good({})
    for fault in ("lost", "doubled", "conflicts", "strange"):
        assert not good({"counted": {**COUNTED, fault: 1, "refused": 0}})


def test_the_document_has_all_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The JSON has machine, scale, figures, goals and failures; only a whole run goes into docs."""
    monkeypatch.chdir(tmp_path)
    figures = {"loader": {"rows_per_s": 41_234.567}, "memory_mb": {"up": 150.0}}
    whole = dict.fromkeys(SECTIONS, figures)
    document = keep.document({"commit": "abc"}, FULL._asdict(), whole, {})

    files = keep.keep(document)

    assert files[0] == keep.DOCS / "bench.json"
    read = json.loads(files[0].read_text(encoding="utf-8"))
    assert read["sections"]["rf1"]["loader"]["rows_per_s"] == 41_235
    assert read["about"]["commit"] == "abc"
    assert {one["later"] for one in read["goals"]} == {False, True}
    part = keep.document({}, FULL._asdict(), {"rf1": section()}, {})
    assert keep.folder_for(part) == keep.RESULTS
    assert keep.folder_for(keep.document({}, QUICK._asdict(), whole, {})) == keep.RESULTS
    assert keep.folder_for(keep.document({}, FULL._asdict(), whole, {"rf3": "x"})) == keep.RESULTS


@pytest.mark.slow
def test_plots_are_small_and_for_both_pages(tmp_path: Path) -> None:
    """Each plot exists for a light and for a dark page, and is not too large for a repository."""
    made = draw_all({"rf1": section(), "rf3": section()}, tmp_path)

    assert {path.name for path in made} == {
        f"{name}-{page}.svg"
        for name in ("ratios", "cpu", "latency", "course")
        for page in ("light", "dark")
    }
    assert all(0 < path.stat().st_size < PLOT_BYTES_MAX for path in made)
    assert draw_all({"rf1": {}}, tmp_path / "none") == []


def test_sections_are_chosen_by_name() -> None:
    """All of them, without three nodes in a short run, or those that are named; else it is said."""
    assert sections_of({}) == SECTIONS
    assert sections_of({"QUICK": "1"}) == ("embedded", "rf1")
    assert sections_of({"SECTIONS": "rf3, embedded", "QUICK": "1"}) == ("embedded", "rf3")
    with pytest.raises(ValueError, match="rf2"):
        sections_of({"SECTIONS": "rf2"})
    assert (scale_of({}), scale_of({"QUICK": "1"})) == (FULL, QUICK)
