"""Cheap traffic for saturation: real events of the fleet, with other items put in.

An event is encoded as event id, tracking number, rest; only the first two change from item to item.
So a client makes a scan in about a microsecond, and the verifier knows what must be there.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from ledger.numbers import compose_s10
from loadtest.fleet import NO_ODDITIES, Fleet

if TYPE_CHECKING:
    from collections.abc import Iterator

STEPS = 20
"""Scans of one item: the length of a trail in the goals."""

BATCH_SCANS = 200
"""Scans in one batch: what a sorting machine collects in a few seconds."""

SERIALS = 100_000_000
"""S10 serials of one service and country: eight digits."""

ITEMS_PER_RUN = 20_000_000
"""Each run has items of its own, so that no trail has scans of two runs."""

RUNS_MAX = 9 * SERIALS // ITEMS_PER_RUN
"""Runs that there are numbers for."""

_ID = struct.Struct(">QQ")


class Wave(NamedTuple):
    """Items that are on their way at the same time, as one stream sends them."""

    first_item: int
    items: int


def event_id(run: int, item: int, step: int) -> bytes:
    """The id of one scan: unique within the run, and known to the verifier."""
    return _ID.pack(run, item << 8 | step)


def number_of(item: int) -> str:
    """The item's tracking number: S10 of one of several services and countries."""
    service, serial = divmod(item, SERIALS)
    return compose_s10(
        ("RB", "CP", "LX")[service % 3], serial, ("DE", "GB", "US")[service // 3 % 3]
    )


def templates(seed: int, start_time_ns: int) -> list[bytes]:
    """Encoded events of the fleet without id and number, in the order of their journeys."""
    # Without bad labels and copies: each event is one that the ledger takes.
    fleet = Fleet(seed, 32, start_time_ns=start_time_ns, oddities=NO_ODDITIES)
    rests = []
    for item in range(fleet.lanes):
        for event in fleet.journey(item):
            event.ClearField("event_id")
            event.ClearField("tracking_number")
            rests.append(event.SerializeToString())
    return rests


def varint(number: int) -> bytes:
    """Encode a length."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def scans_of(wave: Wave, step: int, *, run: int, numbers: list[bytes], rests: list[bytes]) -> bytes:
    """Encode the scans of a wave's items at one step, as the field `scans` of a batch."""
    parts: list[bytes] = []
    add, pack, many = parts.append, _ID.pack, len(rests)
    for offset in range(wave.items):
        item = wave.first_item + offset
        number = numbers[offset]
        rest = rests[(item * 7 + step) % many]
        event = (
            b"\x0a\x10"
            + pack(run, item << 8 | step)
            + b"\x12"
            + varint(len(number))
            + number
            + rest
        )
        scan = b"\x0a" + varint(len(event)) + event
        add(b"\x2a" + varint(len(scan)) + scan)
    return b"".join(parts)


def waves(run: int, stream: int, streams: int, items_at_once: int) -> Iterator[list[Wave]]:
    """Groups of waves for one stream; no item is in two of them, or on two streams, or in two runs.

    The items of a group are scanned step by step, so that a trail grows over the whole group.
    """
    assert 0 <= run < RUNS_MAX, run
    group = 0
    per_group = items_at_once // BATCH_SCANS
    while True:
        offset = (group * streams + stream) * items_at_once
        assert offset + items_at_once <= ITEMS_PER_RUN, "the run is too long for its numbers"
        base = run * ITEMS_PER_RUN + offset
        yield [Wave(base + n * BATCH_SCANS, BATCH_SCANS) for n in range(per_group)]
        group += 1
