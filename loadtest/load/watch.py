"""Watches one trail for a while, over restarts: nothing may be left out, nothing comes twice."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

import grpc

from loadtest.load import check
from loadtest.load.check import UNANSWERED, Fault
from loadtest.load.status import status_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ledger.v1.raw_pb2 import RawWatchTrailResponse
    from loadtest.load.remembered import Expected
    from loadtest.load.run import Run

WATCHED_WITHIN_S: Final = 20.0
"""What a trail shows, a watch has sent by then; a server may have thousands."""

POLL_S: Final = 0.1
"""How often it is looked whether everything has come."""


class Watched:
    """What came on a watch so far. Pure."""

    def __init__(self, item: str) -> None:
        self._item = item
        self._seen: set[check.Identity] = set()
        self._last: dict[tuple[int, int], int] = {}

    def take(self, message: RawWatchTrailResponse, expected: Expected) -> list[Fault]:
        """Take a message; give what is wrong with it."""
        shown = [check.shown_of(entry) for entry in message.entries]
        faults = check.content_faults(self._item, expected, shown)
        for entry in shown:
            *place, index = entry.place
            where = place[0], place[1]
            words = f"scan {entry.identity.event_id.hex()} of {entry.identity.source_id}, watched"
            if entry.identity in self._seen:
                faults.append(Fault(check.DOUBLED, self._item, words))
            elif index <= self._last.get(where, -1):
                faults.append(Fault(check.MISORDERED, self._item, words))
            self._seen.add(entry.identity)
            self._last[where] = max(index, self._last.get(where, -1))
        return faults

    def missing(self, expected: Expected) -> list[check.Identity]:
        """Give what should have come and has not."""
        return [identity for identity in expected if identity not in self._seen]


class Watch:
    """Watches an item in a thread of its own."""

    def __init__(self, run: Run, item: str) -> None:
        self._run = run
        self._item = item
        self._watched = Watched(item)
        self._call: Any = None
        self._is_connected = self._is_ended = False
        threading.Thread(target=self._follow, daemon=True).start()

    def hold(self, seconds: float) -> None:
        """Hold it for some time; then everything that trails show by now must have come."""
        self._wait(seconds, lambda: False)
        expected = self._run.verifier.sample.expected(self._item)
        missing = self._watched.missing
        came = self._wait(WATCHED_WITHIN_S, lambda: not missing(expected))
        if not came and self._is_connected and self._goes_on():
            for identity in missing(expected):
                words = f"scan {identity.event_id.hex()} of {identity.source_id}, watched"
                self._run.verifier.fault(Fault(check.LOST, self._item, words))
        self.end()

    def end(self) -> None:
        """Watch no more."""
        self._is_ended = True
        if self._call is not None:
            self._call.cancel()

    def _goes_on(self) -> bool:
        return not self._is_ended and not self._run.is_finishing

    def _wait(self, seconds: float, until: Callable[[], bool]) -> bool:
        until_s = time.monotonic() + seconds
        while not until():
            if time.monotonic() > until_s or not self._goes_on():
                return False
            time.sleep(POLL_S)
        return True

    def _follow(self) -> None:
        cursor = ""
        while self._goes_on():
            began_s, is_first = time.monotonic(), True
            try:
                self._call = self._run.query().watch(self._item, resume_after=cursor)
                for message in self._call:
                    self._is_connected = True
                    cursor = message.cursor
                    elapsed_s = time.monotonic() - began_s
                    if is_first:
                        self._run.report.request("WatchTrail", elapsed_s, message.ByteSize())
                    self._take(message, elapsed_s if is_first else None)
                    is_first = False
            except (grpc.RpcError, ValueError) as error:  # ValueError: the connection was closed.
                self._is_connected = False
                if isinstance(error, ValueError) or not self._goes_on():
                    return
                self._failed(error, time.monotonic() - began_s)

    def _take(self, message: RawWatchTrailResponse, seconds: float | None) -> None:
        if message.entries:
            self._run.report.count("events watched", len(message.entries), seconds)
        expected = self._run.verifier.sample.expected(self._item)
        for fault in self._watched.take(message, expected):
            self._run.verifier.fault(fault)

    def _failed(self, error: grpc.RpcError, seconds: float) -> None:
        status = status_of(error)
        self._run.report.request("WatchTrail", seconds, 0, status.words)
        if not status.may_pass:
            self._run.verifier.fault(Fault(UNANSWERED, "WatchTrail", status.words))
            self._is_ended = True
        time.sleep(max(status.retry_after_s, 0.2))
