"""A look-up of many items from one state of the ledger: answers in the order of the numbers.

Numbers are read together, a chunk at a time, and each chunk is one message: a message costs as much
as an item. What lies in containers that cannot be read now is answered as such, and stops nothing.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from ledger.v1.item_service_pb2 import BatchGetItemsResponse, ItemAnswer
from query.answers import ITEM_BYTES_MAX
from query.apart import NOT_READ, Patience
from query.chunks import CHUNK_NUMBERS, READ_TIMEOUT_S, Chunks, not_read
from query.naming import name_facilities

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from ledger.facilities import Directory
    from ledger.trail_store import Slice
    from ledger.v1.item_service_pb2 import ItemLookUp
    from query.chunks import Wanted
    from query.containers.reading import ContainerTrails
    from query.items import Items, Look, Question
    from query.progress_view import Shown
    from query.reading import TrailReader

MORE_READS: Final = 64
"""Most further reads of containers, for one chunk and level, to tell bad ones from others: enough
to find three in a thousand, or to try each of 32 alone. What is left beside bad ones then fails
with them.
"""


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
        chunks = Chunks(self._reader, partial(self._look, shown))
        patience = Patience(READ_TIMEOUT_S, MORE_READS)
        containers = self._items.trails_of_containers(shown, patience)
        for begin in range(0, len(look_ups), CHUNK_NUMBERS):
            chunk = look_ups[begin : begin + CHUNK_NUMBERS]
            outs = [
                ItemAnswer(index=index, tracking_number=one.tracking_number)
                for index, one in enumerate(chunk, begin)
            ]
            looks = [look async for _, look in chunks.read(outs)]
            looks = await self._carry(outs, looks, containers)
            message, names, size = BatchGetItemsResponse(), dict[str, None](), 0
            for one, out, look in zip(chunk, outs, looks, strict=True):
                its: dict[str, None] = {}
                if look is not None:
                    self._items.answer(look, self._question, out, its, revision=one.revision)
                more = out.ByteSize()
                if size and size + more > ITEM_BYTES_MAX:
                    yield self._named(message, names)
                    message, names, size = BatchGetItemsResponse(), {}, 0
                message.answers.append(out)
                names |= its
                size += more
            yield self._named(message, names)

    def _named(
        self, message: BatchGetItemsResponse, names: dict[str, None]
    ) -> BatchGetItemsResponse:
        name_facilities(message, names, self._facilities)
        return message

    async def _look(
        self, shown: Shown, one: Wanted[ItemAnswer], begun: Mapping[bytes, Slice] | None
    ) -> Look:
        number = one.out.tracking_number
        return await self._items.look(number, one.keys, shown, self._question, begun)

    async def _carry(
        self,
        outs: Sequence[ItemAnswer],
        looks: Sequence[Look | None],
        containers: ContainerTrails,
    ) -> list[Look | None]:
        """Read the containers that some lay in, together; None where one could not be read, and
        that is said.
        """
        carried = list(looks)
        at_of = [at for at, look in enumerate(looks) if look is not None]
        found = await self._items.carry([look for look in looks if look is not None], containers)
        for at, one in zip(at_of, found, strict=True):
            if isinstance(one, NOT_READ):
                not_read(outs[at], one)
                carried[at] = None
            else:
                carried[at] = one
        return carried
