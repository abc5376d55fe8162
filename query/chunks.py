"""The numbers of one look-up, read a chunk at a time: what look-ups of trails and of items share.

What is wrong with one number is said in its own answer: an invalid one, or one that cannot be read
now, never stops the others. And a store that is away is waited for once, not with every chunk.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

from ledger.errors import Refused
from ledger.v1.trail_service_pb2 import LookupStatus
from query import requests
from query.apart import NOT_READ, tried

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from ledger.trail_store import Slice
    from ledger.v1.item_service_pb2 import ItemAnswer
    from ledger.v1.raw_pb2 import RawBatchGetTrailsResponse
    from query.apart import NotRead
    from query.reading import TrailReader

    Begun = Mapping[bytes, Slice]
    """The first rows of some keys."""

Answer = TypeVar("Answer", bound="RawBatchGetTrailsResponse | ItemAnswer")
Found = TypeVar("Found")

logger = logging.getLogger(__name__)

CHUNK_NUMBERS: Final = 32
"""Numbers that are read together: at most 8 MiB of rows, and one read of the store in 32."""

READ_TIMEOUT_S: Final = 5.0
"""Longest wait for one read: an item that takes longer is answered with FAILED_RETRY."""

FAILED_RETRY_WORDS: Final = "This item could not be read now. Ask for it again in some seconds."
"""What FAILED_RETRY says."""

_FAILED_RETRY: Final = LookupStatus.LOOKUP_STATUS_FAILED_RETRY


class Wanted(NamedTuple, Generic[Answer]):
    """One number."""

    out: Answer
    """Its answer, with the number."""
    keys: Sequence[bytes]
    """Empty where the number is invalid, and all is said."""


class Chunks(Generic[Answer, Found]):
    """Reads the numbers of one look-up."""

    def __init__(
        self,
        reader: TrailReader,
        read: Callable[[Wanted[Answer], Begun | None], Awaitable[Found]],
    ) -> None:
        """`read` reads one of them, and is given the first rows where they were read already."""
        self._reader = reader
        self._read = read
        self._store_is_away = False

    async def read(self, outs: Sequence[Answer]) -> AsyncIterator[tuple[Answer, Found | None]]:
        """Read the next chunk: give each answer, in order, with what was found; None where it is
        invalid, or could not be read, and that is said.
        """
        wanted = [_wanted(out) for out in outs]
        begun = await self._together(wanted)
        if begun is not None:
            for one in wanted:
                yield one.out, await self._one(one, begun)
            return
        # The fault may be that of one. Each waits for the store, so all wait together.
        found = await asyncio.gather(*(self._one(one, None) for one in wanted))
        self._store_is_away = all(one.out.status == _FAILED_RETRY for one in wanted if one.keys)
        for out, each in zip(outs, found, strict=True):
            yield out, each

    async def _together(self, wanted: Sequence[Wanted[Answer]]) -> Begun | None:
        """Read the first rows of a chunk; None where that fails."""
        if self._store_is_away:
            return None
        keys = list(dict.fromkeys(key for one in wanted for key in one.keys))
        begun = await tried(self._reader.first_of_many(keys), READ_TIMEOUT_S)
        if isinstance(begun, NOT_READ):
            logger.warning("a chunk is read item by item", extra={"error": str(begun)})
            return None
        return begun

    async def _one(self, one: Wanted[Answer], begun: Begun | None) -> Found | None:
        if not one.keys:
            return None
        if self._store_is_away:  # It is told so at once: each chunk would wait as long again.
            _fail(one.out)
            return None
        found = await tried(self._read(one, begun), READ_TIMEOUT_S)
        if isinstance(found, NOT_READ):
            not_read(one.out, found)
            return None
        return found


def not_read(out: RawBatchGetTrailsResponse | ItemAnswer, error: NotRead) -> None:
    """Say that something could not be read."""
    logger.warning("an item was not read", extra={"error": str(error)})
    _fail(out)


def _wanted(out: Answer) -> Wanted[Answer]:
    try:
        return Wanted(out, requests.keys_of(out.tracking_number))
    except Refused as refusal:
        out.status = LookupStatus.LOOKUP_STATUS_INVALID_NUMBER
        out.message = refusal.message
        return Wanted(out, ())


def _fail(out: RawBatchGetTrailsResponse | ItemAnswer) -> None:
    del out.tracking_keys[:]
    out.status = _FAILED_RETRY
    out.message = FAILED_RETRY_WORDS
