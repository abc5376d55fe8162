"""Flags that several commands share. A setting's flag says what the setting's docstring says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ledger.app.settings import CONFIG_VARIABLE, ENVIRONMENT_PREFIX, meaning


def flag_of(name: str) -> Parameter:
    """Make the flag of a setting."""
    variable = ENVIRONMENT_PREFIX + name.upper()
    return Parameter(
        name="--" + name.replace("_", "-"),
        help=f"{meaning(name)} Else {variable} or the file.",
        show_default=False,
    )


Config = Annotated[
    Path | None,
    Parameter(
        name="--config",
        help=f"TOML file with settings. Else {CONFIG_VARIABLE}.",
        show_default=False,
    ),
]
"""Where the settings file is."""

Server = Annotated[
    str | None,
    Parameter(
        name="--server",
        help="Where the ledger listens: host:port. Else the setting `server`, 127.0.0.1:50731.",
        show_default=False,
    ),
]
"""Which ledger is asked."""

AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON for a program.")]
"""Whether a program reads the answer."""
