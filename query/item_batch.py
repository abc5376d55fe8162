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
    from query.containers.reading import ContainerTrails
    from query.items import Items, Look, Question
    from query.progress_view import Shown
    from query.reading import TrailReader

logger = logging.getLogger(__name__)


class _Wanted(NamedTuple):
    """One number."""

    look_up: ItemLookUp
    keys: Sequence[bytes]
    """Empty where the number is invalid, and all is said."""
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
        containers = self._items.trails_of_containers(shown)
        store_is_away = False
        for begin in range(0, len(look_ups), batch.CHUNK_NUMBERS):
            chunk = look_ups[begin : begin + batch.CHUNK_NUMBERS]
            wanted = [_wanted(index, one) for index, one in enumerate(chunk, begin)]
            looks: Sequence[Look | None] = [None] * len(wanted)
            if store_is_away:  # The rest is told so at once: each chunk would wait as long again.
                for one in wanted:
                    _fail(one)
            else:
                looks = await self._looks(wanted, shown)
                known = [one for one in wanted if one.keys]
                store_is_away = bool(known) and all(map(_is_failed, known))
                looks = await self._carry(wanted, looks, containers)
            message, names, size = BatchGetItemsResponse(), dict[str, None](), 0
            for one, look in zip(wanted, looks, strict=True):
                its: dict[str, None] = {}
                if look is not None:
                    revision = one.look_up.revision
                    self._items.answer(look, self._question, one.out, its, revision=revision)
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

    async def _looks(self, wanted: Sequence[_Wanted], shown: Shown) -> list[Look | None]:
        keys = [key for one in wanted for key in one.keys]
        begun = await batch.read_together(self._reader, keys)
        if begun is None:  # Each one waits for the store, so all wait together.
            return await asyncio.gather(*(self._look(one, shown, None) for one in wanted))
        return [await self._look(one, shown, begun) for one in wanted]

    async def _look(
        self, one: _Wanted, shown: Shown, begun: Mapping[bytes, Slice] | None
    ) -> Look | None:
        """Read one; None where it is invalid, or could not be read, and that is said."""
        if not one.keys:
            return None
        number = one.look_up.tracking_number
        try:
            async with asyncio.timeout(batch.READ_TIMEOUT_S):
                return await self._items.look(number, one.keys, shown, self._question, begun)
        except (Busy, Uncertain, TimeoutError) as error:
            logger.warning("an item was not read", extra={"error": str(error)})
            _fail(one)
            return None

    async def _carry(
        self,
        wanted: Sequence[_Wanted],
        looks: Sequence[Look | None],
        containers: ContainerTrails,
    ) -> list[Look | None]:
        """Read the containers that some lay in, together; each alone where that fails."""
        carried = list(looks)
        groups = [[at for at, look in enumerate(looks) if look is not None]]
        while groups:
            group = groups.pop()
            some = [look for at in group if (look := looks[at])]
            try:
                async with asyncio.timeout(batch.READ_TIMEOUT_S):
                    found = await self._items.carry(some, containers)
            except (Busy, Uncertain, TimeoutError) as error:
                if len(group) > 1:
                    groups += [[at] for at in group]
                    continue
                logger.warning("an item was not read", extra={"error": str(error)})
                _fail(wanted[group[0]])
                carried[group[0]] = None
                continue
            for at, look in zip(group, found, strict=True):
                carried[at] = look
        return carried


def _wanted(index: int, look_up: ItemLookUp) -> _Wanted:
    """Begin one answer."""
    out = ItemAnswer(index=index, tracking_number=look_up.tracking_number)
    try:
        return _Wanted(look_up, requests.keys_of(look_up.tracking_number), out)
    except Refused as refusal:
        out.status = LookupStatus.LOOKUP_STATUS_INVALID_NUMBER
        out.message = refusal.message
        return _Wanted(look_up, (), out)


def _fail(one: _Wanted) -> None:
    if one.keys:
        one.out.status = LookupStatus.LOOKUP_STATUS_FAILED_RETRY
        one.out.message = batch.FAILED_RETRY_WORDS


def _is_failed(one: _Wanted) -> bool:
    return one.out.status == LookupStatus.LOOKUP_STATUS_FAILED_RETRY
