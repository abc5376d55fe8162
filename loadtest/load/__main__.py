"""`make load`: runs Locust against a ledger, which it starts itself where it is told of none.

What it is asked stands in the environment, as `make load USERS=50 TIME=60s` puts it there; further
arguments go to Locust as they are. It ends with Locust's exit code: 0 only if the ledger kept its
promise. Locust is a process of its own, since it patches the one that it runs in.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import grpc

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

LOCUSTFILE: Final = Path(__file__).resolve().parent.parent / "locustfile.py"

READY_WITHIN_S: Final = 30.0
"""A ledger that does not serve by then has a fault."""

END_WITHIN_S: Final = 30.0
"""A ledger that was told to end and has not by then is killed."""

USERS: Final = "50"
TIME: Final = "60s"
WEB_PORT: Final = "8089"

_SETTINGS: Final = "PARCEL_LEDGER_"


def arguments_of(environ: Mapping[str, str], more: Sequence[str], *, port: int) -> list[str]:
    """Give Locust's arguments, but for the host. `port` is free, for a master and its workers."""
    users = environ.get("USERS") or USERS
    asked = ["--users", users, "--spawn-rate", str(max(1, int(users) // 2))]
    asked += ["--run-time", environ.get("TIME") or TIME]
    asked += ["--shape", environ.get("SHAPE") or "constant"]
    for name, flag in (("QUERY", "--query"), ("SEED", "--seed"), ("CSV", "--csv")):
        if environ.get(name):
            asked += [flag, environ[name]]
    if environ.get("PROCESSES"):
        asked += ["--processes", environ["PROCESSES"], "--master-bind-host", "127.0.0.1"]
        asked += ["--master-bind-port", str(port), "--master-port", str(port)]
    if environ.get("WEB"):
        asked += ["--web-host", "127.0.0.1", "--web-port", environ.get("WEB_PORT") or WEB_PORT]
    else:
        asked += ["--headless", "--only-summary"]
    return [*asked, *more]


def free_port() -> int:
    """Give a port of this machine that nothing listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def ledger_up() -> Iterator[str]:
    """Run `parcel-ledger up` on the embedded engine, in a temporary folder; give its address."""
    address = f"127.0.0.1:{free_port()}"
    environ = {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}
    with tempfile.TemporaryDirectory(prefix="parcel-ledger-load-") as folder:
        said = Path(folder) / "ledger.log"
        command = [sys.executable, "-m", "ledger.app.cli", "up", "--listen", address]
        command += ["--data", str(Path(folder) / "data"), "--metrics", ""]
        with said.open("wb") as log:
            # Ctrl-C is for Locust: the ledger is needed until everything has been read back.
            process = subprocess.Popen(
                command, stdout=log, stderr=log, env=environ, start_new_session=True
            )
        try:
            _wait_ready(address, process, said)
            yield address
            if process.poll() is not None:
                print(f"The ledger has ended. {_last(said)}", file=sys.stderr)  # noqa: T201
        finally:
            process.terminate()
            try:
                process.wait(END_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def run_locust(host: str, arguments: Sequence[str]) -> int:
    """Run Locust to its end; give its exit code."""
    command = [sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE), "--host", host]
    process = subprocess.Popen([*command, *arguments])
    # Whoever types Ctrl-C stops Locust, which then reads everything back. This waits for it.
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    return process.wait()


def _wait_ready(address: str, process: subprocess.Popen[bytes], said: Path) -> None:
    until_s = time.monotonic() + READY_WITHIN_S
    with grpc.insecure_channel(address) as channel:
        ready = grpc.channel_ready_future(channel)
        while True:
            try:
                ready.result(0.1)
            except grpc.FutureTimeoutError:
                if process.poll() is not None or time.monotonic() > until_s:
                    raise SystemExit(f"The ledger did not start. {_last(said)}") from None
            else:
                return


def _last(said: Path) -> str:
    """Give the last line that a process said."""
    lines = said.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "It said nothing.")


def main() -> int:
    """Run a load."""
    parser = argparse.ArgumentParser(prog="make load", description=__doc__)
    _, more = parser.parse_known_args()
    arguments = arguments_of(os.environ, more, port=free_port())
    if host := os.environ.get("HOST"):
        return run_locust(host, arguments)
    with ledger_up() as address:
        print(f"A ledger of its own serves on {address}.", flush=True)  # noqa: T201
        return run_locust(address, arguments)


if __name__ == "__main__":
    sys.exit(main())
