"""The load test, for Locust: `make load`, or `locust -f loadtest/locustfile.py --host HOST:PORT`.

Scanners, partners, auditors and watchers load a ledger over gRPC, and verify it while they do. A
run in which a scan is lost or doubled, altered or out of order ends with an exit code other than 0.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from locust import events
from locust.runners import WorkerRunner

from loadtest.grpc_user import (
    AuditorUser,
    PartnerUser,
    ScannerUser,
    WatcherUser,
    begin_run,
    set_clock,
)
from loadtest.load.conductor import Conductor, summary
from loadtest.load.peaks import PEAKS
from loadtest.load.run import Plan, Run

if TYPE_CHECKING:
    from argparse import Namespace

    from locust.argument_parser import LocustArgumentParser
    from locust.env import Environment

__all__ = ["AuditorUser", "PartnerUser", "ScannerUser", "WatcherUser"]

SPAWN_PER_S = 20.0
"""Users that begin in a second, unless --spawn-rate says otherwise."""

MOST = {"batch_scans": 2_000, "window": 1_000, "watches": 1_000, "connections": 24}
"""What the wire allows in a batch; what one process can carry."""


def add_flags(parser: LocustArgumentParser, **_: object) -> None:
    """Say what else can be asked for. --host is where scans go."""
    add = parser.add_argument
    add("--query", default="", help="HOST:PORT where trails are read, if not at --host.")
    add(
        "--shape",
        default="constant",
        choices=["constant", *PEAKS],
        include_in_web_ui=False,
        help="How the number of users changes: --users at the peak, all within --run-time.",
    )
    add(
        "--seed",
        type=int,
        default=0,
        help="The same seed gives the same scans; 0 is another each time.",
    )
    add("--batch-scans", type=int, default=200, help="Scans in a batch.")
    add("--window", type=int, default=4, help="Batches of a scanner without an answer, at most.")
    add(
        "--scan-rate",
        type=float,
        default=400.0,
        help="Scans/s of each scanner; 0 is as many as it gets rid of.",
    )
    add(
        "--look-up-rate",
        type=float,
        default=200.0,
        help="Look-ups/s of each partner; 0 is as many as it gets answered.",
    )
    add("--watches", type=int, default=5, help="Streams that a watcher holds open.")
    add("--watch-s", type=float, default=10.0, help="Seconds for which it holds each.")
    add("--connections", type=int, default=4, help="To each door, shared by all users.")
    add("--verdict", default="", include_in_web_ui=False, help="File for the verdict, as JSON.")


def set_up(environment: Environment, **_: object) -> None:
    """Prepare this process."""
    set_clock()
    options = environment.parsed_options
    assert options is not None
    verdict_file = Path(options.verdict) if options.verdict else None
    conductor = Conductor(
        environment,
        lambda folder, worker: _begin(environment, folder, worker),
        verdict_file=verdict_file,
    )
    options.seed = options.seed or time.time_ns() // 1_000_000_000
    if isinstance(environment.runner, WorkerRunner):
        return
    if options.shape in PEAKS:
        environment.shape_class = PEAKS[options.shape]()
        environment.shape_class.runner = environment.runner
    if environment.web_ui is not None:
        _add_page(environment, conductor)
    else:
        try:
            _plan(environment.host, options)
        except ValueError as error:
            raise SystemExit(str(error)) from None

    def say(**_: object) -> None:
        if conductor.verdict is not None:
            print("", *summary(environment, conductor.verdict), sep="\n")  # noqa: T201

    environment.events.quit.add_listener(say)


def _begin(environment: Environment, folder: Path, worker: int) -> Run:
    """Begin a run, with the options as they are now: the web page may have changed them."""
    options = environment.parsed_options
    assert options is not None
    plan = partial(_plan, environment.host, options)
    return begin_run(environment, plan, folder, worker=worker)


def _plan(host: str | None, options: Namespace) -> Plan:
    ingest = _address(host or "")
    for name, most in MOST.items():
        if not 1 <= getattr(options, name) <= most:
            raise ValueError(f"{name} is from 1 to {most}, and not {getattr(options, name)}.")
    return Plan(
        ingest=ingest,
        query=_address(options.query) if options.query else ingest,
        seed=options.seed,
        batch_scans=options.batch_scans,
        window_batches=options.window,
        scans_per_s=options.scan_rate,
        look_ups_per_s=options.look_up_rate,
        connections=options.connections,
        watches=options.watches,
        watch_s=options.watch_s,
    )


def _address(text: str) -> str:
    """Read host and port; Locust's page likes to see a scheme in front of it."""
    address = text.removeprefix("http://").rstrip("/")
    if ":" not in address:
        raise ValueError(f"Where is the ledger? It takes host and port, and not {text!r}.")
    return address


def _add_page(environment: Environment, conductor: Conductor) -> None:
    """Show the verdict under /verdict, for programs."""
    app = environment.web_ui.app if environment.web_ui else None
    assert app is not None

    def verdict() -> dict[str, Any]:
        return conductor.verdict.figures() if conductor.verdict else {}

    app.add_url_rule("/verdict", view_func=verdict)


events.init_command_line_parser.add_listener(add_flags)
events.init.add_listener(set_up)
