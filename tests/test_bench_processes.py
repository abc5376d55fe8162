"""Processes under the bench: their cost is the kernel's, and how one died is told."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from loadtest.bench.processes import Seen, child, says_ready, takes_calls
from loadtest.bench.server import echo


def test_cpu_and_memory_are_those_of_the_kernel() -> None:
    """Work shows as CPU seconds of the process that did it, and its memory has a peak."""
    me = Seen(os.getpid())
    before = me.cpu_s()
    began = time.process_time()
    while time.process_time() - began < 0.2:
        pass

    assert 0.15 <= me.cpu_s() - before < 2
    assert 1 < me.memory_peak_mb() < 10_000
    assert me.arguments()[0]


def test_a_process_that_dies_is_told_with_its_last_words(tmp_path: Path) -> None:
    """A role that ends by itself fails the section, with what it wrote last."""
    command = [sys.executable, "-c", "import sys; sys.exit('no such topic')"]
    with (
        pytest.raises(RuntimeError, match=r"exit code 1(.|\n)*no such topic"),
        child("ingest", command, tmp_path / "logs" / "ingest.log") as one,
    ):
        one.wait_until(lambda: False)


def test_a_server_is_stopped_as_told(tmp_path: Path) -> None:
    """The empty server takes calls, ends on SIGTERM with exit code 0, and is gone."""
    with echo(tmp_path / "echo.log") as server:
        assert takes_calls(server.target)
        pid = server.process.pid
        assert not says_ready(server.target)

    assert not takes_calls(server.target)
    assert not Path(f"/proc/{pid}").exists()


def test_the_profile_says_where_time_went(tmp_path: Path) -> None:
    """The function that works is named first, and its time is the CPU time that it took."""
    module = tmp_path / "hard_work.py"
    module.write_text(
        "import time\n"
        "def works():\n"
        "    until = time.process_time() + 0.4\n"
        "    while time.process_time() < until:\n"
        "        sum(range(1000))\n"
        "works()\n"
    )
    report = tmp_path / "profile.txt"
    command = [sys.executable, "-m", "loadtest.bench.profiled", str(report), "hard_work"]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(tmp_path)}, check=True)

    lines = report.read_text().splitlines()
    first = lines[lines.index("in the function itself") + 1]
    assert first.endswith("hard_work.works")
    assert 0.2 < float(first.split()[0]) < 0.6
