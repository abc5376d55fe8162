"""The facilities that entries of an answer name, each once beside them. Nothing of it is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ledger.facilities import Directory


def names_of(codes: Iterable[str], directory: Directory) -> Iterator[bytes]:
    """Give what is known of the facilities with these codes, each an encoded message; of others
    there is the code alone.
    """
    for code in codes:
        facility = directory.get(code)
        if facility is not None:
            yield facility.brief_bytes
