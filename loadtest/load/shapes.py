"""The shapes of a load: how many users there are at which moment. Pure.

A shape is a day or some days in little time: whole hours take seconds. Its points are given in
hours and shares of all users; between two points the number changes evenly.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final, NamedTuple


class Shape(NamedTuple):
    """How the load rises and falls."""

    words: str
    points: tuple[tuple[float, float], ...]
    """Hour since the beginning, and the share of all users at that hour."""

    @property
    def hours(self) -> float:
        """How long it takes in life."""
        return self.points[-1][0]


MORNING: Final = Shape(
    "a facility from 2 to 12 o'clock: night, trucks from 4, the tours loaded from 6 to 8, calm",
    (
        *((0, 0.1), (2, 0.1), (3, 0.5), (4, 0.8)),
        *((4.5, 1.0), (6, 1.0), (7, 0.5), (8, 0.3), (10, 0.3)),
    ),
)

HOLIDAY: Final = Shape(
    "three days before the holiday, each with a morning and an evening peak, and ever less night",
    (
        *((0, 0.1), (6, 0.4), (9, 0.4), (12, 0.25), (18, 0.45), (21, 0.3)),
        *((24, 0.2), (30, 0.65), (33, 0.65), (36, 0.5), (42, 0.7), (45, 0.5)),
        *((48, 0.5), (52, 1.0), (58, 1.0), (60, 0.9), (64, 1.0), (70, 1.0), (72, 0.6)),
    ),
)

SHAPES: Final = {"morning": MORNING, "holiday": HOLIDAY}
"""By the name that is typed. `constant` is none of them: Locust's own."""


def users_at(shape: Shape, elapsed_s: float, *, users: int, duration_s: float) -> int | None:
    """Give how many users there are, one at least; None when it is over."""
    if elapsed_s >= duration_s:
        return None
    hour = max(elapsed_s, 0.0) / duration_s * shape.hours
    for (before, low), (after, high) in pairwise(shape.points):
        if hour < after:
            share = low + (high - low) * (hour - before) / (after - before)
            return max(1, round(users * share))
    raise AssertionError("a shape ends with its last point")
