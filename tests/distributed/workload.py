"""A workload from a seed: everything that a trail has to tell apart, and bad scans between."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

from ledger.v1.ingest_service_pb2 import Batch
from ledger.v1.scan_event_pb2 import (
    CONTAINMENT_DIRECTION_IN,
    CONTAINMENT_DIRECTION_OUT,
    CORRECTION_KIND_DID_NOT_OCCUR,
    SCAN_EVENT_TYPE_ARRIVED,
    SCAN_EVENT_TYPE_CORRECTION,
    SCAN_EVENT_TYPE_DEPARTED,
    SCAN_EVENT_TYPE_SORTED,
    PersonalData,
    Scan,
    ScanEvent,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

START_NS = 1_790_000_000 * 1_000_000_000
HOUR_NS = 3_600 * 1_000_000_000
SOURCES = ("belt-1", "belt-2", "van-9")
TYPES = (SCAN_EVENT_TYPE_ARRIVED, SCAN_EVENT_TYPE_DEPARTED, SCAN_EVENT_TYPE_SORTED)

SHARES = {
    "new": 50,
    "late": 12,
    "contained": 8,
    "copy": 10,
    "conflict": 6,
    "correction": 6,
    "of another source": 4,
    "bad": 4,
}
"""How often each kind of scan is made, in parts of 100."""


class Seen(NamedTuple):
    """A scan that was made before."""

    source: str
    event: ScanEvent


class Workload:
    """Batches from a seed. Items are few, so that their trails become long.

    Attributes:
        numbers: the items' tracking numbers.
        made: how many scans of each kind there were.
    """

    def __init__(self, seed: int, *, items: int = 12) -> None:
        self.numbers = [f"RR{seed % 1000:03}{item:06}DE" for item in range(items)]
        self.made = dict.fromkeys((*SHARES, "batch again"), 0)
        self._random = random.Random(seed)
        self._seen: list[Seen] = []
        self._now_ns = START_NS

    def batches(self, count: int) -> Iterator[Batch]:
        """Give batches; some come a second time, as after an answer that was lost."""
        for _ in range(count):
            batch = self._batch()
            yield batch
            if self._random.random() < 0.1:
                self.made["batch again"] += 1
                yield batch

    def _batch(self) -> Batch:
        source = self._random.choice(SOURCES)
        scans = [self._scan(source) for _ in range(self._random.randint(1, 30))]
        batch = Batch(source_id=source, scans=scans)
        batch.send_time.FromNanoseconds(self._now_ns)
        return batch

    def _scan(self, source: str) -> Scan:
        [kind] = self._random.choices(list(SHARES), list(SHARES.values()))
        before = [seen for seen in self._seen if (seen.source == source)]
        if kind in {"copy", "conflict", "correction", "of another source"} and not before:
            kind = "new"
        self.made[kind] += 1
        if kind == "bad":
            return self._bad()
        event = self._new()
        if kind == "late":
            event.scan_time.FromNanoseconds(self._now_ns - self._random.randint(1, 48) * HOUR_NS)
        elif kind == "contained":
            event.containment.direction = self._random.choice(
                [CONTAINMENT_DIRECTION_IN, CONTAINMENT_DIRECTION_OUT]
            )
            event.containment.container_number = f"BAG{self._random.randint(1, 5)}"
        elif kind != "new":
            event = self._from_before(kind, self._random.choice(before), event)
        self._seen.append(Seen(source, event))
        return Scan(event=event)

    def _from_before(self, kind: str, old: Seen, event: ScanEvent) -> ScanEvent:
        """Make a scan that has to do with an older one of the same source."""
        if kind == "copy":
            return old.event
        if kind == "conflict":
            other = ScanEvent()
            other.CopyFrom(old.event)
            other.device = f"device-{self._random.randint(10, 99)}"
            return other
        if kind == "of another source":
            event.event_id = self._random.choice(self._seen).event.event_id
            return event
        event.type = SCAN_EVENT_TYPE_CORRECTION
        event.tracking_number = event.correction.tracking_number = old.event.tracking_number
        event.correction.source_id = old.source
        event.correction.event_id = old.event.event_id
        event.correction.kind = CORRECTION_KIND_DID_NOT_OCCUR
        return event

    def _new(self) -> ScanEvent:
        self._now_ns += self._random.randint(0, 3) * 1_000_000_000
        event = ScanEvent(
            event_id=self._random.randbytes(16),
            tracking_number=self._random.choice(self.numbers),
            type=self._random.choice(TYPES),
            facility=self._random.choice(["DEFRAA", "FRCYMA", "USMIAA"]),
            device=f"device-{self._random.randint(1, 9)}",
        )
        event.scan_time.FromNanoseconds(self._now_ns)
        return event

    def _bad(self) -> Scan:
        event = self._new()
        kind = self._random.randrange(4)
        if kind == 0:
            event.tracking_number = ""
        elif kind == 1:
            event.event_id = b"short"
        elif kind == 2:
            event.scan_time.seconds = 1 << 40
        else:
            return Scan(event=event, personal=PersonalData(signatory="somebody"))
        return Scan(event=event)
