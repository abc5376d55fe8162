"""Many trails for one request: read in chunks, answered in the order of the numbers.

What is wrong with one number is said in its own message: an invalid one, one that is too long, or
one that cannot be read now never stops the others.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from ledger.errors import Busy, NotPossibleNow, Refused, Uncertain
from ledger.v1.raw_pb2 import RawBatchGetTrailsResponse
from ledger.v1.trail_service_pb2 import ListScanEventsRequest, LookupStatus
from query import requests
from query.answers import ITEM_BYTES_MAX, ITEM_ENTRIES_MAX
from query.listing import Question, answer
from query.tokens import page_digest, write_page_token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from ledger.facilities import Directory
    from ledger.trail_store import Slice
    from ledger.v1.trail_service_pb2 import BatchGetTrailsRequest
    from ledger.vocabulary import Mappings
    from query.progress_view import Shown
    from query.reading import TrailReader

logger = logging.getLogger(__name__)

CHUNK_NUMBERS = 32
"""Numbers that are read together: at most 8 MiB of rows, and one read of the store in 32."""

READ_TIMEOUT_S = 5.0
"""Longest wait for one read: an item that takes longer is answered with FAILED_RETRY."""

FAILED_RETRY_WORDS = "This item could not be read now. Ask for it again in some seconds."
"""What FAILED_RETRY says."""


async def read_together(reader: TrailReader, keys: Sequence[bytes]) -> Mapping[bytes, Slice] | None:
    """Read the first rows of a chunk. None where that fails: then each is tried alone, as the fault
    may be that of one.
    """
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            return await reader.first_of_many(list(dict.fromkeys(keys)))
    except (Busy, Uncertain, TimeoutError) as error:
        logger.warning("a chunk is read item by item", extra={"error": str(error)})
        return None


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
        count = len(self._request.tracking_numbers)
        for begin in range(0, count, CHUNK_NUMBERS):
            items = [self._item(i) for i in range(begin, min(begin + CHUNK_NUMBERS, count))]
            begun = await read_together(self._reader, [key for keys, _ in items for key in keys])
            if begun is None:  # Each one waits for the store, so all wait together.
                await asyncio.gather(
                    *(self._answer_one(keys, shown, None, out) for keys, out in items if keys)
                )
            for keys, out in items:
                if keys and begun is not None:
                    await self._answer_one(keys, shown, begun, out)
                yield out

    def _item(self, index: int) -> tuple[Sequence[bytes], RawBatchGetTrailsResponse]:
        """Begin one answer; there are no keys where the number is invalid, and all is said."""
        number = self._request.tracking_numbers[index]
        out = RawBatchGetTrailsResponse(index=index, tracking_number=number)
        try:
            return requests.keys_of(number), out
        except Refused as refusal:
            out.status = LookupStatus.LOOKUP_STATUS_INVALID_NUMBER
            out.message = refusal.message
            return (), out

    async def _answer_one(
        self,
        keys: Sequence[bytes],
        shown: Shown,
        begun: Mapping[bytes, Slice] | None,
        out: RawBatchGetTrailsResponse,
    ) -> None:
        question = Question(
            keys=keys,
            recorded=self._recorded,
            descending=self._request.descending,
            full=self._full,
            most=ITEM_ENTRIES_MAX,
            bytes_max=ITEM_BYTES_MAX,
            mappings=self._mappings,
            facilities=self._facilities,
        )
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                more = await answer(self._reader, question, shown, out, begun=begun)
        except NotPossibleNow as error:  # Oversized; the response says so.
            out.message = error.message
        except (Busy, Uncertain, TimeoutError) as error:
            logger.warning("an item was not read", extra={"error": str(error)})
            del out.tracking_keys[:]
            out.status = LookupStatus.LOOKUP_STATUS_FAILED_RETRY
            out.message = FAILED_RETRY_WORDS
        else:
            if more:
                digest = page_digest(self._listing(out.tracking_number))
                out.next_page_token = write_page_token(digest, more.pins, more.place)

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
