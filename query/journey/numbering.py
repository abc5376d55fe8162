"""What the fold has to know of a number: is it bad, a container's, or shared by carriers."""

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

CONTAINER_FORMATS: Final = frozenset({"upu-s9"})
"""Numbers of receptacles. A logistic unit (SSCC) may be a bag, a pallet or one parcel."""


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
    fits = _formats_of(key.decode())
    asked = Asked(
        now_ns,
        until_ns,
        shared=not SHARED_FORMATS.isdisjoint(fits),
        is_container=not CONTAINER_FORMATS.isdisjoint(fits),
        # Nearly all numbers are cleared by a look at their key.
        bad_number=may_be_wrong(key) and is_check_digit_wrong(number),
    )
    return asked if coordinates is None else asked._replace(coordinates=coordinates)


def _formats_of(number: str) -> list[str]:
    known = formats().by_length.get((len(number), is_digits(number)), ())
    return [one.id for one in known if one.id in SHARED_FORMATS and one.pattern.fullmatch(number)]
