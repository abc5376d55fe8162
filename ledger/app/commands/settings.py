"""`parcel-ledger settings`: every setting, its value, and where that came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ledger.app.commands.options import AsJson, Config
from ledger.app.exits import DONE, CommandFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from ledger.app.settings import Loaded


def settings(
    command: Annotated[
        str | None, Parameter(help="Lists only what this command uses.", show_default=False)
    ] = None,
    /,
    *,
    config: Config = None,
    as_json: AsJson = False,
) -> int:
    """List all settings: value, where it came from, meaning, and which commands use it.

    A flag wins over the environment (PARCEL_LEDGER_NAME), that over the file, that over the
    default. Passwords are not among them: a setting names the file that holds one.
    """
    import json

    from ledger.app.commands.screen import answers
    from ledger.app.settings import GROUPS, groups_of, load, meaning

    groups = groups_of(command) if command else GROUPS
    if not groups:
        known = dict.fromkeys(name for group in GROUPS for name in group.commands)
        raise CommandFailed(f"`{command}` uses no settings; these do: {', '.join(known)}.")
    loaded = load(config=config)
    if as_json:
        rows = {
            name: {
                "value": getattr(loaded.settings, name),
                "from": loaded.origins[name],
                "meaning": meaning(name),
                "used_by": group.commands,
            }
            for group in groups
            for name in group.names
        }
        print(json.dumps(rows, default=str, indent=2))  # noqa: T201 - the answer.
        return DONE
    console = answers()
    for group in groups:
        console.print(f"[bold]{group.title}[/] ({', '.join(group.commands)})")
        console.print(_table(loaded, group.names))
        console.print()
    console.print(f"Settings file: {loaded.config or 'none'}", style="dim")
    return DONE


def _table(loaded: Loaded, names: Sequence[str]) -> Table:
    from rich.table import Table
    from rich.text import Text

    from ledger.app.settings import NAMES, meaning

    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 2))
    # The same widths in every group, so that the columns stand below each other.
    table.add_column(width=max(map(len, NAMES)))
    table.add_column(width=22, overflow="fold")
    table.add_column(width=len("environment"))
    table.add_column(overflow="fold")
    for name in names:
        value = getattr(loaded.settings, name)
        shown = str(value).lower() if isinstance(value, bool) else str(value)
        if value is None:
            shown = ""
        origin = loaded.origins[name]
        table.add_row(
            name, Text(shown), Text(origin, "dim" if origin == "default" else "cyan"), meaning(name)
        )
    return table
