"""What a load calls a fault: a verifier that sees none would find every ledger good."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from google.protobuf.timestamp_pb2 import Timestamp

from ledger.v1.position_pb2 import Position
from ledger.v1.raw_pb2 import RawTrailEntry, RawWatchTrailResponse
from ledger.v1.scan_event_pb2 import ScanEvent
from ledger.v1.trail_service_pb2 import EntryMarks
from loadtest.load import check
from loadtest.load.check import Identity, Shown, shown_of
from loadtest.load.verdict import NAMED_MAX, Verdict
from loadtest.load.watch import Watched

if TYPE_CHECKING:
    from loadtest.load.remembered import Expected

ITEM = "RR000000010DE"
SOURCE = "load-1-0-0001"


def an_entry(
    number: int, *, seconds: int | None = None, index: int | None = None, device: str = "d",
    conflict: bool = False,
) -> RawTrailEntry:  # fmt: skip
    """The scan of this number, at the second and the index of the same number."""
    event = ScanEvent(
        event_id=number.to_bytes(16, "big"),
        scan_time=Timestamp(seconds=number if seconds is None else seconds),
        device=device,
    )
    return RawTrailEntry(
        event=event.SerializeToString(),
        source_id=SOURCE,
        position=Position(generation=1, partition=3, index=number if index is None else index),
        marks=EntryMarks(conflict=conflict),
    )


def shown(*entries: RawTrailEntry) -> list[Shown]:
    """A trail of these."""
    return [shown_of(entry) for entry in entries]


def expected(*numbers: int) -> Expected:
    """What a trail must show."""
    return {one.identity: one.digest for one in shown(*map(an_entry, numbers))}


def kinds(faults: list[check.Fault]) -> list[str]:
    """Only what kind they are."""
    return [fault.kind for fault in faults]


def test_a_trail_as_it_was_sent_has_no_fault() -> None:
    """Every scan once, as it was sent, in order; others may stand between them."""
    trail = shown(*map(an_entry, range(1, 9)))

    assert not check.missing_of(expected(2, 5), trail)
    assert not check.content_faults(ITEM, expected(2, 5), trail)
    assert not check.order_faults(ITEM, trail)
    assert not check.order_faults(ITEM, trail[::-1], descending=True)


def test_a_scan_that_is_not_shown_is_missing() -> None:
    """The same event id of another source is another scan."""
    other = an_entry(2)
    other.source_id = "somebody-else"

    missing = check.missing_of(expected(1, 2), shown(an_entry(1), other))

    assert missing == [Identity(SOURCE, (2).to_bytes(16, "big"))]
    assert str(check.lost(ITEM, missing[0])) == f"lost: {ITEM}: scan {2:032x} of {SOURCE}"


def test_a_scan_that_is_shown_twice_is_doubled() -> None:
    """Wherever the second one lies, and whether or not anyone waits for it."""
    trail = shown(an_entry(1), an_entry(2), an_entry(2, index=9))

    assert kinds(check.content_faults(ITEM, {}, trail)) == ["doubled"]


def test_a_scan_with_other_bytes_is_altered() -> None:
    """One letter is enough; of scans that nobody sent here, nobody knows."""
    trail = shown(an_entry(1), an_entry(2, device="e"))

    assert kinds(check.content_faults(ITEM, expected(1, 2), trail)) == ["altered"]
    assert not check.content_faults(ITEM, expected(1), trail)


def test_a_conflict_is_a_fault_since_no_scanner_sends_one() -> None:
    """Two contents under one identity: then somebody made one of them up."""
    trail = shown(an_entry(1, conflict=True))

    assert kinds(check.content_faults(ITEM, expected(1), trail)) == ["conflict"]
    assert not check.content_faults(ITEM, {}, trail)


def test_the_order_is_scan_time_then_event_id_then_position() -> None:
    """Each decides where the one before it does not; equal ones are no order."""
    early, late = an_entry(2, seconds=1), an_entry(1, seconds=2)
    first, second = an_entry(1, seconds=5, index=9), an_entry(2, seconds=5, index=3)

    assert not check.order_faults(ITEM, shown(early, late))
    assert kinds(check.order_faults(ITEM, shown(late, early))) == ["misordered"]
    assert not check.order_faults(ITEM, shown(first, second))
    assert kinds(check.order_faults(ITEM, shown(second, first))) == ["misordered"]
    assert kinds(check.order_faults(ITEM, shown(first, first))) == ["misordered"]


def test_the_recorded_order_is_that_of_positions() -> None:
    """Whatever scanners' clocks say."""
    one, other = an_entry(1, seconds=9, index=1), an_entry(2, seconds=1, index=2)

    assert not check.order_faults(ITEM, shown(one, other), recorded=True)
    assert not check.order_faults(ITEM, shown(other, one), recorded=True, descending=True)
    assert kinds(check.order_faults(ITEM, shown(other, one), recorded=True)) == ["misordered"]


