"""What a watch was sent, as one index for each partition."""

from __future__ import annotations

from ledger.position import pack_position
from query.trail import Pin
from query.watching import Sent


def test_what_was_sent_only_grows() -> None:
    """A cursor may come from a server that was ahead: then this one sends nothing again."""
    sent = Sent([Pin(1, 3, 7)])

    sent.advance([Pin(1, 3, 5), Pin(2, 0, 4)], None)

    assert sent.pins == [Pin(1, 3, 7), Pin(2, 0, 4)]


def test_a_part_is_sent_through_its_last_position() -> None:
    """Behind a part, what lies below its last entry was sent, and nothing above it."""
    sent = Sent([])
    shown = [Pin(1, 3, 7), Pin(2, 1, 9), Pin(3, 0, 5)]

    sent.advance(shown, pack_position(2, 1, 4))
    part = sent.pins
    sent.advance(shown, None)

    assert part == [Pin(1, 3, 7), Pin(2, 1, 5)]
    assert sent.pins == shown
