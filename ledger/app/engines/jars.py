"""The jars of the engines: fetched once by Maven into a cache outside the checkout, then offline.

A folder in the cache is complete or absent: jars are fetched into a temporary folder beside it,
which is renamed at the end. So a fetch that is interrupted, or made twice at once, harms nothing.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from ledger.app.engines.java import find_maven
from ledger.app.exits import CommandFailed

ENGINES: Final = ("kafka", "cassandra")
"""The engines there are, as their recipes are named."""

FETCH_WITHIN_S: Final = 900.0
"""Seconds for one engine's 60 MB: what a slow line takes. A fetch usually takes half a minute."""

LAST_LINES: Final = 5
"""Lines of Maven's output that are shown when it fails."""


def recipe(name: str) -> str:
    """Read a file of the recipes."""
    return (files(__package__) / "recipes" / name).read_text(encoding="utf-8")


def version_of(engine: str) -> str:
    """Give the version of an engine that the recipe fetches."""
    # The recipe is our own file. S314 is about XML of others.
    version = ET.fromstring(recipe(f"{engine}.xml")).findtext("version")  # noqa: S314
    assert version
    return version


def cache_folder(environ: Mapping[str, str] | None = None) -> Path:
    """Give the folder of all engines' jars, by the XDG rule."""
    environ = os.environ if environ is None else environ
    base = environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "parcel-ledger" / "engines"


def jars_of(engine: str, cache: Path | None = None) -> Path:
    """Give the folder of an engine's jars, fetched or not."""
    return (cache or cache_folder()) / f"{engine}-{version_of(engine)}"


def class_path(engine: str, cache: Path | None = None) -> str:
    """Give the class path of an engine, which has its tools too."""
    return f"{jars_of(engine, cache)}/*"


def fetch(
    engine: str,
    *,
    cache: Path | None = None,
    environ: Mapping[str, str] | None = None,
    on_fetch: Callable[[], None] = lambda: None,
) -> Path:
    """See that an engine's jars are there; `on_fetch` is called before they are fetched.

    Raises CommandFailed where they are not, and cannot be fetched.
    """
    folder = jars_of(engine, cache)
    if folder.is_dir():
        return folder
    maven = find_maven(environ)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Maven's own store does not take two at a time; whoever comes second finds the jars there.
    with _alone(folder.parent / "lock"):
        if not folder.is_dir():
            on_fetch()
            for left in folder.parent.glob(f".{engine}-*"):
                shutil.rmtree(left)  # Of a fetch that was interrupted: nobody else has the lock.
            with tempfile.TemporaryDirectory(
                prefix=f".{engine}-", dir=folder.parent, ignore_cleanup_errors=True
            ) as work:
                _run_maven(engine, maven, Path(work), environ)
                (Path(work) / "jars").rename(folder)
    return folder


def _run_maven(engine: str, maven: Path, work: Path, environ: Mapping[str, str] | None) -> None:
    pom = work / "pom.xml"
    pom.write_text(recipe(f"{engine}.xml"), encoding="utf-8")
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={work / 'jars'}"]
    try:
        done = subprocess.run(  # noqa: S603 - the user's own Maven.
            [maven, "-q", "-B", "-f", pom, *goal],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environ,
            timeout=FETCH_WITHIN_S,
        )
        said, failed = done.stdout, done.returncode != 0
    except subprocess.TimeoutExpired:
        said, failed = f"It was not done within {FETCH_WITHIN_S:.0f} s.", True
    if failed:
        last = "\n".join(f"    {line}" for line in said.strip().splitlines()[-LAST_LINES:])
        raise CommandFailed(
            f"Maven could not fetch the jars of {engine}. See that it reaches a repository "
            f"(its settings are in ~/.m2/settings.xml), then try again. It said:\n{last}"
        )


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