def test_a_misplaced_scan_is_named() -> None:
    """In either direction the one that stands where it should not."""
    trail = shown(an_entry(1), an_entry(3), an_entry(2))

    (fault,) = check.order_faults(ITEM, trail)
    (reverse,) = check.order_faults(
        ITEM, shown(an_entry(3), an_entry(1), an_entry(2)), descending=True
    )

    assert f"{2:032x}" in fault.words
    assert f"{1:032x}" in reverse.words


def test_a_watch_must_not_double_or_turn_back() -> None:
    """Across messages, and so across streams that go on where the last one ended."""
    watched = Watched(ITEM)
    faults = watched.take(RawWatchTrailResponse(entries=[an_entry(1), an_entry(5)]), expected(1, 5))
    assert not faults

    faults = watched.take(
        RawWatchTrailResponse(entries=[an_entry(5), an_entry(4), an_entry(6, device="e")]),
        expected(6),
    )

    assert Counter(kinds(faults)) == {"doubled": 1, "misordered": 1, "altered": 1}
    assert watched.missing(expected(1, 4, 7)) == list(expected(7))


def test_a_verdict_counts_each_fault_once_and_names_the_first() -> None:
    """Whoever reads the same trail again finds the same fault."""
    verdict = Verdict(acknowledged=1)
    faults = [
        check.lost(ITEM, Identity(SOURCE, bytes([number // 256, number % 256])))
        for number in range(NAMED_MAX + 50)
    ]

    assert [verdict.add(fault) for fault in [faults[0], *faults]] == [True, False] + [True] * 149
    assert verdict.faults == {"lost": NAMED_MAX + 50}
    assert len(verdict.named) == NAMED_MAX
    assert not verdict.is_good


def test_verdicts_of_workers_add_up_to_what_the_worst_one_says() -> None:
    """They travel as plain figures; one fault, or one that did not finish, spoils the sum."""
    good = Verdict(acknowledged=5, read_back=5, items=2)
    bad = Verdict(acknowledged=7, faults=Counter(doubled=1), named=["doubled: x"])
    unfinished = Verdict(acknowledged=1, unfinished="no answer")

    all_good = sum_of(good, Verdict())
    with_bad = sum_of(good, bad)
    with_unfinished = sum_of(unfinished, good)

    assert all_good.is_good
    assert (all_good.acknowledged, all_good.read_back, all_good.items) == (5, 5, 2)
    assert not with_bad.is_good
    assert with_bad.named == ["doubled: x"]
    assert not with_unfinished.is_good
    assert with_unfinished.lines()[-1] == "no answer"


def sum_of(*verdicts: Verdict) -> Verdict:
    """What a master makes of them."""
    total = Verdict()
    for verdict in verdicts:
        total.merge(Verdict.of(verdict.figures()))
    return total


def test_a_load_that_acknowledged_nothing_is_not_good() -> None:
    """It has shown nothing."""
    assert not Verdict().is_good
    assert "Nothing was acknowledged" in Verdict().lines()[-1]
