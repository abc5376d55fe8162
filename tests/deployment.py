"""What the tests of deploy/ share: where it lies, what the program takes, and what it measures."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from cyclopts import CycloptsError

from ledger.app.cli import app
from ledger.app.settings import Loaded, Settings, groups_of, load, type_of
from ledger.metrics import REGISTRY

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
ROLES = ("ingest", "writer", "query")
VERSION = version("parcel-ledger")
IMAGE = f"parcel-ledger:{VERSION}"
GRPC_PORT, METRICS_PORT = (
    int(each.rpartition(":")[2]) for each in (Settings().listen, Settings().metrics)
)

Document = dict[str, Any]


def documents(path: Path) -> list[Document]:
    """All documents of a YAML file."""
    return [each for each in yaml.safe_load_all(path.read_text()) if each is not None]


def is_accepted(words: Sequence[str]) -> bool:
    """Whether the command line takes these words after `parcel-ledger`."""
    try:
        app.parse_args(list(words), exit_on_error=False, print_error=False)
    except CycloptsError:
        return False
    return True


def loaded(environ: Mapping[str, str], settings: str | None, folder: Path) -> Loaded:
    """The settings that a process has with these variables, and with this file. Raises Refused."""
    ours = {name: value for name, value in environ.items() if name.startswith("PARCEL_LEDGER_")}
    if settings is None:
        return load(environ=ours)
    file = folder / "settings.toml"
    file.write_text(settings)
    return load(environ=ours, config=file)


def files_of(role: str, settings: Settings) -> list[Path]:
    """The files that a role reads: certificates, keys, passwords."""
    names = [name for group in groups_of(role) for name in group.names]
    values = [getattr(settings, name) for name in names if type_of(name) is Path]
    return [value for value in values if value is not None]


def metric_names() -> set[str]:
    """Every series that a process shows: with _total, _bucket and so on, and as it is declared."""
    found = set()
    for family in REGISTRY.collect():
        ends = {"counter": ("_total",), "info": ("_info",), "histogram": _OF_HISTOGRAMS}
        found |= {family.name + end for end in ends.get(family.type, ("",))}
    return found


_OF_HISTOGRAMS = ("_bucket", "_sum", "_count")


def metrics_in(text: str) -> set[str]:
    """The ledger's metrics that a text names."""
    return set(re.findall(r"\bledger_(?!v1\b)[a-z_]+\b", text))


def engine_version(engine: str) -> str:
    """The version that the tests run on: that of the jars in the engine's recipe."""
    recipe = (ROOT / "ledger/app/engines/recipes" / f"{engine}.xml").read_text()
    artifact = {"kafka": "kafka_2.13", "cassandra": "cassandra-all"}[engine]
    (found,) = re.findall(rf"<artifactId>{artifact}</artifactId><version>(.+?)</version>", recipe)
    return str(found)


def project() -> Document:
    """The [project] table of pyproject.toml."""
    table: Document = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return table
