"""The rules of check digits by name, as `formats.toml` calls them: text in, right or not out.

Each is given exactly what the rule looks at, check digit last, in the shape of its format. The
rules of S10 and GS1 are shared with the filing key, and lie in `check_digits`.
"""

from collections.abc import Callable
from typing import Final

from ledger.numbers.check_digits import gs1_remainder, passes_s10

_FEDEX_12: Final = (3, 1, 7) * 3 + (3, 1)
_FEDEX_34: Final = (1, 7, 3) * 4 + (1,)
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_VALUE: Final = {character: value for value, character in enumerate(_ALPHABET)}
# UPS counts A as 2, B as 3, … and only the last digit of that.
_UPS: Final = {c: int(c) if c.isdigit() else (ord(c) - 63) % 10 for c in _ALPHABET}
_LUHN_DOUBLED: Final = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def passes_gs1_digits(digits: str) -> bool:
    """GS1 modulo 10 over ASCII digits, whose number the format has checked."""
    return gs1_remainder(digits.encode()) == 0


def passes_ups(text: str) -> bool:
    """UPS: every second character counts twice, the sum of it all and the last is a full ten."""
    values = [_UPS[character] for character in text]
    body, check = values[:-1], values[-1]
    return (sum(body) + sum(body[1::2]) + check) % 10 == 0


def passes_fedex_12(digits: str) -> bool:
    """FedEx, weights 3, 1, 7, …: modulo 11, of that the last digit."""
    return _fedex(digits, _FEDEX_12)


def passes_fedex_34(digits: str) -> bool:
    """FedEx in long barcodes, weights 1, 7, 3, …: modulo 11, of that the last digit."""
    return _fedex(digits, _FEDEX_34)


def passes_mod7(digits: str) -> bool:
    """DHL Express: the number before the last digit, modulo 7."""
    return int(digits[:-1]) % 7 == int(digits[-1])


def passes_luhn(digits: str) -> bool:
    """Luhn: from the last but one every second digit is doubled, and its own digits are added."""
    values = [int(digit) for digit in reversed(digits)]
    return (sum(values[::2]) + sum(_LUHN_DOUBLED[value] for value in values[1::2])) % 10 == 0


def passes_iso7064(text: str) -> bool:
    """ISO 7064 modulo 37,36 over digits and letters; the check character is one of them."""
    product = 36
    for character in text[:-1]:
        product = ((product + _VALUE[character]) % 36 or 36) * 2 % 37
    return (product + _VALUE[text[-1]]) % 36 == 1


RULES: Final[dict[str, Callable[[str], bool]]] = {
    "s10": passes_s10,
    "gs1": passes_gs1_digits,
    "ups": passes_ups,
    "fedex": passes_fedex_12,
    "fedex-34": passes_fedex_34,
    "mod7": passes_mod7,
    "luhn": passes_luhn,
    "iso7064-37-36": passes_iso7064,
}
"""Every rule a format may name."""


def _fedex(digits: str, weights: tuple[int, ...]) -> bool:
    weighed = sum(w * int(d) for w, d in zip(weights, digits[:-1], strict=True))
    return weighed % 11 % 10 == int(digits[-1])
