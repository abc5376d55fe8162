"""What a load remembers and how it judges: all of a run in little memory, and no false alarm."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from ledger.numbers import filing_key
from ledger.v1.ingest_service_pb2 import Refusal
from ledger.v1.position_pb2 import Position
from ledger.v1.raw_pb2 import RawBatchGetTrailsResponse, RawTrailEntry
from ledger.v1.scan_event_pb2 import ScanEvent
from ledger.v1.trail_service_pb2 import LOOKUP_STATUS_FAILED_RETRY, LOOKUP_STATUS_FOUND
from loadtest.load.check import Fault, Identity, digest_of
from loadtest.load.reading import Trouble
from loadtest.load.remembered import FILES, Remembered, Sample
from loadtest.load.spool import Settled
from loadtest.load.traffic import SEED_STEP, TEAM_SCANNERS, Scan, Traffic
from loadtest.load.verifier import SUSPECT_S, Verifier

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from loadtest.load.connections import Query
    from loadtest.load.readable import Readable

NOW_NS = 1_790_000_000_000_000_000
SOURCE = "load-1-0-0001"


def a_scan(number: int, item: str = "ITEM") -> Scan:
    """A scan of an item."""
    event = ScanEvent(event_id=number.to_bytes(16, "big"), tracking_number=item)
    return Scan(item, event.event_id, event.SerializeToString())


def settled(*scans: Scan, index: int = 0) -> Settled:
    """A result by which these are durable."""
    position = Position(generation=1, partition=2, index=index)
    return Settled(scans, [], 0, "", [position], 0.1)


class Trails:
    """Answers look-ups with what it has."""

    def __init__(self) -> None:
        self.entries: dict[str, list[RawTrailEntry]] = {}
        self.fails = 0

    def show(self, *scans: Scan) -> None:
        """Show scans from now on."""
        for scan in scans:
            trail = self.entries.setdefault(scan.item, [])
            at = Position(generation=1, partition=2, index=len(trail))
            trail.append(RawTrailEntry(event=scan.event, source_id=SOURCE, position=at))

    def trails(self, numbers: Sequence[str]) -> Iterator[RawBatchGetTrailsResponse]:
        """Look up."""
        for index, number in enumerate(numbers):
            self.fails -= 1
            yield RawBatchGetTrailsResponse(
                index=index,
                tracking_number=number,
                status=LOOKUP_STATUS_FAILED_RETRY if self.fails >= 0 else LOOKUP_STATUS_FOUND,
                entries=self.entries.get(number, []),
            )


class Followed:
    """Trails that have followed the log up to an index."""

    def __init__(self, index: int) -> None:
        self.index = index

    def covers(self, positions: Sequence[Position]) -> bool:
        """Tell whether all are readable."""
        return all(at.index < self.index for at in positions)

    def behind(self, _: object) -> bool:
        """Tell that nothing is."""
        return False


class Bench:
    """A verifier, what it asks, its clock, and what it found."""

    def __init__(self, folder: Path) -> None:
        self.trails = Trails()
        self.now_s = 0.0
        self.faults: list[Fault] = []
        self.verifier = Verifier(
            folder,
            lambda: cast("Query", self.trails),
            on_fault=self.faults.append,
            monotonic=lambda: self.now_s,
            sleep=self.sleep,
        )

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now_s += seconds

    def follow(self, index: int) -> None:
        """Let trails follow the log."""
        self.verifier.moved(cast("Readable", Followed(index)))

    def read_all_back(self) -> None:
        """Come to the end."""
        self.verifier.read_all_back(cast("Readable", Followed(1 << 40)))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """One of them."""
    bench = Bench(tmp_path)
    yield bench
    bench.verifier.close()


def test_everything_that_was_acknowledged_is_given_back(tmp_path: Path) -> None:
    """By item, with its digest, in parts: whatever the number, only one part is in memory."""
    remembered = Remembered(tmp_path)
    sources = ["a", "b"]
    for number in range(2_000):
        scan = a_scan(number, f"ITEM{number % 300:03}")
        at = Position(generation=1, partition=number % 3, index=number)
        remembered.add(sources[number % 2], [(scan, digest_of(scan.event))], [at])

    parts = list(remembered.read_back())
    remembered.close()

    assert len(parts) == FILES
    assert max(map(len, parts)) < 20
    found = {item: expected for part in parts for item, expected in part.items()}
    assert len(found) == 300
    scan = a_scan(301, "ITEM001")
    assert found["ITEM001"][Identity("b", scan.event_id)] == digest_of(scan.event)
    assert sum(map(len, found.values())) == remembered.scans == 2_000
    assert remembered.ends == {(1, 0): 1999, (1, 1): 2000, (1, 2): 1998}


def test_the_sample_is_bounded_and_keeps_the_newest() -> None:
    """An old item makes room; what was known of it is forgotten with it."""
    sample = Sample(items_max=3)
    for number in range(5):
        scan = a_scan(number, f"ITEM{number}")
        sample.add(SOURCE, [(scan, b"digest")])

    assert len(sample) == 3
    assert sample.newest(2) == ["ITEM4", "ITEM3"]
    assert sorted(sample.some(9)) == ["ITEM2", "ITEM3", "ITEM4"]
    assert sample.expected("ITEM0") == {}
    assert len(sample.expected("ITEM3")) == 1


def test_nothing_is_expected_before_it_is_readable(bench: Bench) -> None:
    """An acknowledgement comes before the trail shows the scan; that is no loss."""
    bench.verifier.settled(SOURCE, settled(a_scan(1), index=7))
    bench.follow(7)
    assert len(bench.verifier.sample) == 0

    bench.follow(8)

    assert len(bench.verifier.sample.expected("ITEM")) == 1


def test_a_scan_that_comes_late_is_no_loss(bench: Bench) -> None:
    """One of several servers may lag a moment: the scan is looked for again."""
    bench.verifier.settled(SOURCE, settled(a_scan(1)))
    bench.follow(1)
    bench.verifier.look_again(10)
    bench.now_s = SUSPECT_S - 0.1
    bench.trails.show(a_scan(1))
    bench.verifier.look_again(10)
    bench.now_s = SUSPECT_S * 3
    bench.verifier.look_again(10)

    assert bench.faults == []


def test_a_scan_that_stays_away_is_lost_under_way(bench: Bench) -> None:
    """Nobody has to wait for the end to be told, and it is told once."""
    bench.verifier.settled(SOURCE, settled(a_scan(1), a_scan(2)))
    bench.trails.show(a_scan(2))
    bench.follow(1)
    for now_s in (0.0, SUSPECT_S / 2, SUSPECT_S, SUSPECT_S * 2, SUSPECT_S * 4):
        bench.now_s = now_s
        bench.verifier.look_again(10)

    assert [fault.kind for fault in bench.faults] == ["lost"]
    assert f"{1:032x}" in bench.faults[0].words


def test_the_end_finds_what_was_lost_and_nothing_else(bench: Bench) -> None:
    """Answers that could not be given are asked for again; what is unknown is nobody's loss."""
    kept = [a_scan(number, f"ITEM{number % 7}") for number in range(100)]
    lost = a_scan(500, "ITEM3")
    bench.verifier.settled(SOURCE, settled(*kept, lost))
    bench.trails.show(*kept, a_scan(900, "ITEM1"))
    bench.trails.fails = 3

    bench.read_all_back()

    verdict = bench.verifier.verdict
    assert [(fault.kind, fault.item) for fault in bench.faults] == [("lost", "ITEM3")]
    assert (verdict.acknowledged, verdict.read_back, verdict.items) == (101, 101, 7)
    assert not verdict.unfinished


