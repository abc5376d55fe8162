"""The processes of the demo: a ledger that is killed, scanners that do not mind, and a verifier.

Each is a process of its own, as in life. They are started here and ended here, whatever happens.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

import grpc

from ledger.app.client import ANSWER_S, open_channel
from ledger.app.exits import CommandFailed
from ledger.app.ports import free_port
from ledger.app.settings import ENVIRONMENT_PREFIX
from ledger.v1.progress_service_pb2 import GetProgressRequest
from ledger.v1.progress_service_pb2_grpc import ProgressServiceStub

READY_WITHIN_S: Final = 30.0
"""A ledger that does not serve by then has a fault."""

END_WITHIN_S: Final = 30.0
"""A process that was told to end and has not by then is killed."""

POLL_S: Final = 0.02
"""How often something is looked at that will come soon."""


class LedgerProcess:
    """`parcel-ledger up` on one folder and one port, started as often as it is killed.

    Attributes:
        address: where it listens.
    """

    def __init__(self, folder: Path, said: Path, *flags: str) -> None:
        """`said` is the file that its log goes to; `flags` are further ones of `up`."""
        self.address = f"127.0.0.1:{free_port()}"
        self._command = [
            *(sys.executable, "-m", "ledger.app.cli", "up", "--listen", self.address),
            *("--data", str(folder), "--metrics", "", *flags),
        ]
        self._said = said
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start it; return the seconds until it served."""
        began_s = time.monotonic()
        with self._said.open("ab") as said:
            self._process = _start(self._command, stdout=subprocess.DEVNULL, stderr=said)
        with open_channel(self.address) as channel:
            ready = grpc.channel_ready_future(channel)
            while True:
                try:
                    ready.result(POLL_S)
                except grpc.FutureTimeoutError:
                    late = time.monotonic() - began_s > READY_WITHIN_S
                    if late or self._process.poll() is not None:
                        raise CommandFailed(
                            f"The ledger did not start. {_last(self._said)}"
                        ) from None
                else:
                    return time.monotonic() - began_s

    def kill(self) -> int:
        """Kill it with -9; return the id of the process that was."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        return self._process.pid

    def end(self) -> None:
        """End it as an operator would."""
        if self._process is not None:
            _end(self._process)

    def records(self) -> int:
        """Ask how many records are readable."""
        with open_channel(self.address) as channel:
            stub = ProgressServiceStub(channel)
            answer = stub.GetProgress(GetProgressRequest(), timeout=ANSWER_S, wait_for_ready=True)
        return sum(one.readable_index for one in answer.partitions)


class ScannersProcess:
    """All scanners, in one process."""

    def __init__(self, address: str, acknowledged: Path, *, scanners: int, seed: int) -> None:
        self._said = acknowledged.with_suffix(".log")
        command = [
            *(sys.executable, "-m", "loadtest.shift", str(acknowledged), "--server", address),
            *("--scanners", str(scanners), "--seed", str(seed)),
        ]
        with self._said.open("wb") as said:
            self._process = _start(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said
            )
        self._counts: dict[str, int] = {}
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def count(self, name: str) -> int:
        """Give a count as it was told last; 0 before the first."""
        return self._counts.get(name, 0)

    def say(self, word: str) -> None:
        """Tell them to `pause`, `resume` or `stop`."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{word}\n".encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            raise CommandFailed(f"The scanners have ended. {_last(self._said)}") from None

    def wait(self, until: Callable[[], bool], *, within_s: float, what: str) -> None:
        """Wait until something is true of them. Raises CommandFailed where it does not come."""
        until_s = time.monotonic() + within_s
        while not until():
            if self._process.poll() is not None:
                raise CommandFailed(f"The scanners have ended. {_last(self._said)}")
            if time.monotonic() > until_s:
                raise CommandFailed(f"{what} did not come within {within_s:.0f} s.")
            time.sleep(POLL_S)

    def finish(self) -> None:
        """Tell them to stop, and wait until every scan has its outcome."""
        self.say("stop")
        try:
            code = self._process.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired:
            raise CommandFailed("The scanners did not get all their answers.") from None
        if code:
            raise CommandFailed(f"The scanners have failed. {_last(self._said)}")

    def end(self) -> None:
        """End them, whatever they are about."""
        _end(self._process)
        self._listener.join()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):  # A word that was never read.
                pipe.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._counts = json.loads(line)


def verify(
    address: str, acknowledged: Path, *, on_progress: Callable[[int, int], None]
) -> Mapping[str, Any]:
    """Let a process of its own compare the list with the trails; return what it found."""
    command = [
        *(sys.executable, "-m", "loadtest.verify", str(acknowledged), "--server", address),
    ]
    other = b""
    with _start(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            for line in process.stderr:
                if line.startswith(b"{"):
                    told = json.loads(line)
                    on_progress(told["done"], told["items"])
                else:
                    other = line
            answer = process.stdout.read()
        finally:
            _end(process)
    if not answer:
        raise CommandFailed(f"The verifier has failed. {other.decode(errors='replace').strip()}")
    found: dict[str, Any] = json.loads(answer)
    return found


def _start(
    command: Sequence[str],
    *,
    stdin: int = subprocess.DEVNULL,
    stdout: int,
    stderr: int | IO[bytes],
) -> subprocess.Popen[bytes]:
    # This process ends the others; Ctrl-C is for it alone. Their settings are those given here.
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(ENVIRONMENT_PREFIX)
    }
    return subprocess.Popen(  # noqa: S603 - this project's own programs.
        command, stdin=stdin, stdout=stdout, stderr=stderr, env=environ, start_new_session=True
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(END_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last(said: Path) -> str:
    """Give the last line that a process said."""
    lines = said.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "It said nothing.")
