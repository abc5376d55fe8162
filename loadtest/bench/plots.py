"""The figures as plots, each for a light and for a dark page, as small SVG files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from loadtest.bench.goals import GOALS, figure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from matplotlib.axes import Axes

Sections = dict[str, Any]


class Page(NamedTuple):
    """Colours of a page: of what is written, and of what is drawn faintly. Its ground is clear."""

    ink: str
    faint: str


PAGES: Final = {"light": Page("#1f2328", "#d0d7de"), "dark": Page("#e6edf3", "#3d444d")}

COLOURS: Final = ("#0a84c6", "#e08e00", "#1a9e77", "#d2603a", "#b06fc4", "#8c8c8c", "#4f6bd8")
"""Told apart by people who see no red or no green, on both pages."""

RATIOS: Final = {
    "ingest.ratio": "ingest /\nKafka's Java producer",
    "writer.ratio": "writer /\nbare loader",
    "reads.ratio": "trail reads /\nbare driver",
}

PROCESSES: Final = ("client", "ingest", "kafka", "writer", "cassandra", "query", "up")

WIDTH_IN: Final = 7.5


def draw_all(sections: Sections, folder: Path) -> list[Path]:
    """Draw what there are figures for; give the files."""
    made = []
    for name, draw in DRAWN.items():
        for page_name, page in PAGES.items():
            path = folder / f"{name}-{page_name}.svg"
            with mpl.rc_context(_style(page)):
                # Not pyplot: it would keep every figure until the process ends.
                picture = Figure(figsize=(WIDTH_IN, 3.2), layout="constrained")
                axes = picture.add_subplot()
                axes.spines[["top", "right"]].set_visible(False)
                if draw(axes, sections):
                    picture.savefig(path, format="svg", transparent=True, metadata={"Date": None})
                    made.append(path)
    return made


def _style(page: Page) -> dict[Any, Any]:
    inked = ("text.color", "axes.labelcolor", "xtick.color", "ytick.color", "axes.titlecolor")
    return {
        **dict.fromkeys(inked, page.ink),
        "axes.edgecolor": page.faint,
        "grid.color": page.faint,
        "legend.frameon": False,
        "font.size": 9,
        "font.family": "sans-serif",
        "svg.fonttype": "none",  # Text stays text: smaller, and in the page's own letters.
        "svg.hashsalt": "bench",  # The same figures give the same file.
        "axes.axisbelow": True,
    }


def _ratios(axes: Axes, sections: Sections) -> bool:
    """Draw each role beside what its engine does alone."""
    shown = {
        name: [figure(figures, path) for path in RATIOS]
        for name, figures in sections.items()
        if any(figure(figures, path) is not None for path in RATIOS)
    }
    if not shown:
        return False
    height = 0.7 / len(shown)
    for row, (name, values) in enumerate(shown.items()):
        places = [at + (row - (len(shown) - 1) / 2) * height for at in range(len(RATIOS))]
        widths = [value or 0.0 for value in values]
        bars = axes.barh(places, widths, height * 0.9, label=name, color=COLOURS[row])
        words = [f"{value:.2f}" if value else "" for value in widths]
        axes.bar_label(bars, words, label_type="center", color="#ffffff")
    for at, path in enumerate(RATIOS):
        wanted = {goal.wanted for goal in GOALS if goal.path == path and not goal.later}
        label = "_" if at else "goal"
        axes.vlines(
            list(wanted), at - 0.42, at + 0.42, linestyle="--", color="#d2603a", label=label
        )
    axes.set_yticks(range(len(RATIOS)), list(RATIOS.values()))
    axes.invert_yaxis()
    axes.set_xlim(0, 1.05)
    axes.set_xlabel("share of what the engine's own client reaches in the same run")
    axes.legend(loc="lower right")
    return True


def _cpu(axes: Axes, sections: Sections) -> bool:
    """Draw where the time of the whole way goes."""
    shown = {name: one["whole"]["cpu_us"] for name, one in sections.items() if "whole" in one}
    if not shown:
        return False
    left = dict.fromkeys(shown, 0.0)
    for number, process in enumerate(PROCESSES):
        widths = [used.get(process, 0.0) for used in shown.values()]
        if any(widths):
            colour = COLOURS[number % len(COLOURS)]
            bars = axes.barh(
                list(shown), widths, 0.6, left=list(left.values()), label=process, color=colour
            )
            total = max(sum(used.values()) for used in shown.values())
            words = [f"{width:.0f}" if width > total / 25 else "" for width in widths]
            axes.bar_label(bars, words, label_type="center", color="#ffffff")
            left = {name: left[name] + width for name, width in zip(shown, widths, strict=True)}
    axes.invert_yaxis()
    axes.set_xlabel("µs of CPU for a scan, the whole way")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.15), ncols=len(PROCESSES))
    return True


def _latency(axes: Axes, sections: Sections) -> bool:
    """Draw how long a result, and being readable, takes at half load."""
    shown = {name: one["open"] for name, one in sections.items() if "open" in one}
    if not shown:
        return False
    for number, (kind, title) in enumerate(
        (("ack_ms", "acknowledged"), ("readable_ms", "readable in its trail"))
    ):
        for share, marker in (("p50", "o"), ("p99", "D"), ("p999", "|")):
            axes.scatter(
                [one[kind][share] for one in shown.values()],
                [at + (number - 0.5) * 0.3 for at in range(len(shown))],
                marker=marker,
                color=COLOURS[number],
                label=f"{title}, {'p99.9' if share == 'p999' else share}",
                s=45,
            )
    names = [f"{name}, {one['scans_per_s']:,.0f}/s" for name, one in shown.items()]
    axes.set_yticks(range(len(shown)), names)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(axis="x")
    axes.set_xlabel("ms from when a scan was due, open loop at half of the sustained rate")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.25), ncols=2)
    return True


def _course(axes: Axes, sections: Sections) -> bool:
    """Draw how acknowledged and readable scans grow in the closed loop."""
    shown = {
        name: one["whole"]["samples"]
        for name, one in sections.items()
        if one.get("whole", {}).get("samples")
    }
    for number, (name, samples) in enumerate(shown.items()):
        times = [sample[0] for sample in samples]
        for column, (title, line) in enumerate((("acknowledged", "-"), ("readable", "--")), 1):
            counts = [sample[column] / 1e6 for sample in samples]
            axes.plot(times, counts, line, color=COLOURS[number], label=f"{name}, {title}")
    axes.set_xlabel("seconds of closed loop")
    axes.set_ylabel("million scans")
    axes.set_ylim(bottom=0)
    axes.grid(axis="y")
    if shown:
        axes.legend()
    return bool(shown)


DRAWN: Final[Mapping[str, Callable[[Axes, Sections], bool]]] = {
    "ratios": _ratios,
    "cpu": _cpu,
    "latency": _latency,
    "course": _course,
}
