"""Check digits of tracking numbers: UPU S10 (modulo 11) and GS1 (modulo 10).

Pure arithmetic over ASCII digits. A check digit only catches misreadings: about one random string
in ten passes, so a passing number is evidence for a format, never proof of a carrier.
"""

S10_SERIAL_DIGITS = 8
S10_LENGTH = 13
_S10_WEIGHTS = (8, 6, 4, 2, 3, 5, 9, 7)
_ZERO = ord("0")
# Twice as long as any number with a GS1 check digit; `gs1_remainder` says what breaks above it.
GS1_MAX_DIGITS = 56
_DIGIT_OF_CODE = int.from_bytes(b"\x0f" * GS1_MAX_DIGITS, "big")


def s10_check_digit(serial: str) -> int:
    """The check digit of an S10 serial of exactly eight digits."""
    if len(serial) != S10_SERIAL_DIGITS or not is_digits(serial):
        raise ValueError(f"an S10 serial has {S10_SERIAL_DIGITS} digits, not {serial!r}")
    weighed = sum(w * (d - _ZERO) for w, d in zip(_S10_WEIGHTS, serial.encode(), strict=True))
    digit = 11 - weighed % 11
    # 10 has no digit of its own and 11 would read as a plain remainder of 0, so S10 names both.
    return {10: 0, 11: 5}.get(digit, digit)


def passes_s10(number: str) -> bool:
    """Whether `number` reads AA 12345678 c CC (upper case, no blanks) with the right check digit.

    Whether the issuer CC exists is not judged here.
    """
    if len(number) != S10_LENGTH or not number.isascii():
        return False
    service, serial, check, country = number[:2], number[2:10], number[10], number[11:]
    letters = service + country
    if not (letters.isalpha() and letters.isupper() and is_digits(serial + check)):
        return False
    return s10_check_digit(serial) == int(check)


def gs1_check_digit(body: str) -> int:
    """The GS1 check digit to put behind `body`: weights 3, 1, 3, … from its last digit."""
    if not is_digits(body) or len(body) >= GS1_MAX_DIGITS:
        raise ValueError(f"a GS1 number is made of at most {GS1_MAX_DIGITS} digits, not {body!r}")
    # A 0 in the check digit's place adds nothing, and what is missing to a full ten is the digit.
    return -gs1_remainder(f"{body}0".encode()) % 10


def passes_gs1(number: str) -> bool:
    """Whether the last digit of `number` is the GS1 check digit of those before it."""
    if not 1 < len(number) <= GS1_MAX_DIGITS or not is_digits(number):
        return False
    return gs1_remainder(number.encode()) == 0


def gs1_remainder(digits: bytes) -> int:
    """The weighed sum over all digits (1, 3, 1, … from the last) modulo 10; 0 passes.

    Judges nothing: `digits` must be 1 to GS1_MAX_DIGITS ASCII digits. The filing key calls it for
    every scan with a routing prefix, and a loop over the digits takes four times as long.
    """
    # A digit's code is 0x30 and the digit, so the mask leaves one digit in each byte. 65,536 leaves
    # 1 modulo 65,535, so the remainder is the sum of all 16-bit words: its low byte is the sum of
    # the digits of weight 1, its high byte of those of weight 3. 28 nines in each still fit a byte.
    sums = (int.from_bytes(digits, "big") & _DIGIT_OF_CODE) % 65_535
    return (3 * (sums >> 8) + (sums & 0xFF)) % 10


def is_digits(text: str) -> bool:
    """Whether `text` is one or more of 0-9; `str.isdigit` alone takes other scripts' digits too."""
    return text.isascii() and text.isdigit()
