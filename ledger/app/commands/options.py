"""Flags that several commands share. A setting's flag says what the setting's docstring says.

A command that runs or prepares a process takes a flag for every setting that it uses: the flags are
made from the table of settings, so that none is forgotten and none is said twice.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

from cyclopts import Group, Parameter

from ledger.app.settings import (
    CONFIG_VARIABLE,
    ENVIRONMENT_PREFIX,
    GROUPS,
    groups_of,
    load,
    meaning,
    type_of,
)

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

Command = Callable[..., int]


def flag_of(name: str, group: Group) -> Parameter:
    """Make the flag of a setting; `group` is the heading under which --help shows it."""
    variable = ENVIRONMENT_PREFIX + name.upper()
    return Parameter(
        name="--" + name.replace("_", "-"),
        group=group,
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

AsOf = Annotated[
    str | None,
    Parameter(
        name="--as-of",
        help="As the ledger could have shown it then, such as 2026-03-01T14:05:00Z.",
        show_default=False,
    ),
]
"""For which moment of the ledger's knowledge is asked."""


def put_as_of(out: Timestamp, as_of: str, *, flag: str = "--as-of") -> None:
    """Put that moment, which was given to a flag."""
    from ledger.app.event_fields import parse_time

    moment = parse_time(flag, as_of)
    out.FromNanoseconds(moment.seconds * 1_000_000_000 + moment.nanos)


def with_settings(function: Callable[..., int]) -> Command:
    """Make a command of a function that takes its settings first, loaded from all four places.

    The command has the function's name, its docstring and its other parameters, and a flag for each
    setting that `ledger.app.settings.groups` says it uses.
    """
    _, *own = inspect.signature(function, eval_str=True).parameters.values()
    flags = {
        name: Group(group.title, sort_key=GROUPS.index(group))
        for group in groups_of(function.__name__)
        for name in group.names
    }
    parameters = [
        *own,
        _keyword("config", Config),
        *(
            _keyword(name, Annotated[Optional[type_of(name)], flag_of(name, group)])  # noqa: UP045
            for name, group in flags.items()
        ),
    ]

    def command(*, config: Path | None = None, **said: Any) -> int:  # noqa: ANN401 - of any type.
        settings = load({name: said.pop(name, None) for name in flags}, config=config).settings
        return function(settings, **said)

    command.__name__, command.__doc__ = function.__name__, function.__doc__
    command.__module__ = function.__module__
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    return command


def _keyword(name: str, annotation: object) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
    )
