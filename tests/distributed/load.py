"""Scanners that scan at a steady rate, in a thread, and note what was acknowledged and how late."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import grpc

from ingest.scanner import CHANNEL_OPTIONS, Scanner, new_event_id
from ledger.v1.scan_event_pb2 import SCAN_EVENT_TYPE_SORTED, ScanEvent
from loadtest.acknowledged import Acknowledged

if TYPE_CHECKING:
    from ingest.scanner import Outcome
    from ingest.scanner_settings import ScannerSettings

SCANNERS = 4
EVERY_S = 0.05
ITEMS = 50
"""Items of each scanner, which pass it again and again."""

PASSES = 40
"""Then other items come: trails stay those of items, however long a scanner is at work."""


@dataclass
class Said:
    """What scanners were told.

    Attributes:
        acknowledged: every scan that is durable.
        waits_s: of each hand-over, until it was durable.
        streams: that all scanners opened.
        sent_again: scans that had to be sent more than once.
    """

    acknowledged: list[Acknowledged] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)
    streams: int = 0
    sent_again: int = 0

    @property
    def longest_s(self) -> float:
        """The longest wait."""
        return max(self.waits_s)


class Load:
    """Scanners at work from entering to leaving, which waits until every scan is durable."""

    def __init__(
        self, address: str, *, scans_per_s: int = 2_000, settings: ScannerSettings | None = None
    ) -> None:
        """`address` is where ingest listens."""
        self.said = Said()
        self._address = address
        self._settings = settings
        self._each = round(scans_per_s * EVERY_S / SCANNERS)
        self._ends = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._run_id = os.urandom(3).hex().upper()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        if self._error is not None:
            raise self._error

    def end(self) -> None:
        """Scan no more, and wait until every scan is durable."""
        self._ends.set()
        self._thread.join()

    def wait_for(self, scans: int, *, within_s: float = 90.0) -> None:
        """Wait until so many scans are acknowledged in all."""
        until_s = time.monotonic() + within_s
        while len(self.said.acknowledged) < scans:
            assert self._thread.is_alive(), f"the load has ended: {self._error}"
            assert time.monotonic() < until_s, f"{len(self.said.acknowledged)} of {scans} scans"
            time.sleep(0.02)

    def wait_for_more(self, scans: int, *, within_s: float = 90.0) -> None:
        """Wait until so many more scans are acknowledged than now."""
        self.wait_for(len(self.said.acknowledged) + scans, within_s=within_s)

    def _run(self) -> None:
        try:
            asyncio.run(self._scan_all())
        except BaseException as error:
            self._error = error

    async def _scan_all(self) -> None:
        async with (
            grpc.aio.insecure_channel(self._address, options=CHANNEL_OPTIONS) as channel,
            asyncio.TaskGroup() as tasks,
        ):
            for number in range(SCANNERS):
                tasks.create_task(self._scan(channel, number))

    async def _scan(self, channel: grpc.aio.Channel, number: int) -> None:
        source = f"load-{self._run_id}-{number}"
        count = 0
        async with (
            Scanner(
                self._address, source_id=source, channel=channel, settings=self._settings
            ) as scanner,
            asyncio.TaskGroup() as outcomes,
        ):
            due_s = time.monotonic()
            while not self._ends.is_set():
                events = [
                    _event(f"LX{self._run_id}{number}{_item(nth)}", count)
                    for nth in range(count, count + self._each)
                ]
                count += self._each
                began_s = time.monotonic()
                future = await scanner.submit(events)
                outcomes.create_task(self._note(source, events, future, began_s))
                due_s += EVERY_S
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        self.said.streams += scanner.counts.streams
        self.said.sent_again += scanner.counts.sent_again

    async def _note(
        self,
        source: str,
        events: list[ScanEvent],
        future: asyncio.Future[Outcome],
        began_s: float,
    ) -> None:
        outcome = await future
        assert not outcome.refusals, outcome.refusals
        self.said.waits_s.append(time.monotonic() - began_s)
        places = [(at.generation, at.partition, at.index) for at in outcome.positions]
        for event in events:
            scan = Acknowledged(event.tracking_number, source, event.event_id, places)
            self.said.acknowledged.append(scan)
            places = []


def _item(scan: int) -> str:
    """Tell the items of a scanner apart: which one passes it with its scan of this number."""
    return f"{scan % ITEMS:03}{scan // (ITEMS * PASSES):03}"


def _event(number: str, count: int) -> ScanEvent:
    event = ScanEvent(
        event_id=new_event_id(), tracking_number=number, type=SCAN_EVENT_TYPE_SORTED, device="belt"
    )
    event.scan_time.FromNanoseconds(time.time_ns() + count)
    return event
