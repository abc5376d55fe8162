"""Compose files put together as compose does it, as far as ours need it: one laid over the other,
and services that extend others. Whatever else they might use is refused.
"""

from pathlib import Path

from tests.deployment import Document, documents

MAPPINGS = ("environment", "depends_on")
"""What is laid over each other entry by entry. Anything else that is said again replaces."""


def services(*paths: Path) -> dict[str, Document]:
    """The services of these files, each laid over those before it."""
    found: dict[str, Document] = {}
    for path in paths:
        for name, service in _file(path)["services"].items():
            found[name] = _over(found.get(name, {}), _extended(service, path.parent))
    return found


def _file(path: Path) -> Document:
    (document,) = documents(path)
    assert {key for key in document if not key.startswith("x-")} <= {
        *("name", "services", "networks", "volumes")
    }, path
    return document


def _extended(service: Document, folder: Path) -> Document:
    if "extends" not in service:
        return service
    origin = service["extends"]
    base = _file(folder / origin["file"])["services"][origin["service"]]
    return _over(base, {key: value for key, value in service.items() if key != "extends"})


def _over(base: Document, upper: Document) -> Document:
    merged = base | upper
    for key in MAPPINGS:
        if isinstance(base.get(key), dict) and isinstance(upper.get(key), dict):
            merged[key] = base[key] | upper[key]
    if "volumes" in base and "volumes" in upper:
        mounts = {_target(mount): mount for mount in (*base["volumes"], *upper["volumes"])}
        merged["volumes"] = list(mounts.values())
    return merged


def _target(mount: str) -> str:
    return mount.split(":")[1]
