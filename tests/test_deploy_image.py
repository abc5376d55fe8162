"""The container image, without containers: its recipe is linted, and its steps are run in a folder.

What the steps make is then started as the image would start it: from a tree that it cannot write
to, with nothing else in the environment.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from ledger.app.settings import NAMES, Settings
from tests.dockerfile import Instruction, parsed

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
WHEELS = Path(sys.prefix) / "wheels"  # Kept there by the set-up: no network is needed here.
NOBODY = 10_001
WITHIN_S = 30


def stages() -> list[list[Instruction]]:
    """The instructions of each stage."""
    found: list[list[Instruction]] = []
    for each in parsed(DOCKERFILE.read_text()):
        if each.name == "FROM":
            found.append([])
        if found:
            found[-1].append(each)
    return found


def last(name: str) -> str:
    """What an instruction says in the stage that runs."""
    (found,) = [each.rest for each in stages()[-1] if each.name == name]
    return found


def variables() -> dict[str, str]:
    """What the image puts into the environment."""
    return dict(word.split("=", 1) for word in shlex.split(last("ENV")))


def test_the_recipe_has_no_faults() -> None:
    """The linter of Dockerfiles finds nothing, not even a remark."""
    linter = Path(sys.prefix) / "bin" / "hadolint"
    done = subprocess.run([linter, "--no-color", DOCKERFILE], check=False, capture_output=True)

    assert (done.returncode, done.stdout.decode()) == (0, "")


def test_the_base_is_pinned() -> None:
    """Both stages begin with the same base: Python of the tests' minor version, all three parts
    given.
    """
    arguments = dict(
        each.rest.split("=", 1)
        for each in parsed(DOCKERFILE.read_text())
        if each.name == "ARG" and "=" in each.rest
    )

    assert {stage[0].rest.removesuffix(" AS build") for stage in stages()} == {"python:${PYTHON}"}
    assert re.fullmatch(r"3\.11\.\d+-slim-[a-z]+", arguments["PYTHON"])
    assert sys.version_info[:2] == (3, 11)
    assert (
        arguments["VERSION"]
        == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    )


def test_nobody_runs_it_and_no_shell_does() -> None:
    """It runs under a number that is not root's, and what it starts is started without a shell."""
    assert last("USER") == f"{NOBODY}:{NOBODY}"
    assert last("ENTRYPOINT") == '["parcel-ledger"]'
    assert last("STOPSIGNAL") == "SIGTERM"
    for name in ("ENTRYPOINT", "CMD", "RUN"):
        assert last(name).startswith("["), name
    assert " CMD [" in last("HEALTHCHECK")


def test_everything_that_is_installed_has_a_hash() -> None:
    """Each installation is by a lock with hashes, or of our own wheel without an index."""
    steps = [each.rest for each in stages()[0] if each.name == "RUN"]
    installs = [line for step in steps for line in step.split("&&") if " install " in line]
    locked = [line for line in installs if "--require-hashes --only-binary :all:" in line]
    ours = [line for line in installs if "--no-index --no-deps" in line]

    assert len(locked) == 2
    assert len(ours) == 1
    assert all("pip" not in line for line in set(installs) - set(locked) - set(ours))


def test_its_environment_is_known() -> None:
    """Every setting that the image sets exists, and nothing is written beside the data."""
    ours = [name for name in variables() if name.startswith("PARCEL_LEDGER_")]

    assert {name.removeprefix("PARCEL_LEDGER_").lower() for name in ours} <= set(NAMES)
    assert variables()["PYTHONDONTWRITEBYTECODE"] == "1"


def test_its_ports_are_those_of_the_settings() -> None:
    """What the image exposes, and where its health is asked, is where a process listens."""
    grpc, metrics = (each.rpartition(":")[2] for each in (Settings().listen, Settings().metrics))

    assert last("EXPOSE") == f"{grpc} {metrics}"
    assert f"'127.0.0.1', {metrics}" in last("HEALTHCHECK")


