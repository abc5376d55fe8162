"""The filing key, form 1: under which key a tracking number is filed, and in which partition.

Form 1 is frozen by `filing_key_vectors.json`: keys lie in log records and rows for good, so a
change here would split trails. A better rule becomes form 2 beside it, never an edit of this one.
"""

import re
import zlib
from collections.abc import Iterable, Sequence

from ledger.numbers.check_digits import gs1_remainder

KEY_FORM = 1
# The longest numbers in use have some 40 characters; 128 bytes leaves room, and bounds the keys.
MAX_NUMBER_BYTES = 128

# All of this works on UTF-8, since the methods of bytes do exactly what form 1 says: upper() knows
# a-z alone, where that of str makes SS of a sharp s, and isdigit() takes no other script's digits.

# Unicode's control characters (category Cc: U+0000-001F, 007F, 0080-009F) but TAB and GS. Those two
# are dropped from the key: GS is how a scanner shows FNC1, and TAB is what keyboard scanners and
# spreadsheets put around a number. With any other control character the text is no number at all.
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1c\x1e\x1f\x7f]|\xc2[\x80-\x9f]")
# An AIM symbology identifier: which kind of barcode it was, not part of the number.
_AIM_IDENTIFIER = re.compile(rb"\][A-Za-z][A-Za-z0-9]")
_AIM_LENGTH = 3
_DROPPED = b" \t-\x1d"
_NO_BREAK_SPACE = "\u00a0".encode()
# What to cut from a number of this length: 420 and a postal code of nine or else five digits, where
# that leaves an IMpb of 22 or 26 digits.
_ROUTING_CUTS = {30: (8,), 34: (12, 8), 38: (12,)}
# What letters and digits of such a length say is the key, but for the case.
_PLAIN_LENGTHS = frozenset(range(1, MAX_NUMBER_BYTES + 1)) - _ROUTING_CUTS.keys()
_IMPB_STARTS = frozenset({b"91", b"92", b"93", b"94", b"95"})


class UnfilableNumber(ValueError):
    """A tracking number that has no filing key and never gets one: do not retry it.

    Attributes:
        code: one of EMPTY_KEY, TOO_LONG, CONTROL_CHARACTER, NOT_UNICODE.
        reason: the same as a sentence.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def filing_key(tracking_number: str) -> bytes:
    """The UTF-8 bytes of the key of form 1, from the tracking number as scanned.

    In this order: drop leading spaces (U+0020 only); drop one AIM identifier (`]`, ASCII letter,
    ASCII letter or digit); drop every space, tab, no-break space, `-` and GS; upper-case a-z; from
    a number of ASCII digits only that begins with 420 cut 12 digits, or else 8, if what is left has
    22 or 26 digits, begins with 91-95 and ends in its GS1 check digit. Nothing else is touched: no
    other blank, hyphen, letter or digit of Unicode is folded. The key of a key is the key itself,
    unless the key begins like an AIM identifier.

    Raises UnfilableNumber for more than 128 bytes of UTF-8, a control character other than TAB and
    GS, a lone surrogate, and where nothing is left.
    """
    try:
        return _key_of(tracking_number.encode())
    except UnicodeEncodeError:
        raise UnfilableNumber("NOT_UNICODE", "the tracking number is not valid Unicode") from None


def bare_number(tracking_number: str) -> str:
    """What form 1 keeps of a tracking number before it looks for routing: for reading, not filing.

    Raises UnfilableNumber as `filing_key` does.
    """
    try:
        number = tracking_number.encode()
    except UnicodeEncodeError:
        raise UnfilableNumber("NOT_UNICODE", "the tracking number is not valid Unicode") from None
    return (number if number.isalnum() else _stripped(number)).upper().decode()


def filing_keys(numbers: Sequence[bytes]) -> list[bytes]:
    """The keys of many numbers, given as UTF-8: a third of the time of one by one.

    Raises UnfilableNumber where one of them has none.
    """
    return [
        number.upper() if len(number) in _PLAIN_LENGTHS and number.isalnum() else _key_of(number)
        for number in numbers
    ]


def partitions_of(keys: Iterable[bytes], partitions: int) -> list[int]:
    """The partitions of many filing keys: `partition_of` each of them."""
    return [checksum % partitions for checksum in map(zlib.crc32, keys)]


def _key_of(key: bytes) -> bytes:
    if len(key) > MAX_NUMBER_BYTES:
        raise UnfilableNumber(
            "TOO_LONG", f"the tracking number has {len(key)} bytes, over {MAX_NUMBER_BYTES}"
        )
    # Nearly every scan is ASCII letters and digits: nothing to drop, nothing to refuse.
    key = (key if key.isalnum() else _stripped(key)).upper()
    cuts = _ROUTING_CUTS.get(len(key))
    if cuts and key.startswith(b"420") and key.isdigit():
        for cut in cuts:
            if key[cut : cut + 2] in _IMPB_STARTS and gs1_remainder(key[cut:]) == 0:
                return key[cut:]
    return key


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a filing key: unsigned CRC-32 modulo the number of partitions.

    Any Kafka client with librdkafka's `consistent` partitioner chooses the same.
    """
    return zlib.crc32(key) % partitions


def _stripped(number: bytes) -> bytes:
    """`number` without what is not part of it, or UnfilableNumber."""
    control = _CONTROL.search(number)
    if control:
        raise UnfilableNumber(
            "CONTROL_CHARACTER",
            f"the tracking number has the control character U+{ord(control[0].decode()):04X}",
        )
    number = number.lstrip(b" ")
    if _AIM_IDENTIFIER.match(number):
        number = number[_AIM_LENGTH:]
    number = number.translate(None, _DROPPED).replace(_NO_BREAK_SPACE, b"")
    if not number:
        raise UnfilableNumber("EMPTY_KEY", "nothing of the tracking number is left to file by")
    return number
