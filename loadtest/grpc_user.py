"""The users of a load, over gRPC: scanners, partners, auditors and watchers.

Order matters. Locust patches the standard library for gevent when it starts, before it imports
this; then gRPC is told of gevent, before anything of it is made: else its calls block all users.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final

if "locust" not in sys.modules:
    raise ImportError("locust patches the whole process: whoever wants that imports it first")

import gevent
import grpc.experimental.gevent
from locust import User, task
from locust.exception import StopTest

grpc.experimental.gevent.init_gevent()

from loadtest.load import work
from loadtest.load.figures import Figures
from loadtest.load.run import Run
from loadtest.load.scanner import ScannerStopped
from loadtest.load.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from locust.env import Environment

    from loadtest.load.run import Plan, Slot

NATIVE_THREADS_MAX: Final = 64
"""gRPC waits in native threads of gevent's pool: one for each connection, and one for the rest."""

IDLE_S: Final = 0.1
"""How long a user waits that has nothing to do: nothing is known yet, or the run is finishing."""

_RUNS: Final[dict[int, Run]] = {}
"""The run of the environment with this id; one at most."""


def set_clock() -> None:
    """Tell gevent what time it is: it has not looked since before everything was imported, and
    would end a run some seconds too early.
    """
    gevent.get_hub().loop.update_now()


def begin_run(
    environment: Environment, plan: Callable[[], Plan], folder: Path, *, worker: int
) -> Run:
    """Make the run that this process's users share. `plan` may raise: then there is none."""
    _RUNS.clear()
    gevent.get_hub().threadpool.maxsize = NATIVE_THREADS_MAX
    run = _RUNS[id(environment)] = Run(plan(), Figures(environment), folder, worker=worker)
    return run


class GrpcUser(User):
    """A user of the ledger. What it does is in `loadtest.load`; here is how often."""

    abstract = True

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        if id(environment) not in _RUNS:
            raise StopTest("The run could not begin; the reason stands above.")
        self.run_data = _RUNS[id(environment)]

    def idle(self) -> None:
        """Wait a little."""
        time.sleep(IDLE_S)


class ScannerUser(GrpcUser):
    """A scanner: a stream of batches, several in flight."""

    weight = 6
    _slot: Slot | None = None

    def wait_time(self) -> float:
        """Keep to the rate of a scanner."""
        plan = self.run_data.plan
        return plan.batch_scans / plan.scans_per_s if plan.scans_per_s else 0.0

    def on_start(self) -> None:
        """Take a scanner in hand."""
        self._slot = self.run_data.take_slot()

    def on_stop(self) -> None:
        """Put it down."""
        if self._slot is not None:
            self.run_data.give_back(self._slot)

    @task
    def scan(self) -> None:
        """Hand a batch over, as soon as there is room for it."""
        run, slot = self.run_data, self._slot
        assert slot is not None
        scans = [] if run.is_finishing else run.next_scans(slot)
        if not scans or run.is_finishing:
            self.idle()
            return
        try:
            slot.scanner.hand_over(scans)
        except ScannerStopped:
            self.idle()  # It has been told as a fault.


class PartnerUser(GrpcUser):
    """A partner carrier: looks a hundred items up at once."""

    weight = 2

    def wait_time(self) -> float:
        """Keep to the rate of a partner."""
        plan = self.run_data.plan
        return work.LOOK_UP / plan.look_ups_per_s if plan.look_ups_per_s else 0.0

    @task
    def look_up(self) -> None:
        """Look up."""
        if self.run_data.is_finishing or not len(self.run_data.verifier.sample):
            self.idle()
        else:
            work.look_up_hundred(self.run_data)


class AuditorUser(GrpcUser):
    """An auditor: reads whole trails page by page."""

    weight = 1

    def wait_time(self) -> float:
        """Think a little."""
        return IDLE_S

    @task(2)
    def audit(self) -> None:
        """Read a trail in one order or the other."""
        if not self.run_data.is_finishing:
            work.audit(self.run_data)

    @task(1)
    def read_own_writes(self) -> None:
        """Read what was acknowledged just now."""
        if not self.run_data.is_finishing:
            work.read_own_writes(self.run_data)


class WatcherUser(GrpcUser):
    """Someone who waits for parcels: holds watches open."""

    weight = 1

    @task
    def watch(self) -> None:
        """Watch some items for a while."""
        run = self.run_data
        items = run.verifier.sample.newest(run.plan.watches)
        if run.is_finishing or not items:
            self.idle()
            return
        watches = [Watch(run, item) for item in items]

        def end() -> None:
            for watch in watches:
                watch.end()

        run.on_finish[self] = end
        try:
            began_s = time.monotonic()
            for watch in watches:
                watch.hold(max(0.0, began_s + run.plan.watch_s - time.monotonic()))
        finally:
            run.on_finish.pop(self, None)
            end()
