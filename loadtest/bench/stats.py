"""What is made of measurements: percentiles, rates, times of CPU per scan. Pure."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

SHARES: Final = {"p50": 0.5, "p99": 0.99, "p999": 0.999, "max": 1.0}
"""The percentiles that are shown."""

MIDDLE: Final = (0.3, 0.9)
"""The part of a drain that counts: warm, and before the partitions run dry one after the other."""


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Exact percentiles in milliseconds: all measurements are kept, so none is estimated."""
    if not seconds:
        raise ValueError("nothing was measured")
    ordered = sorted(seconds)
    return {
        name: ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1e3
        for name, share in SHARES.items()
    }


def middle(samples: Sequence[tuple[float, int]]) -> tuple[int, int]:
    """Give the first and the last sample of the middle of a drain.

    A sample is a time and how many rows there were by then.
    """
    first, last = samples[0][1], samples[-1][1]
    bounds = [first + (last - first) * share for share in MIDDLE]
    begin = next(at for at, (_, rows) in enumerate(samples) if rows >= bounds[0])
    end = next(at for at, (_, rows) in enumerate(samples) if rows >= bounds[1])
    if end <= begin:
        raise ValueError("the drain was too short to measure its middle")
    return begin, end


def rate(samples: Sequence[tuple[float, int]], begin: int, end: int) -> float:
    """Rows a second between two samples."""
    return (samples[end][1] - samples[begin][1]) / (samples[end][0] - samples[begin][0])


def cpu_us(
    before: Mapping[str, float],
    after: Mapping[str, float],
    count: int,
    only: Collection[str] | None = None,
) -> dict[str, float]:
    """Microseconds of CPU for each of `count`, by process, from CPU seconds.

    `only` names the processes that had to do with it: what others use meanwhile is not its cost.
    """
    names = [name for name in after if name in before and (only is None or name in only)]
    return {name: (after[name] - before[name]) / count * 1e6 for name in names}


def around(runs: Sequence[float]) -> float:
    """What a reference reaches, from its runs before and after what it is compared with.

    Their mean: what drifts in the machine meanwhile cancels out.
    """
    return statistics.fmean(runs)
