"""Many trails for one request: read in chunks, answered in the order of the numbers.

Each number has a message of its own; a trail that is too long is begun there, or named as such.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ledger.errors import NotPossibleNow
from ledger.v1.raw_pb2 import RawBatchGetTrailsResponse
from ledger.v1.trail_service_pb2 import ListScanEventsRequest
from query import requests
from query.answers import ITEM_BYTES_MAX, ITEM_ENTRIES_MAX
from query.chunks import CHUNK_NUMBERS, Chunks
from query.listing import Question, answer
from query.tokens import page_digest, write_page_token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from ledger.facilities import Directory
    from ledger.trail_store import Slice
    from ledger.v1.trail_service_pb2 import BatchGetTrailsRequest
    from ledger.vocabulary import Mappings
    from query.chunks import Wanted
    from query.listing import More
    from query.progress_view import Shown
    from query.reading import TrailReader


class BatchLookUp:
    """One look-up of many items."""

    def __init__(
        self,
        reader: TrailReader,
        request: BatchGetTrailsRequest,
        *,
        mappings: Mappings,
        facilities: Directory,
    ) -> None:
        """Judge the request as a whole. Raises Refused."""
        requests.refuse_inherited(request.include_inherited)
        self._reader = reader
        self._mappings = mappings
        self._facilities = facilities
        self._request = request
        self._recorded = requests.is_recorded(request.order)
        self._full = requests.is_full(request.view)

    async def answers(self, shown: Shown) -> AsyncIterator[RawBatchGetTrailsResponse]:
        """Yield one response for each number, from one state of the ledger."""
        chunks = Chunks(self._reader, partial(self._answer_one, shown))
        numbers = self._request.tracking_numbers
        for begin in range(0, len(numbers), CHUNK_NUMBERS):
            outs = [
                RawBatchGetTrailsResponse(index=index, tracking_number=number)
                for index, number in enumerate(numbers[begin : begin + CHUNK_NUMBERS], begin)
            ]
            async for out, more in chunks.read(outs):
                if more:
                    digest = page_digest(self._listing(out.tracking_number))
                    out.next_page_token = write_page_token(digest, more.pins, more.place)
                yield out

    async def _answer_one(
        self,
        shown: Shown,
        one: Wanted[RawBatchGetTrailsResponse],
        begun: Mapping[bytes, Slice] | None,
    ) -> More | None:
        question = Question(
            keys=one.keys,
            recorded=self._recorded,
            descending=self._request.descending,
            full=self._full,
            most=ITEM_ENTRIES_MAX,
            bytes_max=ITEM_BYTES_MAX,
            mappings=self._mappings,
            facilities=self._facilities,
        )
        try:
            return await answer(self._reader, question, shown, one.out, begun=begun)
        except NotPossibleNow as error:  # Oversized; the response says so.
            one.out.message = error.message
            return None

    def _listing(self, number: str) -> ListScanEventsRequest:
        """Make the request that goes on with this item."""
        listing = ListScanEventsRequest(
            tracking_number=number,
            order=self._request.order,
            descending=self._request.descending,
            view=self._request.view,
        )
        if self._request.HasField("as_of_time"):
            listing.as_of_time.CopyFrom(self._request.as_of_time)
        return listing
