"""Settings from four places.

A flag wins over the environment (PARCEL_LEDGER_DATA), that over one TOML file (`data = "..."`),
that over the default. A name that does not exist is refused, and the nearest one that does is
named: a setting with a typing error would otherwise be silently without effect.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args, get_type_hints

from ledger.app.settings.checks import invalid
from ledger.app.settings.table import NAMES, Settings
from ledger.errors import Refused

ENVIRONMENT_PREFIX: Final = "PARCEL_LEDGER_"
"""What the name of every setting begins with in the environment."""

CONFIG_VARIABLE: Final = "PARCEL_LEDGER_CONFIG"
"""Path of the TOML file, where no flag gives it."""


class Loaded(NamedTuple):
    """The settings, and for each where its value came from."""

    settings: Settings
    origins: Mapping[str, str]
    """By name: `default`, `file`, `environment` or `flag`."""
    config: Path | None
    """The file that was read."""


def load(
    flags: Mapping[str, Any] | None = None,
    *,
    config: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Loaded:
    """Read all four places. `flags` holds what the command line said; None there is not said.

    Raises Refused for an unknown name or a bad value, and for a file that cannot be read.
    """
    environ = os.environ if environ is None else environ
    if config is None and environ.get(CONFIG_VARIABLE):
        config = Path(environ[CONFIG_VARIABLE])
    values: dict[str, Any] = {}
    origins = dict.fromkeys(NAMES, "default")
    said = {name: value for name, value in (flags or {}).items() if value is not None}
    for origin, found in (
        ("file", _from_file(config) if config else {}),
        ("environment", _from_environment(environ)),
        ("flag", said),
    ):
        values |= found
        origins |= dict.fromkeys(found, origin)
    return Loaded(Settings(**values), origins, config)


def _from_file(path: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(path.expanduser().read_text(encoding="utf-8"))
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _unreadable(path, str(error)) from error
    found = {}
    for name, value in table.items():
        if name not in NAMES:
            raise _unknown(name, f"in {path}", NAMES)
        found[name] = _from_toml(name, value)
    return found


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    names = {ENVIRONMENT_PREFIX + name.upper(): name for name in NAMES}
    found = {}
    for variable, text in environ.items():
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable == CONFIG_VARIABLE:
            continue
        if variable not in names:
            raise _unknown(variable, "in the environment", (*names, CONFIG_VARIABLE))
        found[names[variable]] = _from_text(names[variable], text, variable)
    return found


def _from_toml(name: str, value: object) -> Any:  # noqa: ANN401 - the type of the setting.
    kind = _TYPES[name]
    if kind is Path and isinstance(value, str):
        return _path(name, value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind:
        written = {str: "text", Path: "text", bool: "true or false", int: "a whole number"}
        raise invalid(name, f"`{name}` is {value!r}; it is {written.get(kind, 'a number')}.")
    return value


def _from_text(name: str, text: str, variable: str) -> Any:  # noqa: ANN401 - the type of the setting.
    kind = _TYPES[name]
    if kind is Path:
        return _path(name, text)
    if kind is bool:
        if text.lower() in {"true", "1", "yes"}:
            return True
        if text.lower() in {"false", "0", "no", ""}:
            return False
        raise invalid(name, f"{variable} is `{text}`; it is true or false.")
    try:
        return kind(text)
    except ValueError:
        raise invalid(name, f"{variable} is `{text}`; it is a number.") from None


def _path(name: str, text: str) -> Path | None:
    if text:
        return Path(text).expanduser()
    if name in _MAY_BE_NONE:
        return None
    raise invalid(name, f"`{name}` is empty; it is a path.")


def _unknown(name: str, where: str, known: tuple[str, ...]) -> Refused:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0)[0]
    return Refused(
        f"There is no setting `{name}` ({where}). The nearest one is `{near}`; "
        f"`parcel-ledger settings` lists all.",
        reason="SETTING_UNKNOWN",
        field=name,
        metadata={"setting": name, "nearest": near},
    )


def _unreadable(path: Path, why: str) -> Refused:
    return Refused(
        f"The settings file {path} cannot be read: {why}.",
        reason="CONFIG_UNREADABLE",
        metadata={"path": str(path)},
    )


def type_of(name: str) -> type:
    """Give the type of a setting's value, where it has one."""
    return _TYPES[name]


_HINTS: Final = get_type_hints(Settings)
_MAY_BE_NONE: Final = frozenset(name for name, hint in _HINTS.items() if get_args(hint))
_TYPES: Final[Mapping[str, type]] = {
    name: get_args(hint)[0] if name in _MAY_BE_NONE else hint for name, hint in _HINTS.items()
}
