"""The facilities that entries of an answer name, each once beside them. Nothing of it is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ledger.facilities import Directory
    from ledger.v1.item_service_pb2 import (
        BatchGetItemsResponse,
        GetItemResponse,
        ListContentsResponse,
        WatchItemResponse,
    )
    from ledger.v1.raw_pb2 import (
        RawBatchGetTrailsResponse,
        RawListScanEventsResponse,
        RawWatchTrailResponse,
    )

    _Answer = (
        RawListScanEventsResponse
        | RawBatchGetTrailsResponse
        | RawWatchTrailResponse
        | GetItemResponse
        | BatchGetItemsResponse
        | WatchItemResponse
        | ListContentsResponse
    )


def name_facilities(answer: _Answer, codes: Iterable[str], directory: Directory) -> None:
    """Put what is known of the facilities with these codes; of others there is the code alone."""
    for code in codes:
        facility = directory.get(code)
        if facility is not None:
            answer.facilities.append(facility.brief)
