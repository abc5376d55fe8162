"""How far trails follow the log: what is acknowledged is readable a moment later, not before."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

import grpc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ledger.v1.position_pb2 import Position
    from loadtest.load.connections import Query
    from loadtest.load.remembered import Place

AGAIN_S: Final = 0.3
"""Between two attempts to watch."""


class Readable:
    """Follows the ledger's progress in a thread of its own, over restarts of the server."""

    def __init__(self, query: Callable[[], Query], on_moved: Callable[[], None]) -> None:
        """`on_moved` is called after each change."""
        self._query = query
        self._on_moved = on_moved
        self._indexes: dict[Place, int] = {}
        self._call: Any = None
        self._is_closed = False
        threading.Thread(target=self._follow, daemon=True).start()

    def covers(self, positions: Iterable[Position]) -> bool:
        """Tell whether all these records are readable."""
        return all(
            self._indexes.get((at.generation, at.partition), 0) > at.index for at in positions
        )

    def behind(self, ends: Mapping[Place, int]) -> dict[Place, tuple[int, int]]:
        """Give where it is and where it should be, for each partition that is not there yet."""
        return {
            place: (self._indexes.get(place, 0), end)
            for place, end in ends.items()
            if self._indexes.get(place, 0) < end
        }

    def close(self) -> None:
        """Follow no more."""
        self._is_closed = True
        if self._call is not None:
            self._call.cancel()

    def _follow(self) -> None:
        while not self._is_closed:
            try:
                self._call = self._query().progress()
                for message in self._call:
                    for one in message.partitions:
                        self._indexes[one.generation, one.partition] = one.readable_index
                    self._on_moved()
            except (grpc.RpcError, ValueError):  # ValueError: the connection was closed.
                pass
            if not self._is_closed:
                time.sleep(AGAIN_S)
