"""What is remembered of the last scans is right as far as it goes, and has bounds."""

from array import array

from hypothesis import given
from hypothesis import strategies as st

from ingest.receipt_making import Numbered
from ingest.recent import HINT_CONTENTS_MAX, Recent
from ledger.v1.ingest_service_pb2 import IndexRange, Resend, SourceProgress
from ledger.v1.ingest_service_pb2 import SequenceRange as Span
from ledger.v1.receipt_pb2 import Receipt


def a_recent(*, sources: int = 100, contents: int = 1_000) -> Recent:
    """A memory whose clock stands still."""
    return Recent(sources_max=sources, contents_max=contents, word_s=60, monotonic=lambda: 0.0)


def batch(first: int, contents: bytes, source: str = "s") -> Numbered:
    """A batch whose events have these checksums, one each; 0 is a scan that is not durable."""
    checksums = array("I", list(contents))
    return Numbered(source, b"p" * 16, first, len(contents), 0, [], checksums, "a")


CONTENTS = st.lists(st.integers(0, 2), min_size=1, max_size=8).map(bytes)
BATCHES = st.lists(st.tuples(st.integers(1, 30), CONTENTS), max_size=12)


@given(BATCHES)
def test_no_content_is_reported_that_did_not_differ(batches: list[tuple[int, bytes]]) -> None:
    """Whatever is reported had two contents before; whoever sends the same twice is left alone."""
    recent = a_recent()
    seen: dict[int, set[int]] = {}
    for first, contents in batches:
        for sequence in recent.take_contents(batch(first, contents)):
            assert seen[sequence] - {contents[sequence - first]}
        for sequence, content in enumerate(contents, first):
            if content:
                seen.setdefault(sequence, set()).add(content)
        again = recent.take_contents(batch(first, contents))
        assert all(len(seen[sequence]) > 1 for sequence in again)


@given(BATCHES, st.integers(1, 20))
def test_contents_have_a_bound(batches: list[tuple[int, bytes]], most: int) -> None:
    """The count is what is there, and never more than was said, but for the last batch."""
    recent = a_recent(sources=3, contents=most)
    for number, (first, contents) in enumerate(batches):
        recent.take_contents(batch(first, contents, source=f"s{number % 5}"))
        there = sum(len(prints) for seen in recent._seen.values() for _, prints in seen.contents)
        assert recent._contents == there <= most
        assert len(recent._seen) <= 3


def test_contents_are_those_of_durable_scans() -> None:
    """What is to be sent again is not known, until it came again and is durable."""
    recent = a_recent()
    first = batch(11, b"\1\2\3\4")
    missing = [Resend(range=IndexRange(first=1, last=2))]
    recent.take_receipt(
        Receipt(source_id="s", spool_id=b"p" * 16, durable=[Span(first=11, last=14)])
    )

    assert recent.take_contents(first, missing) == []
    assert told(recent) == [(11, b"\1\0\0\4")]
    assert recent.take_contents(batch(12, b"\2")) == []
    assert told(recent) == [(11, b"\1\2\0\4")]
    assert recent.take_contents(batch(12, b"\5\6")) == [12]
    assert told(recent) == [(11, b"\1\2\6\4")]


def test_contents_that_are_told_have_a_bound() -> None:
    """The highest ones, and none that the source knows of."""
    recent = a_recent(contents=20_000)
    for first in range(1, 10_001, 100):
        recent.take_contents(batch(first, b"\1" * 100))
    recent.take_receipt(
        Receipt(durable=[Span(first=1, last=10_000)], source_id="s", spool_id=b"p" * 16)
    )
    most = told(recent)
    recent.take_word(
        SourceProgress(
            minted_through=10_000, acked_through=9_950, source_id="s", spool_id=b"p" * 16
        )
    )
    few = told(recent)
    recent.take_word(
        SourceProgress(
            minted_through=10_000, acked_through=10_000, source_id="s", spool_id=b"p" * 16
        )
    )

    assert sum(len(contents) for _, contents in most) == HINT_CONTENTS_MAX
    assert most[-1][0] + len(most[-1][1]) == 10_001
    assert few == [(9_951, b"\1" * 50)]
    assert told(recent) == []


def told(recent: Recent) -> list[tuple[int, bytes]]:
    """The contents that are told, as the bytes of which they are checksums."""
    hint = recent.hint(("s", b"p" * 16))
    assert hint is not None
    return [(first, bytes(prints.tolist())) for first, prints in hint.contents]


def test_contents_in_order_are_one_piece() -> None:
    """Single scans of a source, one after the other, cost four bytes each."""
    recent = a_recent()
    for sequence in range(1, 500):
        recent.take_contents(batch(sequence, b"\1"))

    assert [len(of.contents) for of in recent._seen.values()] == [1]
    assert recent.take_contents(batch(250, b"\1\2")) == [251]
