"""Every setting of every command: one frozen dataclass, whose docstrings are what is shown."""

from __future__ import annotations

import ast
import inspect
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final

from ledger.app.settings.checks import invalid, is_loopback, split_address

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
                raise invalid(
                    name,
                    f"`{name}` is {address}, which others can reach, and there is no encryption "
                    f"and no check of who speaks. Listen on 127.0.0.1, or say `insecure = true` "
                    f"where the network is yours alone.",
                )
        if not 1 <= self.partitions <= PARTITIONS_MAX:
            raise invalid(
                "partitions",
                f"`partitions` is {self.partitions}; it goes from 1 to {PARTITIONS_MAX:,}.",
            )
        if not 0 <= self.drain_s <= DRAIN_S_MAX:
            raise invalid(
                "drain_s",
                f"`drain_s` is {self.drain_s}; it goes from 0 to {DRAIN_S_MAX:.0f} seconds.",
            )
        for name, allowed in (("log_level", _LOG_LEVELS), ("log_format", _LOG_FORMATS)):
            if getattr(self, name) not in allowed:
                raise invalid(
                    name, f"`{name}` is `{getattr(self, name)}`; it is one of {', '.join(allowed)}."
                )


def meaning(name: str) -> str:
    """Give the docstring of a setting, as one line."""
    return _MEANINGS[name]


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

_MEANINGS: Final = _meanings()
