"""`parcel-ledger demo`: the promise of the ledger, shown on this machine in less than a minute."""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ledger.app.commands.options import AsJson
from ledger.app.exits import DONE, REFUSED, CommandFailed

if TYPE_CHECKING:
    from rich.console import Console

    from ledger.app.demo.story import Bar, Report


def demo(
    *,
    seconds: Annotated[float, Parameter(help="How long scanners stream.")] = 8.0,
    scanners: Annotated[int, Parameter(help="How many scanners, each with its connection.")] = 200,
    seed: Annotated[int, Parameter(help="The same seed gives the same scans.")] = 1,
    kill: Annotated[bool, Parameter(help="Kill the ledger while scanners stream.")] = True,
    data: Annotated[
        Path | None,
        Parameter(
            help="Folder to keep the ledger's data in. Else a temporary one.", show_default=False
        ),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """See it yourself: scanners stream, the ledger is killed with -9, nothing is lost.

    It starts a ledger of its own, lets scanners stream to it over gRPC, kills it while scans are in
    flight and starts it again. Then another process takes the scanners' own list of what was
    acknowledged, reads every trail back, and counts.

    Exit code: 0 nothing is lost and nothing doubled, 1 otherwise, 2 it could not be run.
    """
    import json

    from ledger.app.commands.screen import answers, remarks
    from ledger.app.demo.story import Plan, tell_story

    if seconds <= 0 or scanners < 1:
        raise CommandFailed("The demo needs at least one scanner and more than 0 seconds.")
    # A demo that is told to end takes its processes with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    console = remarks() if as_json else answers()
    with tempfile.TemporaryDirectory(prefix="parcel-ledger-") as folder:
        plan = Plan(
            folder=data or Path(folder) / "data",
            work=Path(folder),
            seconds=seconds,
            scanners=scanners,
            seed=seed,
            kills=kill,
        )
        report = tell_story(
            plan,
            Screen(console),
            at_end=lambda address, report: _show_trail(console, address, report),
        )
    if as_json:
        print(json.dumps(_figures(report)))  # noqa: T201 - the answer.
    else:
        _show_table(console, report)
    if data:
        console.print(
            f"The ledger's data is kept: parcel-ledger up --data {data}",
            markup=False,
            soft_wrap=True,
        )
    return DONE if report.good else REFUSED


class Screen:
    """Tells the story on a console; where that is no terminal, without moving bars."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, words: str) -> None:
        """Say one line."""
        self._console.print(words, markup=False, soft_wrap=True)

    @contextmanager
    def bar(self, name: str) -> Iterator[Bar]:
        """Show a bar; where nothing can move, its last words."""
        from rich.progress import BarColumn, Progress, TextColumn

        columns = (TextColumn(name), BarColumn(), TextColumn("{task.fields[words]}"))
        moves = self._console.is_terminal
        last = ""
        with Progress(*columns, console=self._console, disable=not moves) as progress:
            task = progress.add_task("", total=1.0, words="")

            def show(done: float, words: str) -> None:
                nonlocal last
                last = words
                progress.update(task, completed=done, words=words)

            yield show
        if not moves and last:
            self.say(f"{name}: {last}")


def _figures(report: Report) -> dict[str, Any]:
    """Give the counts, in the order in which they are shown."""
    verdict = report.verdict
    names = ("acknowledged", "in_trails", "lost", "doubled", "conflicts", "items")
    return {
        **{name: verdict[name] for name in names},
        "kills": report.kills,
        "in_flight_at_kill": report.in_flight_at_kill,
        "sent_again": report.sent_again,
        "copies_in_log": verdict["copies"],
        "refused": report.refused,
        "unacknowledged_in_trails": verdict["unacknowledged"],
        "scans_per_s": round(report.scans_per_s),
        "seconds_without_answers": round(report.down_s, 2),
        "good": report.good,
    }


def _show_trail(console: Console, address: str, report: Report) -> None:
    from ledger.app.client import ledger_at
    from ledger.app.commands.trail import PAGE_ENTRIES, pages_of, print_table
    from ledger.v1.trail_service_pb2 import ListScanEventsRequest
    from ledger.v1.trail_service_pb2_grpc import TrailServiceStub

    example = report.verdict["example"]
    if not example:
        return
    console.print(
        f"\nOne of {report.verdict['items']:,} items, by `parcel-ledger trail {example}`:\n"
    )
    request = ListScanEventsRequest(tracking_number=example, page_size=PAGE_ENTRIES)
    with ledger_at(address) as channel:
        print_table(console, example, pages_of(TrailServiceStub(channel), request))


def _show_table(console: Console, report: Report) -> None:
    from rich.table import Table
    from rich.text import Text

    figures = _figures(report)
    notes = {
        "acknowledged": "by the scanners' own list",
        "in_trails": "read back by another process",
        "in_flight_at_kill": f"{report.kills} x kill -9" if report.kills else "",
        "copies_in_log": "scans that were in the log already; trails show each once",
        "scans_per_s": "acknowledged, before the kill; scanners and ledger on this machine",
    }
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(justify="right")
    table.add_column(style="dim")
    for name in (
        *("acknowledged", "in_trails", "lost", "doubled", "conflicts"),
        *("in_flight_at_kill", "sent_again", "copies_in_log", "scans_per_s"),
    ):
        style = "bold"
        if name in {"lost", "doubled", "conflicts"}:
            style = "bold red" if figures[name] else "bold green"
        words = name.replace("_per_s", "/s").replace("_at_kill", " at the kill")
        words = words.replace("in_log", "in the log").replace("in_trails", "in the trails")
        value = Text(f"{figures[name]:,}", style)
        table.add_row(words.replace("_", " "), value, notes.get(name, ""))
    console.print()
    console.print(table)
    console.print()
    if report.good:
        console.print("[bold green]Nothing is lost, nothing is doubled.[/]")
    else:
        console.print("[bold red]The ledger has not kept its promise.[/]")
