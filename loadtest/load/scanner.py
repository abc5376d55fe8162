"""A scanner of the load: it keeps a stream of batches, several of them in flight, over restarts.

It works with threads and sync stubs; under gevent these threads are greenlets.
"""

from __future__ import annotations

import queue
import random as randomness
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import grpc

from loadtest.load.spool import AGAIN_FIRST_S, AGAIN_MAX_S, Broken, Spool
from loadtest.load.status import Status, status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ledger.v1.ingest_service_pb2 import RecordScansResponse
    from loadtest.load.spool import Settled
    from loadtest.load.traffic import Scan

RESULT_WITHIN_S: Final = 30.0
"""A stream on which nothing was answered for so long, while something is in flight, is dead."""

CLIENT: Final = "parcel-ledger-load"


class ScannerStopped(Exception):
    """The scanner can never go on; the message says why."""


class Scanner:
    """One source. All that it has taken gets its outcome, whoever left in the meantime."""

    def __init__(
        self,
        record_scans: Any,  # noqa: ANN401 - grpc's own.
        spool: Spool,
        *,
        on_settled: Callable[[str, Settled], None],
        on_ended: Callable[[Status], None],
        version: str = "1",
        now_ns: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = randomness.random,
    ) -> None:
        """`record_scans` opens a stream. `on_settled` is told each result with the source's id,
        `on_ended` each stream that did not end as it should.
        """
        self.batch_scans_max = 0
        """What the server allows in a batch; 0 before the first stream."""

        self._record_scans = record_scans
        self._spool = spool
        self._on_settled = on_settled
        self._on_ended = on_ended
        self._version = version
        self._now_ns = now_ns
        self._monotonic = monotonic
        self._random = random
        self._changed = threading.Condition()
        self._is_wanted = self._is_closed = False
        self._requests: queue.SimpleQueue[bytes | None] | None = None  # None: nothing more goes.
        self._call: Any = None
        self._answered_s = 0.0
        self._telling = 0  # Results that are being told.
        self._pumps_s = 0.0  # When a timer will pump; 0 is none.
        self._stopped = ""
        self._thread: threading.Thread | None = None

    @property
    def unsettled(self) -> int:
        """How many scans have no outcome, or one that is being told."""
        return self._spool.unsettled + self._telling

    def join(self) -> None:
        """Be wanted: open a stream, and keep it."""
        with self._changed:
            self._is_wanted = True
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()

    def leave(self) -> None:
        """Be wanted no more: the stream ends as soon as everything has its outcome."""
        with self._changed:
            self._is_wanted = False
            self._end_if_done()
            self._changed.notify_all()

    def hand_over(self, scans: Sequence[Scan]) -> None:
        """Take scans, as soon as there is room for another batch. Raises ScannerStopped."""
        with self._changed:
            while not self._spool.has_room() and not self._stopped:
                if not self._changed.wait(RESULT_WITHIN_S):
                    self._leave_dead_stream()
            if self._stopped:
                raise ScannerStopped(self._stopped)
            self._spool.mint(scans)
            self._pump()

    def wait_open(self, within_s: float) -> bool:
        """Wait until the server has told its limits."""
        with self._changed:
            self._changed.wait_for(lambda: self.batch_scans_max or self._stopped, within_s)
            return self.batch_scans_max > 0

    def drain(self, within_s: float) -> int:
        """Wait until everything has its outcome; return how many scans have none even then."""
        until_s = self._monotonic() + within_s
        with self._changed:
            while self.unsettled and not self._stopped:
                left_s = until_s - self._monotonic()
                if left_s <= 0:
                    break
                if not self._changed.wait(min(left_s, RESULT_WITHIN_S)):
                    self._leave_dead_stream()
            return self.unsettled

    def close(self) -> None:
        """End at once, whatever is in flight."""
        with self._changed:
            self._is_wanted, self._is_closed = False, True
            call = self._call
            self._changed.notify_all()
        if call is not None:
            call.cancel()

    def _run(self) -> None:
        failures = 0
        while self._await_work():
            status = self._one_stream()
            if status is None:
                failures = 0
                time.sleep(self._random() * AGAIN_FIRST_S)
                continue
            if self._is_closed:
                return
            self._on_ended(status)
            if not status.may_pass:
                self._stop(status.words)
                return
            failures = 1 if self._answered_s else failures + 1
            most_s = min(AGAIN_FIRST_S * 2.0 ** min(failures, 30), AGAIN_MAX_S)
            time.sleep(status.retry_after_s + self._random() * most_s)

    def _await_work(self) -> bool:
        """Wait until there is a reason for a stream; False at the end."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._is_wanted or self._spool.unsettled or self._is_closed
            )
            return not self._is_closed

    def _one_stream(self) -> Status | None:
        """Open a stream and use it until it ends; None is an end as it should be."""
        requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        with self._changed:
            requests.put(self._spool.open_message(CLIENT, self._version))
            self._requests = requests
            self._answered_s = 0.0
            self._call = self._record_scans(iter(requests.get, None))
        try:
            for response in self._call:
                self._take(response)
        except grpc.RpcError as error:
            return status_of(error)
        except Broken as broken:
            return Status(grpc.StatusCode.INTERNAL, f"the contract is broken: {broken}", False)
        finally:
            requests.put(None)
            self._call.cancel()
            with self._changed:
                self._requests = None
                self._spool.stream_ended()
        return None

    def _take(self, response: RecordScansResponse) -> None:
        with self._changed:
            self._answered_s = now_s = self._monotonic()
            settled = self._spool.take(response, now_s)
            self.batch_scans_max = self._spool.batch_scans_max
            self._pump()
            if self._spool.is_closing:
                self._end_requests()
            self._end_if_done()
            self._telling += settled is not None
            self._changed.notify_all()
        if settled is not None:
            self._on_settled(self._spool.source_id, settled)
            with self._changed:
                self._telling -= 1
                self._changed.notify_all()

    def _pump(self) -> None:
        """Send what may be sent now; look again when more is due."""
        if self._requests is None:
            return
        now_s = self._monotonic()
        while message := self._spool.next_message(now_s, self._now_ns()):
            self._requests.put(message)
        due_s = self._spool.due_s()
        if due_s is not None and due_s > now_s and not self._pumps_s:
            self._pumps_s = due_s
            timer = threading.Timer(due_s - now_s, self._pump_again)
            timer.daemon = True
            timer.start()

    def _pump_again(self) -> None:
        with self._changed:
            self._pumps_s = 0.0
            self._pump()

    def _end_if_done(self) -> None:
        if not self._is_wanted and not self._spool.unsettled:
            self._end_requests()

    def _end_requests(self) -> None:
        """Say that nothing more will come on this stream."""
        if self._requests is not None:
            self._requests.put(None)
            self._requests = None

    def _leave_dead_stream(self) -> None:
        """Give a stream up on which the server owes an answer for too long."""
        silent = self._monotonic() - self._answered_s >= RESULT_WITHIN_S
        if self._call is not None and silent:
            self._call.cancel()

    def _stop(self, why: str) -> None:
        with self._changed:
            self._stopped = why
            self._changed.notify_all()