def test_a_ledger_that_cannot_be_read_back_is_not_good(bench: Bench) -> None:
    """The verdict says why, and does not pass."""
    bench.verifier.settled(SOURCE, settled(a_scan(1)))
    bench.trails.show(a_scan(1))
    bench.trails.fails = 1_000

    bench.read_all_back()

    assert "could not be read" in bench.verifier.verdict.unfinished
    assert not bench.verifier.verdict.is_good
    with pytest.raises(Trouble):
        list(bench.verifier._trails(["ITEM"]))


def test_a_good_scan_that_is_refused_is_a_fault_and_so_is_a_bad_one_that_is_taken(
    bench: Bench,
) -> None:
    """A label that cannot be read is refused: that is all that may be."""
    good, bad = a_scan(1), a_scan(2)._replace(is_bad=True)
    no = Refusal(message="no")
    bench.verifier.settled(SOURCE, Settled([], [(bad, no)], 0, "", [], 0.1))
    assert bench.faults == []

    bench.verifier.settled(SOURCE, Settled([bad], [(good, no)], 0, "", [], 0.1))

    assert [fault.kind for fault in bench.faults] == ["misjudged", "misjudged"]
    assert bench.verifier.verdict.refused == 2


def test_workers_scan_different_scans_and_the_same_seed_the_same() -> None:
    """So each verifies its own, and a run can be made again."""
    one, same = (Traffic(5, now_ns=lambda: NOW_NS) for _ in range(2))
    other = Traffic(5, worker=1, now_ns=lambda: NOW_NS)
    scanners = (0, TEAM_SCANNERS - 1, TEAM_SCANNERS, 3 * TEAM_SCANNERS)

    mine = {number: one.next_scans(number, 50) for number in scanners}
    theirs = [scan for number in scanners for scan in other.next_scans(number, 50)]

    assert mine == {number: same.next_scans(number, 50) for number in scanners}
    ids = [scan.event_id for scans in mine.values() for scan in scans]
    assert not {scan.event_id for scan in theirs} & set(ids)
    assert SEED_STEP > 1_000
    for scan in mine[0]:
        if scan.is_bad:
            continue
        event = ScanEvent.FromString(scan.event)
        assert event.event_id == scan.event_id
        assert filing_key(event.tracking_number).decode() == scan.item
