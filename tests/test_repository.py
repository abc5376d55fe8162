"""The repository's own rules, where no linter knows them: lock files, floors, sizes, docstrings."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("build", "dev", "roles", "run", "uv")
FILE_LINES_MAX = 320  # One file is one idea, and can be read in one sitting.
FUNCTION_LINES_MAX = 70  # One function is seen whole on one screen.


def python_files() -> Iterator[Path]:
    """Every file written by hand."""
    for folder in ("ledger", "ingest", "query", "loadtest", "tests", "tools"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "_pb2" not in path.name:
                yield path


def project() -> dict[str, list[str]]:
    """The [project] table of pyproject.toml."""
    table: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return table


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_file_names_no_host(lock: str) -> None:
    """A lock file works behind any mirror: it has hashes, and neither addresses nor paths."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()

    assert "--hash=sha256:" in text
    assert not re.findall(r"(?m)://|^-|file:| @ ", text)


def locked(lock: str) -> dict[str, str]:
    """The versions in a lock file, by name."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    return dict(re.findall(r"(?m)^([a-z0-9-]+)==(\S+)", text))


def test_what_is_tested_is_what_is_installed() -> None:
    """The runtime lock has every dependency, in the version that the tests run with."""
    runtime = locked("run")

    assert {spec.partition(">=")[0] for spec in project()["dependencies"]} <= runtime.keys()
    assert runtime.items() <= locked("dev").items()


def test_the_floors_are_those_of_the_generated_code() -> None:
    """The lowest allowed runtimes are not older than the code in ledger/v1 asks for."""
    floors = dict(spec.split(">=") for spec in project()["dependencies"])
    generated = sorted((ROOT / "ledger" / "v1").glob("*_pb2*.py"))
    grpc = {
        version
        for path in generated
        for version in re.findall(r"GRPC_GENERATED_VERSION = '(.+)'", path.read_text())
    }
    protobuf = {
        version
        for path in generated
        for version in re.findall(r"Protobuf Python Version: (.+)", path.read_text())
    }

    assert {floors["grpcio"]} == grpc
    assert numbers(floors["protobuf"]) >= max(map(numbers, protobuf))


def numbers(version: str) -> tuple[int, ...]:
    """A version as something that can be compared."""
    return tuple(int(part) for part in version.split("."))


def test_every_file_begins_with_what_and_why() -> None:
    """Every Python file opens with a docstring, and none is too long to be read at once."""
    for path in python_files():
        text = path.read_text()

        assert ast.get_docstring(ast.parse(text)), path
        assert len(text.splitlines()) <= FILE_LINES_MAX, path


def test_every_function_can_be_seen_whole() -> None:
    """No function is longer than a screen."""
    for path in python_files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert (node.end_lineno or 0) - node.lineno < FUNCTION_LINES_MAX, (path, node.name)


def test_every_test_says_what_it_shows() -> None:
    """Every test has a docstring."""
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                named = node.name.startswith("test_")
                assert not named or ast.get_docstring(node), (path, node.name)
