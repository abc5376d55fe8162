"""The settings that point the ledger's roles at the engines of a folder, as people write them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ledger.app.engines.cluster import Cluster
from ledger.app.settings import ENVIRONMENT_PREFIX

SETTINGS_FILE: Final = "ledger.toml"
"""The file in an engines' folder that `--config` takes."""

Pointing = dict[str, str | int | bool]
"""Settings by name."""


def settings_for(clusters: Iterable[Cluster]) -> Pointing:
    """Give the settings for engines that were started."""
    found: Pointing = {}
    for cluster in clusters:
        if cluster.nodes:
            found |= cluster.settings()
    return found


def as_toml(settings: Pointing) -> str:
    """Write settings as a file has them. What JSON writes for these types is TOML."""
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())


def as_environment(settings: Pointing) -> str:
    """Write settings as a shell takes them."""
    return "".join(
        f"export {ENVIRONMENT_PREFIX}{name.upper()}="
        f"{shlex.quote(value if isinstance(value, str) else json.dumps(value))}\n"
        for name, value in settings.items()
    )


def write_settings(folder: Path, settings: Pointing) -> Path:
    """Put the settings into the engines' folder."""
    path = folder / SETTINGS_FILE
    path.write_text(as_toml(settings), encoding="utf-8")
    return path
