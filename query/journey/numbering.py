"""What the fold has to know of a number: whether it is bad, and whether carriers share it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger.numbers import Check, explain
from query.journey.folding import Asked

if TYPE_CHECKING:
    from collections.abc import Callable

SHARED_FORMATS: Final = frozenset({"upu-s10", "upu-s9"})
"""All posts of the world know an item by one number, and hand it on."""


def asked_of(
    number: str,
    *,
    now_ns: int,
    until_ns: int | None = None,
    coordinates: Callable[[str], tuple[float, float] | None] | None = None,
) -> Asked:
    """Ask about a number. One that fits no format is not bad: partners have their own."""
    candidates = explain(number).candidates
    asked = Asked(
        now_ns,
        until_ns,
        shared=any(one.format.id in SHARED_FORMATS for one in candidates),
        bad_number=bool(candidates) and candidates[0].check is Check.WRONG,
    )
    return asked if coordinates is None else asked._replace(coordinates=coordinates)
