"""Whether a tracking number has a wrong check digit: what a door refuses by, and a trail flags.

Few numbers are wrong, so most are cleared by a look at their filing key alone, some 2 µs. What is
left is judged by all that `explain` knows, from the number as it was scanned.
"""

from __future__ import annotations

from ledger.numbers.check_digits import is_digits
from ledger.numbers.explaining import ROUTING, Check, explain
from ledger.numbers.formats import formats


def may_be_wrong(key: bytes) -> bool:
    """Whether a number with this filing key has to be looked at: False clears it."""
    number = key.decode()
    digits = is_digits(number)
    if digits and number.startswith(ROUTING):  # Routing that was not cut: more than one rule.
        return True
    fits = False
    for one in formats().by_length.get((len(number), digits), ()):
        if one.pattern.fullmatch(number):
            if one.passes(number) is not False:
                return False
            fits = True
    return fits


def is_check_digit_wrong(tracking_number: str) -> bool:
    """Whether a number has a wrong check digit in every format that it fits; where it fits none, or
    one without a check digit, it has not.
    """
    found = explain(tracking_number).candidates
    return bool(found) and found[0].check is Check.WRONG
