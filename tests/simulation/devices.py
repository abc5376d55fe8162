"""Scanners: what they see, what they keep over a power loss, and what they were told of each scan.

A device's memory outlives its program. The program is the real client; whatever has no result in
the memory is handed to the next life of it, with the same bytes.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ingest.scanner import Scanner, ScannerSettings, ScannerStopped
from ledger.numbers import compose_s10
from ledger.v1.scan_event_pb2 import (
    CONTAINMENT_DIRECTION_EMPTIED,
    CONTAINMENT_DIRECTION_IN,
    CONTAINMENT_DIRECTION_OUT,
    SCAN_EVENT_TYPE_ARRIVED,
    UTC_OFFSET_SOURCE_DEVICE,
    ScanEvent,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from ingest.scanner import Outcome
    from tests.simulation.history import History
    from tests.simulation.loop import SimLoop
    from tests.simulation.network import SimChannel

NUMBERS: Final = [compose_s10("RR", 10_000_000 + number, "DE") for number in range(64)]
"""Items; few at a time, so that every trail is long."""

BASE_NS: Final = 1_790_000_000 * 1_000_000_000
"""The world's clock at its beginning."""

SETTINGS: Final = ScannerSettings(
    batch_scans=8,
    batch_bytes=2_000,
    backoff_max_s=1.0,
    result_deadline_s=3.0,
    heartbeat_s=2.0,
    buffer_scans=40,
)
"""Small batches and a small buffer: their bounds are met all the time."""

_ARRIVED: Final = SCAN_EVENT_TYPE_ARRIVED

BAD_EVENTS: Final = (
    b"",
    b"\xff\xff no message",
    ScanEvent(event_id=bytes(16), type=_ARRIVED).SerializeToString(),
    ScanEvent(
        event_id=b"short", tracking_number=NUMBERS[0], type=SCAN_EVENT_TYPE_ARRIVED
    ).SerializeToString(),
)
"""What no server may take."""


BAGS: Final = [compose_s10("CP", 20_000_000 + number, "DE") for number in range(5)]
"""What items are put into, and taken out of."""

DIRECTIONS: Final = (
    CONTAINMENT_DIRECTION_IN,
    CONTAINMENT_DIRECTION_OUT,
    CONTAINMENT_DIRECTION_EMPTIED,
)

BAGGED: Final = 32
"""Of 256 scans so many, of devices beside a bag."""


class Scan:
    """One scan in a device's memory."""

    __slots__ = ("event", "event_id", "fate", "is_bad", "number", "source", "time_ns")

    def __init__(
        self, source: str, number: str, event_id: bytes, event: bytes, time_ns: int
    ) -> None:
        self.source = source
        self.number = number
        self.event_id = event_id
        self.event = event
        self.time_ns = time_ns
        self.is_bad = not number
        self.fate = ""
        """What a result said of it: durable or refused."""

    def again(self) -> Scan:
        """Seen once more: nothing about it is different."""
        return Scan(self.source, self.number, self.event_id, self.event, self.time_ns)