def test_the_context_has_what_is_built_and_nothing_else() -> None:
    """Whatever the wheel is made of is let into the context, and nothing that is not named."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]

    assert rules[0] == "*"
    assert {f"!{name}/" for name in packages} <= set(rules)
    assert {"!README.md", "!LICENSE", "!pyproject.toml"} <= set(rules)
    for rule in rules[1:]:
        assert not rule.startswith("!") or (ROOT / rule[1:]).exists(), rule


class Built:
    """What the steps of the recipe made in a folder, and how to start it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tree = folder / "opt/parcel-ledger"
        self.data = folder / "data"

    def environment(self) -> Mapping[str, str]:
        """The image's variables alone, as a container has them."""
        own = variables()
        path = own["PATH"].replace("/opt/parcel-ledger", str(self.tree))
        return {
            **own,
            "PATH": path.replace("$PATH", os.defpath),
            "PARCEL_LEDGER_DATA": str(self.data),
            "HOME": "/",
        }

    def seal(self) -> None:
        """Take everybody's right to write to the tree."""
        for path in (self.tree, *self.tree.rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & 0o555)

    def start(self, command: Sequence[str]) -> subprocess.Popen[str]:
        """Start a program as the image would. Root loses what lets it write all the same."""
        drop = () if os.geteuid() else ("setpriv", "--bounding-set=-dac_override,-fowner")
        return subprocess.Popen(
            [*drop, *command],
            cwd="/",
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *command: str) -> tuple[int, str]:
        """Run a program to its end: its code, and what it said."""
        process = self.start(command)
        said, errors = process.communicate(timeout=WITHIN_S)
        return process.returncode, said + errors

    def files(self) -> set[Path]:
        """All files of the tree."""
        return set(self.tree.rglob("*"))


@pytest.fixture(scope="module")
def built() -> Iterator[Built]:
    """The steps of the first stage, each run as it stands, with the folder in place of the root."""
    assert WHEELS.is_dir(), "run `make wheels` first"
    folder = Path(tempfile.mkdtemp(prefix="parcel-ledger-image-"))
    found = Built(folder)
    try:
        run_steps(folder)
        found.seal()
        yield found
    finally:
        for path in found.tree.rglob("*"):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o755)
        shutil.rmtree(folder)


def run_steps(folder: Path) -> None:
    """Run COPY, WORKDIR and RUN of the first stage."""
    places = re.compile(r"(?<![\w/])/(source|build|opt|wheel|empty)(?=[/ ]|$)")
    here = folder
    pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(WHEELS)}
    for step in stages()[0]:
        rest = places.sub(rf"{folder}/\1", step.rest)
        if step.name == "COPY":
            copy(rest.split(), folder / "source")
        elif step.name == "WORKDIR":
            here = Path(rest)
        elif step.name == "RUN":
            rest = rest.replace(f"--owner {NOBODY} --group {NOBODY}", "")  # They are ours.
            done = subprocess.run(
                ["/bin/sh", "-c", rest],
                cwd=here,
                env={**os.environ, **pip},
                check=False,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, f"{rest}\n{done.stdout}\n{done.stderr}"
    (folder / "empty").rename(folder / "data")


def copy(words: Sequence[str], source: Path) -> None:
    """Copy what the context has: what .dockerignore names."""
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    context = {rule[1:].rstrip("/") for rule in rules if rule.startswith("!")}
    for name in context if words[0] == "." else words[:-1]:
        assert name in context, name
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            unwanted = shutil.ignore_patterns("__pycache__", "*.pyc")
            shutil.copytree(ROOT / name, target, ignore=unwanted)
        else:
            shutil.copyfile(ROOT / name, target)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_steps_of_the_recipe_make_a_ledger(built: Built) -> None:
    """Run as they stand, the steps give a program with all dependencies, the drivers of Kafka and
    Cassandra too, in an environment without pip; whoever runs it cannot write to it.
    """
    code, said = built.run("parcel-ledger", "version")
    drivers = built.run("python", "-I", "-c", "import aiokafka, cassandra.cluster, rocksdict")
    pip, said_of_pip = built.run("python", "-I", "-c", "import pip")
    write = f"open({str(built.tree / 'new')!r}, 'w')"
    _, said_of_writing = built.run("python", "-I", "-c", write)

    assert (code, drivers) == (0, (0, "")), said
    assert pip == 1
    assert "ModuleNotFoundError" in said_of_pip
    assert "PermissionError" in said_of_writing


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_program_writes_nothing_but_its_data(built: Built) -> None:
    """The whole ledger starts in a tree that it may not change, the image's health check agrees
    with it while it lives and no longer, and it ends by the image's signal.
    """
    before = built.files()
    listen = ("--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0")
    process = built.start(["parcel-ledger", "up", *listen])
    try:
        assert process.stdout is not None
        said = ""
        while "metrics" not in said:
            said = process.stdout.readline()
            assert said, process.communicate()[1]
        port = re.findall(r":(\d+)/metrics", said)[0]
        check = [part.replace("50732", port) for part in health_check()]
        alive = built.run(*check)
        process.send_signal(signal.Signals[last("STOPSIGNAL")])
        _, log = process.communicate(timeout=WITHIN_S)
    finally:
        process.kill()

    assert (alive, process.returncode) == ((0, ""), 0), log
    assert built.run(*check)[0] == 1
    assert built.files() == before
    assert log.splitlines()[0].startswith("{")  # As JSON.


def health_check() -> list[str]:
    """The command that asks for the health."""
    words: list[str] = json.loads(last("HEALTHCHECK").partition(" CMD ")[2])
    return words
