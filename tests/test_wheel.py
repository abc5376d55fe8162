"""What a user installs: the wheel with the locked runtime, in an empty environment, works."""

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
WHEELS = Path(sys.prefix) / "wheels"  # Kept there by the set-up: no network is needed here.

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def run(*command: str | Path, folder: Path) -> str:
    """Runs a command outside the checkout, so that it can only see what was installed."""
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)

    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_wheel_works_in_an_empty_environment(tmp_path: Path) -> None:
    """The wheel and the runtime lock, and nothing else, give a program that runs."""
    assert WHEELS.is_dir(), "run `make wheels` first"
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path, folder=ROOT)
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "empty", with_pip=True)
    python = tmp_path / "empty" / "bin" / "python"
    pip = (python, "-m", "pip", "install", "-q", "--no-compile", "--no-index", "--no-deps")
    lock = ROOT / "requirements" / "run.txt"
    run(*pip, "--require-hashes", "--find-links", WHEELS, "--requirement", lock, folder=tmp_path)
    run(*pip, wheel, folder=tmp_path)
    run(python, "-m", "pip", "check", folder=tmp_path)

    packages = "ledger, ingest, query, loadtest"
    said = run(python, "-I", "-c", f"import {packages}; print(ledger.__file__)", folder=tmp_path)

    assert said.startswith(str(tmp_path))

    # The main job, out of the wheel alone: also its data files have to be there.
    demo = (tmp_path / "empty" / "bin" / "parcel-ledger", "demo", "--json")
    verdict = json.loads(run(*demo, "--seconds", "3", "--scanners", "50", folder=tmp_path))

    assert verdict["acknowledged"] > 0
    assert (verdict["lost"], verdict["doubled"], verdict["conflicts"]) == (0, 0, 0)
