"""Begins and ends a run in every Locust process, and gathers the verdicts.

Each worker verifies its own scans. It does so when the run is about to stop: the master asks for it
and waits for every verdict, since Locust gives its workers seconds only once it has ended.
"""

from __future__ import annotations

import json
import logging
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from locust.runners import STATE_MISSING, MasterRunner, WorkerRunner

from loadtest.load.figures import TOTAL
from loadtest.load.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from locust.env import Environment
    from locust.rpc import Message

    from loadtest.load.run import Run

FINISH: Final = "load-finish"
"""What the master tells its workers."""

VERDICT: Final = "load-verdict"
"""What a worker answers."""

POLL_S: Final = 0.1

_log = logging.getLogger(__name__)


class Conductor:
    """What this process has to do at the beginning and at the end."""

    def __init__(
        self,
        environment: Environment,
        begin: Callable[[Path, int], Run],
        *,
        verdict_file: Path | None,
    ) -> None:
        """`begin` makes the run, given an empty folder and the number of this worker."""
        self.verdict: Verdict | None = None
        """Of the last run."""

        self._environment = environment
        self._begin = begin
        self._verdict_file = verdict_file
        self._turn = threading.Lock()
        self._run: Run | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._is_running = False
        self._workers: dict[str, Verdict | None] = {}
        self._is_bad = False
        runner = environment.runner
        if isinstance(runner, MasterRunner):
            runner.register_message(VERDICT, self._on_verdict)
        elif isinstance(runner, WorkerRunner):
            runner.register_message(FINISH, self._on_finish, concurrent=True)
        events = environment.events
        events.worker_connect.add_listener(self._on_worker)
        events.test_start.add_listener(self._on_start)
        events.test_stopping.add_listener(self._on_stopping)
        events.test_stop.add_listener(self._on_stopped)
        events.quitting.add_listener(self._on_quitting)

    def _on_worker(self, client_id: str, **_: object) -> None:
        self._workers.setdefault(client_id, None)

    def _on_start(self, environment: Environment, **_: object) -> None:
        self.verdict = None
        runner = environment.runner
        if isinstance(runner, MasterRunner):
            self._workers = dict.fromkeys(runner.clients.keys())
        else:
            self._close()
            index = max(0, runner.worker_index) if isinstance(runner, WorkerRunner) else 0
            self._folder = tempfile.TemporaryDirectory(prefix="parcel-ledger-load-")
            self._run = self._begin(Path(self._folder.name), index)
        self._is_running = True

    def _on_stopping(self, **_: object) -> None:
        self._finish()

    def _on_stopped(self, environment: Environment, **_: object) -> None:
        if not isinstance(environment.runner, MasterRunner):
            self._close()

    def _on_quitting(self, environment: Environment, **_: object) -> None:
        """Finish where nobody has stopped the run, and decide how the process ends."""
        self._finish()
        if isinstance(environment.runner, WorkerRunner):
            environment.process_exit_code = 0  # The master decides.
        elif self.verdict is not None:
            is_bad = self._is_bad or bool(environment.runner and environment.runner.exceptions)
            environment.process_exit_code = 1 if is_bad else 0

    def _on_finish(self, **_: object) -> None:
        self._finish()

    def _finish(self) -> None:
        """Judge the run, once."""
        with self._turn:
            if not self._is_running:
                return
            runner = self._environment.runner
            verdict = self._gather(runner) if isinstance(runner, MasterRunner) else self._judge()
            self._is_running = False
            self.verdict = verdict
            if isinstance(runner, WorkerRunner):
                runner.send_message(VERDICT, verdict.figures())
                return
            self._is_bad |= not verdict.is_good
            if self._environment.web_ui is not None:  # Its page shows the log.
                for line in verdict.lines():
                    _log.info("%s", line)
            if self._verdict_file is not None:
                self._verdict_file.write_text(json.dumps(verdict.figures()), encoding="utf-8")

    def _judge(self) -> Verdict:
        """Let this process's run come to its end."""
        assert self._run is not None
        try:
            return self._run.finish(lambda words: _log.info("%s", words))
        except Exception as error:
            _log.exception("the verifier has failed")
            verdict = self._run.verifier.verdict
            verdict.unfinished = f"The verifier has failed: {error!r}"
            return verdict

    def _gather(self, runner: MasterRunner) -> Verdict:
        """Ask all workers, and add up what they found."""
        runner.send_message(FINISH)
        while any(
            verdict is None and self._is_there(runner, worker)
            for worker, verdict in self._workers.items()
        ):
            time.sleep(POLL_S)
        sum_of_all = Verdict()
        for worker, verdict in self._workers.items():
            silent = Verdict(unfinished=f"The worker {worker} ended without a verdict.")
            sum_of_all.merge(verdict or silent)
        return sum_of_all

    def _is_there(self, runner: MasterRunner, worker: str) -> bool:
        return worker in runner.clients and runner.clients[worker].state != STATE_MISSING

    def _on_verdict(self, msg: Message, **_: object) -> None:
        self._workers[msg.node_id] = Verdict.of(msg.data)

    def _close(self) -> None:
        if self._run is not None:
            self._run.close()
            self._run = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def summary(environment: Environment, verdict: Verdict) -> list[str]:
    """Say what was done, and how it ended."""
    entries = sorted(environment.stats.entries.items())
    rows: list[Any] = [entry for (_, method), entry in entries if method == TOTAL]
    return [
        *(f"{row.name:<20}{row.num_requests:>12,}{row.total_rps:>12,.0f}/s" for row in rows),
        *verdict.lines(),
    ]
