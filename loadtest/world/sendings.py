"""What scanners make of a journey: which events are sent, when, by whose clock, and what is odd.

An event's id is a hash of the step that it is about, and is its chance as well: its first bytes
say whether something is odd. So everything here can be asked for any step by itself.
"""

from collections.abc import Iterator
from enum import IntEnum
from hashlib import blake2b, shake_128
from typing import Final

from loadtest.world.calendar import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from loadtest.world.journey import Journey
from loadtest.world.shares import Oddities

ID_BYTES: Final = 16

LATENCY_MS: Final = 200
"""From a scan to its sending, at least; up to 4 s more by the event's id."""

_CHANCE_BYTES = 3
_CHANCES = 1 << 8 * _CHANCE_BYTES


class Kind(IntEnum):
    """How an event came to be sent."""

    SCAN = 0
    """As it should."""

    PREMATURE = 1
    """Before it happened; there is no other scan of it."""

    COPY = 2
    """The same event once more, to the byte."""

    DOUBLE = 3
    """The item was scanned once more, a few seconds later."""

    TYPED = 4
    """The number was typed, since the label could not be read just before."""

    CHECK_DIGIT = 5
    """A digit was misread and nobody saw it: the check digit is wrong."""

    LATIN1 = 6
    """The number has letters in Latin-1: the event cannot be decoded."""

    BROKEN = 7
    """The upload broke off: the event cannot be decoded."""

    TWO_LABELS = 8
    """Two labels or more were read as one: the number is too long."""


REFUSED: Final = frozenset({Kind.LATIN1, Kind.BROKEN, Kind.TWO_LABELS})
"""What no ledger takes."""

UNDECODABLE: Final = frozenset({Kind.LATIN1, Kind.BROKEN})
"""What is no message of the wire."""

Sending = tuple[int, bytes, Kind, int, Journey, int]
"""One event on its way: when it is sent (in true time), its id, its kind, when it was scanned (by
the clock of the device), the journey and the step that it is about.

No two are equal, and their order is that in which they are sent.
"""

_SCAN, _TYPED = Kind.SCAN, Kind.TYPED
_BAD: Final = (Kind.CHECK_DIGIT, Kind.LATIN1, Kind.BROKEN, Kind.TWO_LABELS)


def event_ids(secret: bytes, what: bytes, steps: int) -> bytes:
    """Make the ids of the events about a journey."""
    return shake_128(secret + what).digest(steps * ID_BYTES)


class Odds:
    """What happens to scans, by chance.

    Attributes:
        odd_end: something is odd about events whose ids are below.
    """

    def __init__(self, oddities: Oddities) -> None:
        shares = (oddities.missed, oddities.premature, oddities.copied, oddities.doubled)
        ends = [0]
        for part in (*shares, oddities.bad_label):
            ends.append(ends[-1] + round(part * _CHANCES))
        self._ends = [min(end, _CHANCES - 1).to_bytes(_CHANCE_BYTES, "big") for end in ends[1:]]
        self.odd_end = self._ends[-1]

    def is_missed(self, journey: Journey, step: int) -> bool:
        """Tell whether a step that should be scanned is not."""
        post = journey.steps[step][1]
        return not post.is_notice and _id(journey, step) < self._ends[0]

    def of_step(self, journey: Journey, step: int) -> Iterator[Sending]:
        """Give all events that are sent about a step."""
        if not journey.is_scanned(step):
            return
        if _id(journey, step) < self.odd_end:
            yield from self.of_odd_step(journey, step)
        else:
            yield self.plain(journey, step)

    def plain(self, journey: Journey, step: int) -> Sending:
        """Give the event about a step that is sent as it should be."""
        return _sending(journey, step, _SCAN, _id(journey, step), journey.steps[step][0])

    def of_odd_step(self, journey: Journey, step: int) -> Iterator[Sending]:
        """Give all events that are sent about a step whose event's id is below `odd_end`."""
        time_ms, post, _ = journey.steps[step]
        event_id = _id(journey, step)
        missed, premature, copied, doubled, _ = self._ends
        first = self.plain(journey, step)
        if post.is_notice:  # No scan, so nobody can do it wrongly; but it can be sent twice.
            yield first
            if premature <= event_id < copied:
                yield _copy(first)
        elif event_id < missed:
            return
        elif event_id < premature:
            yield _premature(first)
        elif event_id < copied:
            yield first
            yield _copy(first)
        elif event_id < doubled:
            yield first
            again_ms = time_ms + 800 + int.from_bytes(event_id[8:10], "big") % (20 * SECOND_MS)
            yield _again(journey, step, Kind.DOUBLE, again_ms)
        elif journey.is_item:
            yield from _bad_label(first, time_ms)
        else:
            yield first


def _id(journey: Journey, step: int) -> bytes:
    return journey.ids[step * ID_BYTES : (step + 1) * ID_BYTES]


def _sending(journey: Journey, step: int, kind: Kind, event_id: bytes, time_ms: int) -> Sending:
    device = journey.steps[step][1].device
    send_ms = device.sent_ms(time_ms, LATENCY_MS + (event_id[3] << 4))
    skew_ms = device.day(time_ms // DAY_MS)[2]
    return send_ms, event_id, kind, time_ms + skew_ms, journey, step


def _again(journey: Journey, step: int, kind: Kind, time_ms: int) -> Sending:
    """Scan it once more, which is another event."""
    other_id = blake2b(_id(journey, step) + bytes((kind,)), digest_size=ID_BYTES).digest()
    return _sending(journey, step, kind, other_id, time_ms)


def _copy(first: Sending) -> Sending:
    """Send it again: soon, as after a broken connection, or hours later, from a spool."""
    send_ms, event_id, _, scan_ms, journey, step = first
    much = int.from_bytes(event_id[8:10], "big")
    later_ms = 2 * SECOND_MS + much % (28 * SECOND_MS)
    if event_id[10] < 64:  # One in four.
        later_ms = 5 * MINUTE_MS + (much * 6 * HOUR_MS >> 16)
    return send_ms + later_ms, event_id, Kind.COPY, scan_ms, journey, step


def _premature(first: Sending) -> Sending:
    """Scan it soon after the step before, where people do that."""
    _, event_id, _, _, journey, step = first
    time_ms, post, _ = journey.steps[step]
    if not step or not post.may_be_early:
        return first
    early_ms = journey.steps[step - 1][0] + MINUTE_MS
    early_ms += int.from_bytes(event_id[8:10], "big") % (14 * MINUTE_MS)
    if early_ms >= time_ms:
        return first
    return _sending(journey, step, Kind.PREMATURE, event_id, early_ms)


def _bad_label(first: Sending, time_ms: int) -> Iterator[Sending]:
    """Read the label wrongly; where the device notices, the number is typed afterwards."""
    _, event_id, _, _, journey, step = first
    kind = _BAD[event_id[10] & 3]
    yield _again(journey, step, kind, time_ms)
    if kind in REFUSED:
        later_ms = time_ms + 4 * SECOND_MS + (event_id[11] << 6)
        yield _again(journey, step, _TYPED, later_ms)
