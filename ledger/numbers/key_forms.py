"""Every rule by which numbers were ever filed. What was filed by an old one is found for good.

A better rule is a further entry, never an edit: records carry the form of their key, and whoever
looks a number up reads the keys that it has by all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger.numbers.filing_key import KEY_FORM, UnfilableNumber, filing_key

if TYPE_CHECKING:
    from collections.abc import Callable

KEY_FORMS: Final[dict[int, Callable[[str], bytes]]] = {KEY_FORM: filing_key}
"""The rules by their numbers. None is ever taken out. Few: each may be one more read of a trail."""


def keys_of(tracking_number: str) -> dict[bytes, int]:
    """The keys of a number, each with the newest form that makes it; that of the newest form first.

    Raises UnfilableNumber where no form has a key for it.
    """
    keys: dict[bytes, int] = {}
    refused: UnfilableNumber | None = None
    for form in sorted(KEY_FORMS, reverse=True):
        try:
            keys.setdefault(KEY_FORMS[form](tracking_number), form)
        except UnfilableNumber as error:
            refused = refused or error
    if not keys:
        assert refused is not None
        raise refused
    return keys
