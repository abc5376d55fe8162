"""`parcel-ledger settings`: every setting, its value, and where that came from."""

from __future__ import annotations

from ledger.app.commands.options import AsJson, Config
from ledger.app.exits import DONE


def settings(*, config: Config = None, as_json: AsJson = False) -> int:
    """List all settings: value, where it came from, meaning.

    A flag wins over the environment (PARCEL_LEDGER_NAME), that over the file, that over the
    default.
    """
    import json

    from rich.table import Table
    from rich.text import Text

    from ledger.app.commands.screen import answers
    from ledger.app.settings import NAMES, load, meaning

    loaded = load(config=config)
    values = {name: getattr(loaded.settings, name) for name in NAMES}
    if as_json:
        rows = {
            name: {"value": value, "from": loaded.origins[name], "meaning": meaning(name)}
            for name, value in values.items()
        }
        print(json.dumps(rows, default=str, indent=2))  # noqa: T201 - the answer.
        return DONE
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("setting", "value", "from", "meaning"):
        table.add_column(name, overflow="fold")
    for name, value in values.items():
        shown = str(value).lower() if isinstance(value, bool) else str(value)
        origin = loaded.origins[name]
        table.add_row(
            name, Text(shown), Text(origin, "dim" if origin == "default" else "cyan"), meaning(name)
        )
    console = answers()
    console.print(table)
    console.print(f"\nSettings file: {loaded.config or 'none'}", style="dim")
    return DONE
