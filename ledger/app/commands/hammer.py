"""`parcel-ledger hammer`: writers and readers at once, who verify, against any ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ledger.app.commands.options import AsJson, Config, Server
from ledger.app.exits import DONE, REFUSED, CommandFailed

if TYPE_CHECKING:
    from rich.console import Console

    from loadtest.hammer import Goal, Hammered, Hammering


def hammer(
    *,
    server: Server = None,
    query: Annotated[
        str | None,
        Parameter(help="Where trails are read: host:port. Else the server.", show_default=False),
    ] = None,
    scans: Annotated[int, Parameter(help="The goal: so many scans acknowledged.")] = 200_000,
    within: Annotated[float, Parameter(help="The deadline, in seconds.")] = 60.0,
    writers: Annotated[int, Parameter(help="Scanners, each with a stream.")] = 8,
    readers: Annotated[int, Parameter(help="Who reads trails meanwhile, and compares.")] = 4,
    batch: Annotated[int, Parameter(help="Scans in a batch, 1 to 2,000.")] = 200,
    window: Annotated[int, Parameter(help="Batches of a scanner without a result, at most.")] = 4,
    seed: Annotated[int, Parameter(help="The same seed gives the same scans; 0 is another.")] = 0,
    config: Config = None,
    as_json: AsJson = False,
) -> int:
    """Hammer a ledger: writers and readers at once, a goal, a deadline.

    Readers check order, loss and doubles while writers write; at the end every trail is read back.
    What it records stays in the ledger: use one that is there to be tried.

    Exit code: 0 the goal was reached in time and nothing was wrong, 1 otherwise.
    """
    import json
    import time

    from ledger.app.commands.screen import answers, remarks
    from ledger.app.settings import load
    from loadtest.hammer import Goal, Hammering

    if min(scans, writers, batch, window) < 1 or within <= 0 or readers < 0 or batch > BATCH_MAX:
        raise CommandFailed(
            f"hammer needs at least one scan, writer and batch, more than 0 seconds, and 1 to "
            f"{BATCH_MAX:,} scans in a batch."
        )
    address = load({"server": server}, config=config).settings.server
    how = Hammering(
        ingest=address,
        query=query or address,
        writers=writers,
        readers=readers,
        batch_scans=batch,
        window_batches=window,
        seed=seed or time.time_ns() // 1_000_000_000,
    )
    done = _run(how, Goal(scans, within), remarks())
    if as_json:
        print(json.dumps({"seed": how.seed, **done.document()}))  # noqa: T201 - the answer.
    else:
        _show(done, answers())
    return DONE if done.is_good else REFUSED


BATCH_MAX = 2_000
"""Most scans in a batch that the wire allows."""


def _run(how: Hammering, goal: Goal, console: Console) -> Hammered:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from ledger.app.client import ledger_at
    from loadtest.hammer import hammer as begin

    for address in {how.ingest, how.query}:
        with ledger_at(address):
            pass  # Says at once where nobody is there.
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        task = progress.add_task("acknowledged", total=goal.scans)
        return begin(
            how,
            goal,
            tell=lambda words: progress.console.print(words, style="dim", markup=False),
            on_progress=lambda count: progress.update(task, completed=count),
        )


def _show(done: Hammered, console: Console) -> None:
    from rich.table import Table

    goal, verdict = done.goal, done.verdict
    reached = "reached" if done.is_reached else "missed"
    table = Table(box=None, show_header=False, pad_edge=False)
    rows = (
        ("goal", f"{goal.scans:,} scans acknowledged within {goal.within_s:g} s: {reached}"),
        ("acknowledged", f"{verdict.acknowledged:,} in {done.elapsed_s:.1f} s"),
        ("scans/s", f"{verdict.acknowledged / max(done.elapsed_s, 1e-9):,.0f}"),
        (
            "a result after",
            ", ".join(f"{name} {value:,.0f} ms" for name, value in done.waits_ms.items()),
        ),
        ("requests", ", ".join(f"{name} {count:,}" for name, count in done.requests.items())),
        ("troubles", ", ".join(f"{words} ({count:,})" for words, count in done.troubles.items())),
    )
    for name, words in rows:
        table.add_row(name, words or "none")
    console.print(table)
    for line in verdict.lines():
        console.print(line, markup=False, soft_wrap=True)
