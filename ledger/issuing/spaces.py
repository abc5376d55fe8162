"""Spaces of numbers: all numbers that differ in their serial alone, and the number of a serial.

An SSCC's space does not end with its company prefix but after four digits of it, the shortest that
there are: so two prefixes, one of which begins with the other, cannot give the same number.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ledger.numbers.check_digits import S10_SERIAL_DIGITS, gs1_check_digit
from ledger.numbers.compose import IMPB_LENGTH, SSCC_LENGTH, compose_s10

_SSCC_HEAD: Final = 5  # Extension digit, and the shortest company prefix.


class Space(NamedTuple):
    """A space, by what its numbers have in common."""

    name: str
    """For example `s10/RR/GB`, `impb/92055912345678`, `sscc/03404`."""
    digits: int
    """Digits of a serial."""

    def number(self, serial: int) -> str:
        """Give the number of a serial."""
        kind, _, head = self.name.partition("/")
        if kind == "s10":
            service, _, issuer = head.partition("/")
            return compose_s10(service, serial, issuer)
        body = f"{head}{serial:0{self.digits}d}"
        assert len(body) == (IMPB_LENGTH if kind == "impb" else SSCC_LENGTH) - 1
        return f"{body}{gs1_check_digit(body)}"


def s10_space(service: str, issuer: str) -> Space:
    """Give the space of S10 numbers of a service indicator and a post."""
    return Space(f"s10/{service}/{issuer}", S10_SERIAL_DIGITS)


def impb_space(identifier: str, service_type: str, mailer_id: str) -> Space:
    """Give the space of IMpb numbers of a mailer and a service type."""
    head = identifier + service_type + mailer_id
    return Space(f"impb/{head}", IMPB_LENGTH - 1 - len(head))


def sscc_space(extension: str, company_prefix: str) -> tuple[Space, int]:
    """Give the space of an SSCC, and what its serials there are moved up by."""
    head = extension + company_prefix
    space = Space(f"sscc/{head[:_SSCC_HEAD]}", SSCC_LENGTH - 1 - _SSCC_HEAD)
    rest = head[_SSCC_HEAD:]
    return space, int(rest or "0") * 10 ** (space.digits - len(rest))


def space_named(name: str) -> Space:
    """Find a space by its name."""
    kind, _, head = name.partition("/")
    if kind == "s10":
        return Space(name, S10_SERIAL_DIGITS)
    return Space(name, (IMPB_LENGTH if kind == "impb" else SSCC_LENGTH) - 1 - len(head))
