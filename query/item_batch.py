"""A look-up of many items from one state of the ledger: answers in the order of the numbers.

Numbers are read together, a chunk at a time, and each chunk is one message: a message costs as much
as an item. A number that is invalid, or cannot be read now, is answered as such, and stops nothing.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, NamedTuple

from ledger.errors import Busy, Refused, Uncertain
from ledger.v1.item_service_pb2 import BatchGetItemsResponse, ItemAnswer
from ledger.v1.trail_service_pb2 import LookupStatus
from query import batch, requests
from query.answers import ITEM_BYTES_MAX
from query.naming import name_facilities

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from ledger.facilities import Directory
    from ledger.trail_store import Slice
    from ledger.v1.item_service_pb2 import ItemLookUp
    from query.items import Items, Question
    from query.progress_view import Shown
    from query.reading import TrailReader

logger = logging.getLogger(__name__)


class _Wanted(NamedTuple):
    """One number."""

    look_up: ItemLookUp
    keys: Sequence[bytes]
    """None where the number is invalid, and all is said."""
    out: ItemAnswer


class ItemBatch:
    """One look-up of many items."""

    def __init__(
        self, items: Items, reader: TrailReader, facilities: Directory, question: Question
    ) -> None:
        """`facilities` are named beside answers."""
        self._items = items
        self._reader = reader
        self._facilities = facilities
        self._question = question

    async def answers(
        self, look_ups: Sequence[ItemLookUp], shown: Shown
    ) -> AsyncIterator[BatchGetItemsResponse]:
        """Yield all answers, some in a message."""
        for begin in range(0, len(look_ups), batch.CHUNK_NUMBERS):
            chunk = look_ups[begin : begin + batch.CHUNK_NUMBERS]
            wanted = [_wanted(index, one) for index, one in enumerate(chunk, begin)]
            keys = [key for one in wanted for key in one.keys]
            begun = await batch.read_together(self._reader, keys)
            named: list[dict[str, None]] = [{} for _ in wanted]
            if begun is None:  # Each one waits for the store, so all wait together.
                await asyncio.gather(
                    *(
                        self._answer(one, shown, None, its)
                        for one, its in zip(wanted, named, strict=True)
                    )
                )
            message, names, size = BatchGetItemsResponse(), dict[str, None](), 0
            for one, its in zip(wanted, named, strict=True):
                if begun is not None:
                    await self._answer(one, shown, begun, its)
                more = one.out.ByteSize()
                if size and size + more > ITEM_BYTES_MAX:
                    yield self._named(message, names)
                    message, names, size = BatchGetItemsResponse(), {}, 0
                message.answers.append(one.out)
                names |= its
                size += more
            yield self._named(message, names)

    def _named(
        self, message: BatchGetItemsResponse, names: dict[str, None]
    ) -> BatchGetItemsResponse:
        name_facilities(message, names, self._facilities)
        return message

    async def _answer(
        self,
        one: _Wanted,
        shown: Shown,
        begun: Mapping[bytes, Slice] | None,
        named: dict[str, None],
    ) -> None:
        if not one.keys:
            return
        number, out = one.look_up.tracking_number, one.out
        try:
            async with asyncio.timeout(batch.READ_TIMEOUT_S):
                look = await self._items.look(number, one.keys, shown, self._question, begun)
        except (Busy, Uncertain, TimeoutError) as error:
            logger.warning("an item was not read", extra={"error": str(error)})
            out.status = LookupStatus.LOOKUP_STATUS_FAILED_RETRY
            out.message = batch.FAILED_RETRY_WORDS
            return
        self._items.answer(look, self._question, out, named, revision=one.look_up.revision)


def _wanted(index: int, look_up: ItemLookUp) -> _Wanted:
    """Begin one answer."""
    out = ItemAnswer(index=index, tracking_number=look_up.tracking_number)
    try:
        return _Wanted(look_up, requests.keys_of(look_up.tracking_number), out)
    except Refused as refusal:
        out.status = LookupStatus.LOOKUP_STATUS_INVALID_NUMBER
        out.message = refusal.message
        return _Wanted(look_up, (), out)
