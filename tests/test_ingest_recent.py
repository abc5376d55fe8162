"""What is remembered of the last scans is right as far as it goes, and has bounds."""

from array import array

from hypothesis import given
from hypothesis import strategies as st

from ingest.receipt_making import Numbered
from ingest.recent import Recent


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


def test_contents_in_order_are_one_piece() -> None:
    """Single scans of a source, one after the other, cost four bytes each."""
    recent = a_recent()
    for sequence in range(1, 500):
        recent.take_contents(batch(sequence, b"\1"))

    assert [len(of.contents) for of in recent._seen.values()] == [1]
    assert recent.take_contents(batch(250, b"\1\2")) == [251]
