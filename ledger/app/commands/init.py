"""`parcel-ledger init`: makes the topics and tables that the roles need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ledger.app.commands.options import AsJson, with_settings
from ledger.app.exits import DONE, FAILED, CommandFailed
from ledger.app.settings import Settings

if TYPE_CHECKING:
    from ledger.app.wiring.preparing import Found, Plan


@with_settings
def init(
    settings: Settings,
    *,
    dry_run: Annotated[
        bool,
        Parameter(
            negative="",
            show_default=False,
            help="Print commands and CQL for somebody else to apply. Connects to nothing.",
        ),
    ] = False,
    check: Annotated[
        bool,
        Parameter(
            negative="",
            show_default=False,
            help="Make nothing, and list what is wrong. Needs to read only.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Make the topics in Kafka and the tables in Cassandra, where they are missing.

    What is there is never changed, so it may be run as often as one likes. It does its part where
    only one of the two is named. The roles themselves make nothing, and refuse to start on topics
    or tables under which their promises would not hold; --check says beforehand.

    Exit code: 0 all is as it has to be, 2 it is not, or it could not be made or asked.
    """
    import asyncio

    from ledger.app.logs import set_up_logs

    if dry_run and check:
        raise CommandFailed("--dry-run asks nobody and --check asks: take one of them.")
    # What the drivers say while they try is no answer; what comes of it is.
    set_up_logs(level="critical", as_json=False)

    from ledger.app.wiring import preparing

    if dry_run:
        _print_plan(preparing.plan(settings), as_json=as_json)
        return DONE
    found = asyncio.run(preparing.look(settings) if check else preparing.make(settings))
    _print_found(found, as_json=as_json)
    return FAILED if any(each.faults for each in found) else DONE


def _print_plan(plan: Plan, *, as_json: bool) -> None:
    import json

    if as_json:
        print(json.dumps(plan._asdict(), indent=2))  # noqa: T201 - the answer.
        return
    parts = []
    if plan.topics:
        parts += ["# Topics, with Kafka's own tools:", *plan.topics, ""]
    if plan.rights:
        parts += ["# What each role may do; put in who they are for you:", *plan.rights, ""]
    if plan.cql:
        parts += ["-- Tables, with cqlsh:", *(f"{statement};\n" for statement in plan.cql)]
    print("\n".join(parts).rstrip())  # noqa: T201 - the answer.


def _print_found(found: Sequence[Found], *, as_json: bool) -> None:
    import json

    from ledger.app.commands.screen import answers

    if as_json:
        document = {each.engine.lower(): each._asdict() for each in found}
        print(json.dumps(document, indent=2))  # noqa: T201 - the answer.
        return
    console = answers()
    for engine, where, made, faults in found:
        console.print(f"{engine} at {where}", style="bold", markup=False, soft_wrap=True)
        for name in made:
            console.print(f"  [green]made[/]   {name}", soft_wrap=True)
        for fault in faults:
            console.print("  [red]fault[/]  ", end="")
            console.print(fault, markup=False, soft_wrap=True)
        if not faults:
            console.print("  all is as it has to be")
