"""A store that has trouble with some keys: they fail, or hang, and so does all that is read with
them. And a door to it.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc

from ledger.numbers import filing_key
from ledger.v1.item_service_pb2_grpc import ItemServiceStub
from ledger.v1.trail_service_pb2_grpc import TrailServiceStub
from tests.asking import served
from tests.trails import PARTITIONS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

    from ledger.trail_store import Slice, TrailStore
    from tests.asking import Asked


class Troubled:
    """All that is not said here is the store's own."""

    def __init__(
        self, store: TrailStore, troubles: Mapping[Any, Exception | None], *, first_rows: bool
    ) -> None:
        """Of numbers, or of keys. `first_rows`: those of many can be read, and trouble comes behind
        them.
        """
        self._store = store
        self._first_rows = first_rows
        self._troubles = {
            filing_key(one) if isinstance(one, str) else one: error
            for one, error in troubles.items()
        }
        self.reads = 0
        """How often rows were asked for."""

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def read(self, tracking_key: bytes, **limits: object) -> Slice:
        """Fail, or hang, where the key has trouble."""
        await self._read([tracking_key])
        return await self._store.read(tracking_key, **limits)  # type: ignore[arg-type]

    async def read_many(self, tracking_keys: Sequence[bytes], **limits: int) -> Sequence[Slice]:
        """Fail, or hang, where one of the keys has trouble."""
        await self._read(() if self._first_rows else tracking_keys)
        return await self._store.read_many(tracking_keys, **limits)

    async def _read(self, keys: Iterable[bytes]) -> None:
        self.reads += 1
        for key in keys:
            if key in self._troubles:
                error = self._troubles[key]
                if error is None:
                    await asyncio.Event().wait()
                else:
                    raise error


@asynccontextmanager
async def troubled(
    door: Asked, troubles: Mapping[Any, Exception | None], *, first_rows: bool = False
) -> AsyncIterator[tuple[Asked, Troubled]]:
    """Open another door to the same ledger, whose store has trouble; None: it hangs."""
    store = Troubled(door.shelf.store, troubles, first_rows=first_rows)
    async with (
        served(store, {1: PARTITIONS}) as port,  # type: ignore[arg-type] # It is one.
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        trails, items = TrailServiceStub(channel), ItemServiceStub(channel)
        yield door._replace(trails=trails, items=items), store
