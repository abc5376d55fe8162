"""Processes that outlive whoever started them: started, looked at and ended by id and life."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

POLL_S: Final = 0.05
"""How often something is looked at that will come soon."""

_SHELL: Final = "/bin/sh"
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


def spawn(command: Sequence[str], *, folder: Path, log: Path) -> tuple[int, str]:
    """Start a command in a folder, in a session of its own, so that Ctrl-C is not for it.

    Gives its id and its life. What it says goes to the log; the one of its last life is kept.
    """
    if log.exists():
        log.replace(log.with_suffix(".log.1"))
    # A shell changes the folder, and becomes the command.
    arguments = [_SHELL, "-c", 'cd "$1" && shift && exec "$@"', _SHELL, str(folder), *command]
    create = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    pid = os.posix_spawn(
        _SHELL,
        arguments,
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), create, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigdef=(signal.SIGINT, signal.SIGPIPE, signal.SIGTERM),
    )
    return pid, life_of(pid)


def life_of(pid: int) -> str:
    """Name the life of a process; empty where it has none: it ended, or was never there."""
    fields = _stat(pid)
    # It is dead when its last thread is: until then its ports are taken. Here it still counts.
    if not fields or (fields[0] in {"Z", "X"} and int(fields[17]) <= 1):
        return ""
    return f"{_BOOT.read_text(encoding='utf-8').strip()}/{fields[19]}"


def is_stopped(pid: int) -> bool:
    """Say whether a process has been stopped by a signal, to go on later."""
    return _stat(pid)[:1] == ["T"]


def lives(pid: int, life: str) -> bool:
    """Say whether it is still the same process, and runs."""
    return bool(life) and life_of(pid) == life


def send(pid: int, life: str, signal_number: int) -> bool:
    """Send a signal to that process and no other; say whether it was there."""
    if not lives(pid, life):
        return False
    try:
        os.kill(pid, signal_number)
    except ProcessLookupError:
        return False
    return True


def gone(pid: int, life: str, *, within_s: float) -> bool:
    """Wait until it has ended; say whether it has."""
    until_s = time.monotonic() + within_s
    while lives(pid, life):
        if time.monotonic() > until_s:
            return False
        time.sleep(POLL_S)
    return True


def _stat(pid: int) -> list[str]:
    """Read what the system knows of a process, from its state on; see proc(5)."""
    if pid <= 0:
        return []
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # One of ours that has ended would stay as a zombie.
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return stat.rpartition(")")[2].split()  # The name before it may hold anything.
