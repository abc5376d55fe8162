"""What one stream sends: batches made as it goes, or made before and sent again and again."""

from __future__ import annotations

import itertools
import os
import time
from typing import TYPE_CHECKING

from loadtest.bench.client import Batch
from loadtest.bench.traffic import STEPS, number_of, scans_of, varint, waves

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

REPEATED = 32
"""Different batches that are repeated: enough that nothing is in the processor's nearest cache."""


def batches(
    run: int, stream: int, streams: int, *, items_at_once: int, rests: list[bytes]
) -> Iterator[Batch]:
    """Give the batches of one source, as long as one likes."""
    source = f"bench-{stream:02d}".encode()
    spool, sequence, number = os.urandom(16), 1, 0
    for group in waves(run, stream, streams, items_at_once):
        labels = [
            [number_of(wave.first_item + n).encode() for n in range(wave.items)] for wave in group
        ]
        for step in range(STEPS):
            for wave, of_wave in zip(group, labels, strict=True):
                number += 1
                seconds, nanos = divmod(time.time_ns(), 1_000_000_000)
                sent = b"\x08" + varint(seconds) + b"\x10" + varint(nanos)
                batch = b"".join(
                    (
                        b"\x08" + varint(number),
                        b"\x12" + varint(len(source)) + source,
                        b"\x1a\x10" + spool,
                        b"\x20" + varint(sequence),
                        scans_of(wave, step, run=run, numbers=of_wave, rests=rests),
                        b"\x3a" + varint(len(sent)) + sent,
                    )
                )
                sequence += wave.items
                yield Batch(wave, step, b"\x12" + varint(len(batch)) + batch)


def repeated(made: Iterator[Batch]) -> Iterator[Batch]:
    """Repeat the first of them without end: a reference does not pay for making them."""
    some: Sequence[Batch] = list(itertools.islice(made, REPEATED))
    return itertools.cycle(some)
