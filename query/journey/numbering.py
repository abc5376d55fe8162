"""What the fold has to know of a number: whether it is bad, and whether carriers share it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger.numbers import (
    UnfilableNumber,
    filing_key,
    is_check_digit_wrong,
    is_digits,
    may_be_wrong,
)
from ledger.numbers.formats import formats
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
    try:
        key = filing_key(number)
    except UnfilableNumber:
        key = b""
    asked = Asked(
        now_ns,
        until_ns,
        shared=_is_shared(key.decode()),
        # Nearly all numbers are cleared by a look at their key.
        bad_number=may_be_wrong(key) and is_check_digit_wrong(number),
    )
    return asked if coordinates is None else asked._replace(coordinates=coordinates)


def _is_shared(number: str) -> bool:
    known = formats().by_length.get((len(number), is_digits(number)), ())
    return any(one.id in SHARED_FORMATS and one.pattern.fullmatch(number) for one in known)
