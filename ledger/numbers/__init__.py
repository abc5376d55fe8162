"""Tracking numbers: the key an item is filed under, check digits, and composing numbers.

Pure functions over text; nothing here reads a clock or the network, and no file but its own data.
"""

from ledger.numbers.check_digits import (
    gs1_check_digit,
    is_digits,
    passes_gs1,
    passes_s10,
    s10_check_digit,
)
from ledger.numbers.compose import compose_impb, compose_s10, compose_sscc
from ledger.numbers.did_you_mean import Suggestion, did_you_mean
from ledger.numbers.explaining import (
    Candidate,
    Check,
    Context,
    Explanation,
    explain,
    is_country_code,
)
from ledger.numbers.filing_key import (
    KEY_FORM,
    MAX_NUMBER_BYTES,
    UnfilableNumber,
    filing_key,
    filing_keys,
    partition_of,
    partitions_of,
)
from ledger.numbers.judging import is_check_digit_wrong, may_be_wrong
from ledger.numbers.key_forms import KEY_FORMS, keys_of

__all__ = [
    "KEY_FORM",
    "KEY_FORMS",
    "MAX_NUMBER_BYTES",
    "Candidate",
    "Check",
    "Context",
    "Explanation",
    "Suggestion",
    "UnfilableNumber",
    "compose_impb",
    "compose_s10",
    "compose_sscc",
    "did_you_mean",
    "explain",
    "filing_key",
    "filing_keys",
    "gs1_check_digit",
    "is_check_digit_wrong",
    "is_country_code",
    "is_digits",
    "keys_of",
    "may_be_wrong",
    "partition_of",
    "partitions_of",
    "passes_gs1",
    "passes_s10",
    "s10_check_digit",
]
