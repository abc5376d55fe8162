"""`python -m loadtest.fleet`: describes the fleet, or writes its scans and their truth to files."""

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from loadtest.export import SCANS_FILE, TRUTH_FILE, export
from loadtest.fleet import Fleet, Oddities
from loadtest.network import Role, facilities
from loadtest.world.calendar import COUNTRIES
from loadtest.world.sendings import Kind

SAMPLE_JOURNEYS: Final = 3_000
"""Journeys that are planned to show what comes of the shares: a few seconds."""

_ROLES = (
    (Role.POST_OFFICE, "offices"),
    (Role.SORTING_CENTRE, "sorting"),
    (Role.OFFICE_OF_EXCHANGE, "exchange"),
    (Role.DELIVERY_UNIT, "delivery"),
)


def main(words: Sequence[str] | None = None) -> None:
    """Do what the command line says."""
    arguments = _parser().parse_args(words)
    start = datetime.fromisoformat(arguments.start).replace(tzinfo=UTC)
    oddities = Oddities()
    if arguments.no_bad_labels:
        oddities = replace(oddities, bad_label=0.0)
    fleet = Fleet(
        arguments.seed,
        arguments.scanners,
        start_time_ns=int(start.timestamp()) * 1_000_000_000,
        journeys_per_day=arguments.per_day,
        oddities=oddities,
    )
    console = Console()
    if arguments.out is None:
        describe(fleet, console)
    else:
        _write(fleet, arguments.journeys, arguments.out, console)


def describe(fleet: Fleet, console: Console, sample: int = SAMPLE_JOURNEYS) -> None:
    """Print the network, and the shares as they are stated and as they come out."""
    console.print(_network())
    with _progress(console) as progress:
        task = progress.add_task("planning", total=sample)
        kinds: Counter[str] = Counter()
        outcomes: Counter[str] = Counter()
        steps = missed = 0
        for item in range(sample):
            plan = fleet.plan(item)
            outcomes[plan.outcome] += 1
            for step in range(len(plan.steps)):
                if plan.is_scanned(step):
                    steps += 1
                    missed += fleet.odds.is_missed(plan, step)
            kinds.update(sending[2].name for sending in fleet.sendings_of(plan))
            progress.advance(task)
    console.print(_stated("Fates of items, as shares of those they can befall", fleet.fates))
    console.print(_stated("Oddities of scanners", fleet.oddities))
    seen = Table(title=f"What came of it in {sample:,} journeys", title_justify="left", box=None)
    seen.add_column("")
    seen.add_column("count", justify="right")
    seen.add_column("share", justify="right")
    for name, count in outcomes.most_common():
        seen.add_row(name, f"{count:,}", f"{count / sample:.2%}")
    seen.add_row("scans that should be", f"{steps:,}", f"{steps / sample:.1f} an item")
    seen.add_row("missed", f"{missed:,}", f"{missed / steps:.2%}")
    for kind in Kind:
        if count := kinds[kind.name]:
            seen.add_row(kind.name, f"{count:,}", f"{count / steps:.2%}")
    console.print(seen)


def _network() -> Table:
    table = Table(title="The network", title_justify="left", box=None)
    table.add_column("country")
    for _, name in _ROLES:
        table.add_column(name, justify="right")
    table.add_column("share of items", justify="right")
    table.add_column("time zones")
    volume = sum(country.volume for country in COUNTRIES.values())
    for code, country in COUNTRIES.items():
        here = [facility for facility in facilities() if facility.country == code]
        roles = Counter(facility.role for facility in here)
        zones = sorted({facility.zone for facility in here})
        counts = [str(roles[role]) for role, _ in _ROLES]
        table.add_row(code, *counts, f"{country.volume / volume:.0%}", ", ".join(zones))
    roles = Counter(facility.role for facility in facilities())
    table.add_row("all", *(str(roles[role]) for role, _ in _ROLES), "100%", "", style="bold")
    return table


def _stated(title: str, shares: object) -> Table:
    table = Table(title=title, title_justify="left", box=None)
    table.add_column("")
    table.add_column("stated share", justify="right")
    for name, share in asdict(shares).items():  # type: ignore[call-overload]
        table.add_row(name.replace("_", " "), f"{share:.2%}")
    return table


def _write(fleet: Fleet, journeys: int, folder: Path, console: Console) -> None:
    with _progress(console) as progress:
        task = progress.add_task("writing", total=journeys)
        done = export(
            fleet,
            journeys,
            folder,
            on_progress=lambda items: progress.update(task, completed=items),
        )
    console.print(
        f"{done.items:,} journeys that begin on {done.days:,} days, {done.scans:,} scans, of which "
        f"{done.refused:,} have labels that a ledger must refuse.\n"
        f"{folder / TRUTH_FILE}: what happened, as the plan has it\n"
        f"{folder / SCANS_FILE}: for parcel-ledger send {folder / SCANS_FILE}",
        soft_wrap=True,
        highlight=False,
    )


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console, transient=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.fleet",
        description="Describes the seeded fleet; with --out, writes its scans and their truth.",
    )
    parser.add_argument("--describe", action="store_true", help="what happens without --out")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same bytes")
    parser.add_argument("--scanners", type=int, default=20, help="how many there are")
    parser.add_argument("--per-day", type=int, help="journeys that begin on an average day")
    parser.add_argument("--start", default="2025-11-03", help="date on which virtual time begins")
    parser.add_argument("--journeys", type=int, default=1_000, help="how many are written at least")
    parser.add_argument("--no-bad-labels", action="store_true", help="nothing that is refused")
    parser.add_argument("--out", type=Path, help=f"folder for {TRUTH_FILE} and {SCANS_FILE}")
    return parser
