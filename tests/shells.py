"""A ledger in a process of its own, and commands that are run against it."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
import time
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, NamedTuple

from ledger.app import cli
from ledger.app.client import open_channel
from ledger.app.demo.processes import LedgerProcess
from ledger.app.logs import DRIVERS
from ledger.app.ports import free_port
from ledger.v1.trail_service_pb2_grpc import TrailServiceStub
from loadtest.verify import trails

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ledger.v1.trail_service_pb2 import TrailEntry

COMMAND = (sys.executable, "-m", "ledger.app.cli")

READABLE_WITHIN_S = 20
"""Longest wait for what is durable to be readable: a busy machine takes a second."""


class Said(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    answer: str
    remark: str


@contextmanager
def ledger_up(folder: Path, *flags: str) -> Iterator[LedgerProcess]:
    """Run `parcel-ledger up` on a folder, and end it as an operator would."""
    ledger = LedgerProcess(folder / "data", folder / "ledger.log", *flags)
    try:
        ledger.start()
        yield ledger
    finally:
        ledger.end()


def entries_of(ledger: LedgerProcess, *numbers: str, at_least: int = 0) -> list[TrailEntry]:
    """Read whole trails, one behind the other.

    Waits for so many entries: a scan is durable some milliseconds before its trail shows it.
    """
    keys = [number.encode() for number in numbers]
    until_s = time.monotonic() + READABLE_WITHIN_S
    with open_channel(ledger.address) as channel:
        while True:
            found = dict(trails(TrailServiceStub(channel), keys))
            entries = [entry for key in keys for entry in found[key]]
            if len(entries) >= at_least or time.monotonic() > until_s:
                return entries
            time.sleep(0.02)


def typed(*words: object) -> Said:
    """Run one command in this process: half a second less than a process of its own."""
    with (
        redirect_stdout(io.StringIO()) as answer,
        redirect_stderr(io.StringIO()) as remark,
        kept_logs(),
    ):
        code = cli.run([str(word) for word in words])
    return Said(code, answer.getvalue(), remark.getvalue())


@contextmanager
def kept_logs() -> Iterator[None]:
    """Leave logging as it was before a command set it up."""
    loggers = [logging.getLogger(name) for name in ("", *DRIVERS)]
    levels = [logger.level for logger in loggers]
    handlers = loggers[0].handlers[:]
    try:
        yield
    finally:
        logging.captureWarnings(False)
        loggers[0].handlers[:] = handlers
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def spawned(*words: object, stdin: str = "", folder: Path | None = None) -> Said:
    """Run one command in a process of its own, as a person in a shell would."""
    said = subprocess.run(
        [*COMMAND, *map(str, words)],
        input=stdin,
        capture_output=True,
        check=False,
        cwd=folder,
        env=environment(),
        text=True,
        timeout=50,
    )
    return Said(said.returncode, said.stdout, said.stderr)


def free_address() -> str:
    """Give an address of this machine that nothing listens on now."""
    return f"127.0.0.1:{free_port()}"


def environment() -> dict[str, str]:
    """Give the environment of a person who has set nothing."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith("PARCEL_LEDGER_")
    }
