"""What a watch was sent, as one index for each partition."""

from __future__ import annotations

from ledger.position import pack_position
from query.trail import Pin, is_below
from query.watching import Sent


def test_what_was_sent_only_grows() -> None:
    """A cursor may come from a server that was ahead: then this one sends nothing again."""
    sent = Sent({b"A": [Pin(1, 3, 7)]})

    sent.advance({b"A": [Pin(1, 3, 5), Pin(2, 0, 4)]}, None)

    assert sent.pins == {b"A": [Pin(1, 3, 7), Pin(2, 0, 4)]}


def test_a_part_is_sent_through_its_last_position() -> None:
    """Behind a part, what lies below its last entry was sent, and nothing above it."""
    sent = Sent({})
    shown = [Pin(1, 3, 7), Pin(2, 1, 9), Pin(3, 0, 5)]

    sent.advance({b"A": shown}, pack_position(2, 1, 4))
    part = sent.pins
    sent.advance({b"A": shown}, None)

    assert part == {b"A": [Pin(1, 3, 7), Pin(2, 1, 5)]}
    assert sent.pins == {b"A": shown}


def test_of_a_further_key_nothing_was_sent() -> None:
    """Also where it lies in the same partition, and below what was sent of the first."""
    sent = Sent({b"A": [Pin(1, 3, 7)]})
    at = pack_position(1, 3, 2)

    before = is_below(at, sent.limits(b"A")), is_below(at, sent.limits(b"B"))
    sent.advance({b"A": [Pin(1, 3, 9)], b"B": [Pin(1, 3, 9)]}, at)

    assert before == (True, False)
    assert sent.pins == {b"A": [Pin(1, 3, 7)], b"B": [Pin(1, 3, 3)]}
