"""Numbers that were perhaps meant: one character misread or mistyped, or two neighbours swapped.

Every change is tried, and those are told that make the check digit right. There are often several,
since a check digit says that something is wrong and not where: the likeliest slips come first.
"""

from __future__ import annotations

import itertools
from string import ascii_uppercase, digits
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.numbers.explaining import NO_CONTEXT, Candidate, Check, Context, candidates
from ledger.numbers.filing_key import UnfilableNumber, bare_number
from ledger.numbers.formats import LENGTH_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator

SUGGESTIONS_MAX: Final = 10
"""As many as a person looks through."""

_LIKENESS: Final = 0
"""The likeliest slip of all."""

# What eyes and cameras take for one another.
_ALIKE: Final = ("0OQD", "1IL7", "2Z", "5S", "6G", "8B", "38", "69", "17", "49", "UV")
_LOOKS_LIKE: Final = {
    one: "".join(sorted({c for group in _ALIKE if one in group for c in group} - {one}))
    for one in {c for group in _ALIKE for c in group}
}


class Suggestion(NamedTuple):
    """A number that was perhaps meant.

    Attributes:
        number: the number, without blanks.
        change: what was changed, in words.
        candidate: the likeliest that it then is; its check digit is right.
    """

    number: str
    change: str
    candidate: Candidate


def did_you_mean(
    text: str, context: Context = NO_CONTEXT, *, most: int = SUGGESTIONS_MAX
) -> list[Suggestion]:
    """Give numbers with a right check digit one slip away, the likeliest slips first.

    None where the text is right as it is: a slip that keeps the check digit right cannot be seen.
    """
    try:
        number = bare_number(text)
    except UnfilableNumber:
        return []
    if len(number) > LENGTH_MAX or not number.isascii():
        return []
    as_it_is = candidates(number, context)
    fits = bool(as_it_is) and as_it_is[0].is_valid
    if fits and as_it_is[0].check is Check.RIGHT:
        return []
    found: dict[str, tuple[int, int, Suggestion]] = {}
    for kind, changed, change in _slips(number):
        # Some shapes take nearly any text, a letter read for a digit included.
        if changed in found or (fits and kind != _LIKENESS):
            continue
        best = candidates(changed, context)
        if best and best[0].check is Check.RIGHT and best[0].is_valid:
            known = -len(best[0].known_by)
            found[changed] = (known, kind, Suggestion(changed, change, best[0]))
    ranked = sorted(found.values(), key=lambda one: one[:2])
    return [suggestion for _, _, suggestion in ranked[:most]]


def _slips(number: str) -> Iterator[tuple[int, str, str]]:
    """Every number one slip away: how likely the slip is (the less the likelier), and its words."""
    for at, (one, other) in enumerate(itertools.pairwise(number)):
        if one != other:
            swapped = number[:at] + other + one + number[at + 2 :]
            yield 1, swapped, f"characters {at + 1} and {at + 2} are swapped"
    for at, one in enumerate(number):
        for other in digits + ascii_uppercase:
            if other != one:
                changed = number[:at] + other + number[at + 1 :]
                yield _kind(one, other), changed, f"character {at + 1} is {other}, not {one}"


def _kind(one: str, other: str) -> int:
    """How likely one character was read or typed for another; two swapped neighbours are 1."""
    alike = other in _LOOKS_LIKE.get(one, "")
    if one.isdigit() == other.isdigit():
        return 2 if alike else 3
    # A letter among digits, or the other way round, can hardly be anything but its likeness.
    return _LIKENESS if alike else 4
