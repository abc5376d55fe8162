"""The facilities that entries of an answer name, each once beside them. Nothing of it is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ledger.facilities import Directory
    from ledger.v1.item_service_pb2 import (
        BatchGetItemsResponse,
        ExplainItemResponse,
        GetItemResponse,
        ListContentsResponse,
        WatchItemResponse,
    )

    _Answer = (
        GetItemResponse
        | BatchGetItemsResponse
        | WatchItemResponse
        | ExplainItemResponse
        | ListContentsResponse
    )


def names_of(codes: Iterable[str], directory: Directory) -> Iterator[bytes]:
    """Give what is known of the facilities with these codes, each an encoded message; of others
    there is the code alone.
    """
    for code in codes:
        facility = directory.get(code)
        if facility is not None:
            yield facility.brief_bytes


def name_facilities(answer: _Answer, codes: Iterable[str], directory: Directory) -> None:
    """Put what is known of the facilities with these codes into an answer about items."""
    for code in codes:
        facility = directory.get(code)
        if facility is not None:
            answer.facilities.append(facility.brief)
