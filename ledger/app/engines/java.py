"""Finds the Java and the Maven that engines need; where one is missing, says what to type.

Both engines run on Java 17. Cassandra 5.0 does not know later ones, so no other is taken.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

from ledger.app.exits import CommandFailed

JAVA_VERSION: Final = 17
"""The Java on which both engines run."""

INSTALL: Final = "sudo apt-get install openjdk-17-jdk-headless maven"
"""What brings both, on Debian and Ubuntu."""

ANSWER_S: Final = 30.0
"""A Java that does not say its version by then does not run."""

SYSTEM_JAVAS: Final = Path("/usr/lib/jvm")
"""Where Linux distributions put their Javas side by side."""


def find_java(environ: Mapping[str, str] | None = None) -> Path:
    """Find a Java 17: of JAVA_HOME, else of PATH, else one that the system has beside it.

    Raises CommandFailed where there is none.
    """
    environ = os.environ if environ is None else environ
    others = []
    for candidate in _candidates(environ):
        version = java_version(candidate)
        if version == JAVA_VERSION:
            return candidate
        if version:
            others.append(f"{candidate} is Java {version}")
    found = f" ({'; '.join(others)})" if others else ""
    raise CommandFailed(
        f"Kafka and Cassandra need Java {JAVA_VERSION}, and it was not found{found}. "
        f"Install it, or name it with JAVA_HOME; on Debian and Ubuntu: {INSTALL}"
    )


def find_maven(environ: Mapping[str, str] | None = None) -> Path:
    """Find Maven on PATH. Raises CommandFailed where it is not."""
    environ = os.environ if environ is None else environ
    found = shutil.which("mvn", path=environ.get("PATH", ""))
    if found is None:
        raise CommandFailed(
            "Maven fetches Kafka and Cassandra, and it was not found on PATH. "
            f"Install it; on Debian and Ubuntu: {INSTALL}"
        )
    return Path(found)


@cache
def java_version(java: Path) -> int:
    """Ask a Java for its version; 0 where it does not answer."""
    try:
        said = subprocess.run(  # noqa: S603 - the user's own Java.
            [java, "-version"], check=False, capture_output=True, text=True, timeout=ANSWER_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r'version "(?:1\.)?(\d+)', said.stderr + said.stdout)
    return int(found[1]) if found else 0


def _candidates(environ: Mapping[str, str]) -> Iterator[Path]:
    if home := environ.get("JAVA_HOME"):
        yield Path(home) / "bin" / "java"
    if found := shutil.which("java", path=environ.get("PATH", "")):
        yield Path(found)
    yield from sorted(SYSTEM_JAVAS.glob("*/bin/java"))