class Device:
    """One scanner, through all lives of its program."""

    def __init__(
        self,
        source: str,
        *,
        loop: SimLoop,
        random: Random,
        history: History,
        items: Sequence[str],
        scans: int,
        gap_s: float,
        has_bags: bool = False,
    ) -> None:
        """It sees `scans` of these items, some at a time, with about `gap_s` seconds between; where
        it has bags, some go into one, or come out.
        """
        self.source = source
        self.scans: list[Scan] = []
        self.is_done = False
        """Everything was seen, and everything has a result."""
        self._loop = loop
        self._random = random
        self._history = history
        self._items = items
        self._left = scans
        self._gap_s = gap_s
        self._has_bags = has_bags
        self._clock_off_ns = int(random.choice([0, 0, -3_600, 7_200]) * 1e9)
        self._spool_id: bytes | None = None
        self._event = ScanEvent(utc_offset_source=UTC_OFFSET_SOURCE_DEVICE, facility="DEFRAA")
        """What the next event is made in: a message with all its fields is dear to make."""

    async def run(self, channel: SimChannel, now_ns: Any) -> None:  # noqa: ANN401 - a clock.
        """One life of the program. Returns when it is done, or when the client stopped."""
        random = self._random
        open_scans = [scan for scan in self.scans if not scan.fate]
        scanner = Scanner(
            "",
            source_id=self.source,
            spool_id=None if random.random() < 0.7 else b"",
            settings=SETTINGS,
            channel=channel,  # type: ignore[arg-type] # It has what is used.
            now_ns=now_ns,
            monotonic=self._loop.time,
            random=random.random,
            random_bytes=random.randbytes,
        )
        try:
            async with scanner:
                for begin in range(0, len(open_scans), 10):
                    await self._hand_over(scanner, open_scans[begin : begin + 10])
                while self._left > 0:
                    await asyncio.sleep(self._gap_s * random.random() * 2)
                    await self._hand_over(scanner, self._see())
        except ScannerStopped:
            return  # Whoever started it starts it again.
        without = [scan for scan in self.scans if not scan.fate]
        if without or scanner.unsettled:
            self._history.breaks(
                "a client forgets nothing without a result",
                f"{self.source} ended well, and {len(without)} scans have no result",
            )
        self.is_done = True

    async def _hand_over(self, scanner: Scanner, scans: Sequence[Scan]) -> None:
        future = await scanner.submit([scan.event for scan in scans])
        future.add_done_callback(partial(self._told, scans))

    def _told(self, scans: Sequence[Scan], future: asyncio.Future[Outcome]) -> None:
        """Note what a result says, once for each scan."""
        if future.cancelled() or future.exception() is not None:
            return
        outcome = future.result()
        refused = {refusal.index for refusal in outcome.refusals}
        for index, scan in enumerate(scans):
            scan.fate = "refused" if index in refused else "durable"
            self._history.told(scan)
        self._history.positions_told(scans, refused, outcome.positions)

    def _see(self) -> list[Scan]:
        """See some items; sometimes one twice, sometimes one with an id that was used before."""
        random = self._random
        seen: list[Scan] = []
        for _ in range(random.randint(1, 9)):
            self._left -= 1
            chance = random.random()
            if chance < 0.03:
                seen.append(Scan(self.source, "", b"", random.choice(BAD_EVENTS), 0))
            elif chance < 0.07 and self.scans:
                again = random.choice(self.scans)
                seen.append(again.again())
            elif chance < 0.10 and self.scans and (other := random.choice(self.scans)).number:
                seen.append(self._scan(other.number, other.event_id))
            else:
                seen.append(self._scan(random.choice(self._items), random.randbytes(16)))
        for scan in seen:
            self.scans.append(scan)
            self._history.sees(scan)
        return seen

    def _scan(self, number: str, event_id: bytes) -> Scan:
        now_ns = BASE_NS + int(self._loop.time() * 1e9) + self._clock_off_ns
        now_ns += self._random.randrange(-5_000_000_000, 5_000_000_000)
        event = self._event
        event.event_id, event.tracking_number = event_id, number
        event.type = self._random.randint(1, 20)  # type: ignore[assignment] # Any of them.
        event.scan_time.seconds, event.scan_time.nanos = divmod(now_ns, 1_000_000_000)
        event.ClearField("containment")
        # The id is as random as anything: so no other scan is different where there are bags.
        if self._has_bags and event_id[0] < BAGGED:
            event.containment.direction = DIRECTIONS[event_id[1] % len(DIRECTIONS)]
            if event.containment.direction != CONTAINMENT_DIRECTION_EMPTIED:
                event.containment.container_number = BAGS[event_id[2] % len(BAGS)]
        return Scan(self.source, number, event_id, event.SerializeToString(), now_ns)
