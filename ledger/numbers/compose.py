"""Composing tracking numbers with right check digits: UPU S10, USPS IMpb (22 digits), GS1 SSCC-18.

For issuing number blocks and for test traffic. Every function raises ValueError on parts that do
not fit the format; none keeps track of what was issued before.
"""

from ledger.numbers.check_digits import (
    S10_SERIAL_DIGITS,
    gs1_check_digit,
    is_digits,
    s10_check_digit,
)

IMPB_LENGTH = 22
# 92 goes with a nine-digit mailer id, 93 with a six-digit one, 94 (online and meter) with either.
IMPB_MAILER_DIGITS = {"92": (9,), "93": (6,), "94": (6, 9)}
SSCC_LENGTH = 18
# GS1 gives out company prefixes of 4 to 12 digits.
SSCC_PREFIX_DIGITS = range(4, 13)


def compose_s10(service_indicator: str, serial: int, country: str) -> str:
    """An S10 number such as RR473124829GB: two letters, eight digits, check digit, issuer."""
    for name, letters in (("service indicator", service_indicator), ("country", country)):
        if not (len(letters) == 2 and letters.isascii() and letters.isalpha()):
            raise ValueError(f"the {name} of an S10 number is two letters, not {letters!r}")
        if not letters.isupper():
            raise ValueError(f"the {name} of an S10 number is upper case, not {letters!r}")
    digits = _padded("S10 serial", serial, S10_SERIAL_DIGITS)
    return f"{service_indicator}{digits}{s10_check_digit(digits)}{country}"


def compose_impb(identifier: str, service_type: str, mailer_id: str, serial: int) -> str:
    """A 22-digit IMpb: application identifier, service type, mailer id, serial, check digit."""
    allowed = IMPB_MAILER_DIGITS.get(identifier)
    if allowed is None:
        raise ValueError(f"an IMpb begins with {', '.join(IMPB_MAILER_DIGITS)}, not {identifier!r}")
    if len(service_type) != 3 or not is_digits(service_type):
        raise ValueError(f"a service type code has three digits, not {service_type!r}")
    # A mailer id says its own length: those of nine digits, and only those, begin with 9.
    if not is_digits(mailer_id) or len(mailer_id) != (9 if mailer_id[0] == "9" else 6):
        raise ValueError(
            f"a mailer id has nine digits beginning with 9, or six that do not, not {mailer_id!r}"
        )
    if len(mailer_id) not in allowed:
        raise ValueError(f"a mailer id of {len(mailer_id)} digits does not go with {identifier}")
    head = identifier + service_type + mailer_id
    body = head + _padded("IMpb serial", serial, IMPB_LENGTH - 1 - len(head))
    return f"{body}{gs1_check_digit(body)}"


def compose_sscc(extension: int, company_prefix: str, serial: int) -> str:
    """An SSCC-18 without its application identifier 00."""
    if len(company_prefix) not in SSCC_PREFIX_DIGITS or not is_digits(company_prefix):
        raise ValueError(f"a GS1 company prefix has 4 to 12 digits, not {company_prefix!r}")
    head = _padded("extension digit", extension, 1) + company_prefix
    body = head + _padded("SSCC serial", serial, SSCC_LENGTH - 1 - len(head))
    return f"{body}{gs1_check_digit(body)}"


def _padded(name: str, number: int, digits: int) -> str:
    """`number` in exactly `digits` digits."""
    if not 0 <= number < 10**digits:
        raise ValueError(f"the {name} has {digits} digits, {number} does not fit")
    return f"{number:0{digits}d}"
