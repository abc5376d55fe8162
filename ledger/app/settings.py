"""Every setting of every command: one frozen dataclass, read from four places.

A flag wins over the environment (PARCEL_LEDGER_DATA), that over one TOML file (`data = "..."`),
that over the default. A name that does not exist is refused, and the nearest one that does is
named: a setting with a typing error would otherwise be silently without effect.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import ipaddress
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, NamedTuple, get_type_hints

from ledger.errors import Refused

ENVIRONMENT_PREFIX: Final = "PARCEL_LEDGER_"
"""What the name of every setting begins with in the environment."""

CONFIG_VARIABLE: Final = "PARCEL_LEDGER_CONFIG"
"""Path of the TOML file, where no flag gives it."""

PARTITIONS_MAX: Final = 1_024
"""Most partitions: what the embedded engine takes, stated here since settings know no engine."""

DRAIN_S_MAX: Final = 3_600.0
"""Longest drain in seconds: an operator who waits longer has another problem."""

_LOG_LEVELS = ("debug", "info", "warning", "error")
_LOG_FORMATS = ("plain", "json")


def default_data_folder(environ: Mapping[str, str]) -> Path:
    """Give the folder of a person's own data, by the XDG rule."""
    base = environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser() / "parcel-ledger"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings. Checked when made: raises Refused."""

    server: str = "127.0.0.1:50731"
    """Where the commands that ask or send find the ledger: host and port."""

    listen: str = "127.0.0.1:50731"
    """Where `up` takes gRPC: host and port; port 0 takes a free one."""

    metrics: str = "127.0.0.1:50732"
    """Where `up` shows Prometheus metrics (path /metrics): host and port; empty is off."""

    insecure: bool = False
    """Allows `up` to listen beyond this machine, unencrypted and without asking who speaks."""

    data: Path = field(default_factory=lambda: default_data_folder(os.environ))
    """Folder of the log and the trails. One running process holds it."""

    partitions: int = 32
    """Partitions of the log, 1 to 1,024. Fixed when the data folder is made."""

    drain_s: float = 10.0
    """Seconds that scans on their way get to finish when `up` is told to end."""

    log_level: str = "info"
    """What `up` writes to its log: debug, info, warning or error."""

    log_format: str = "plain"
    """How `up` writes its log, on standard error: plain, or json with one object a line."""

    def __post_init__(self) -> None:
        """Check every value."""
        split_address("server", self.server)
        for name in ("listen", "metrics"):
            address = getattr(self, name)
            if name == "metrics" and not address:
                continue
            host, _ = split_address(name, address)
            if not self.insecure and not is_loopback(host):
                raise _invalid(
                    name,
                    f"`{name}` is {address}, which others can reach, and there is no encryption "
                    f"and no check of who speaks. Listen on 127.0.0.1, or say `insecure = true` "
                    f"where the network is yours alone.",
                )
        if not 1 <= self.partitions <= PARTITIONS_MAX:
            raise _invalid(
                "partitions",
                f"`partitions` is {self.partitions}; it goes from 1 to {PARTITIONS_MAX:,}.",
            )
        if not 0 <= self.drain_s <= DRAIN_S_MAX:
            raise _invalid(
                "drain_s",
                f"`drain_s` is {self.drain_s}; it goes from 0 to {DRAIN_S_MAX:.0f} seconds.",
            )
        for name, allowed in (("log_level", _LOG_LEVELS), ("log_format", _LOG_FORMATS)):
            if getattr(self, name) not in allowed:
                raise _invalid(
                    name, f"`{name}` is `{getattr(self, name)}`; it is one of {', '.join(allowed)}."
                )


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


def meaning(name: str) -> str:
    """Give the docstring of a setting, as one line."""
    return _MEANINGS[name]


def split_address(name: str, address: str) -> tuple[str, int]:
    """Split `host:port`; an IPv6 host stands in brackets. Raises Refused."""
    host, colon, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        raise _invalid(
            name, f"`{name}` is `{address}`; it reads host:port, for example 127.0.0.1:50731."
        )
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach the host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


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
        return Path(value).expanduser()
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind:
        written = {str: "text", Path: "text", bool: "true or false", int: "a whole number"}
        raise _invalid(name, f"`{name}` is {value!r}; it is {written.get(kind, 'a number')}.")
    return value


def _from_text(name: str, text: str, variable: str) -> Any:  # noqa: ANN401 - the type of the setting.
    kind = _TYPES[name]
    if kind is Path:
        return Path(text).expanduser()
    if kind is bool:
        if text.lower() in {"true", "1", "yes"}:
            return True
        if text.lower() in {"false", "0", "no", ""}:
            return False
        raise _invalid(name, f"{variable} is `{text}`; it is true or false.")
    try:
        return kind(text)
    except ValueError:
        raise _invalid(name, f"{variable} is `{text}`; it is a number.") from None


def _invalid(name: str, message: str) -> Refused:
    return Refused(message, reason="SETTING_INVALID", field=name, metadata={"setting": name})


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


def _meanings() -> dict[str, str]:
    """Read the docstrings under the fields out of this file: they are said once, and shown here."""
    body = ast.parse(inspect.getsource(Settings)).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for one, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
            assert isinstance(after, ast.Expr)
            assert isinstance(after.value, ast.Constant)
            found[one.target.id] = " ".join(str(after.value.value).split())
    return found


NAMES: Final = tuple(each.name for each in fields(Settings))
"""The names of all settings, in the order of the table."""

_TYPES: Final[Mapping[str, type]] = get_type_hints(Settings)
_MEANINGS: Final = _meanings()
