"""What waits for one partition, and what is on its way there: one batch at a time.

A batch keeps its producer's numbers and its bytes over all tries, so that the broker keeps it once.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.backends.kafka_cluster import RETRY_S
from ledger.backends.kafka_records import SEQUENCES, BatchBuilder

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from ledger.errors import LedgerError

JOINED_BYTES_MAX: Final = 256 << 10
"""Up to how many bytes appends become one batch: what waits together goes together, and a single
record never waits for a megabyte of others.
"""

REST_S_MAX: Final = 1.0
"""Longest wait before a batch is tried again."""


class Identity(NamedTuple):
    """Who a batch is from, for the broker."""

    producer_id: int
    epoch: int


class Batch:
    """Appends that go together, and who waits for them."""

    __slots__ = ("_builder", "_waiting", "asked", "bytes", "deadline", "perhaps", "tries")

    def __init__(self, deadline: float) -> None:
        """`deadline` is in seconds of the monotonic clock."""
        self.deadline = deadline
        self.tries = 0
        self.asked = False
        """Whether a request with it is on its way."""
        self.perhaps = False
        """Whether an earlier request may have written it."""
        self.bytes = 0
        """Of its keys and values."""
        self._builder = BatchBuilder()
        self._waiting: list[tuple[asyncio.Future[int], int]] = []

    @property
    def count(self) -> int:
        """How many records it has."""
        return self._builder.count

    def takes(self, count: int, size: int) -> bool:
        """Tell whether another append may join."""
        return self.bytes + size <= JOINED_BYTES_MAX and self._builder.has_room(count, size)

    def add(
        self,
        keys: Sequence[bytes],
        values: Sequence[bytes],
        size: int,
        done: asyncio.Future[int],
    ) -> None:
        """Take one append; `done` gets its first index."""
        self._waiting.append((done, self._builder.add(keys, values, size)))
        self.bytes += size

    def succeed(self, offset: int) -> None:
        """Tell everybody where their records are."""
        for done, first in self._waiting:
            if not done.done():
                done.set_result(offset + first)

    def fail(self, error: LedgerError) -> None:
        """Tell everybody what went wrong."""
        for done, _ in self._waiting:
            if not done.done():
                done.set_exception(error)

    def pack(self, identity: Identity, sequence: int) -> bytearray:
        """Give the bytes to send; nothing may join any more."""
        return self._builder.build(identity.producer_id, identity.epoch, sequence)


class Lane:
    """One partition's batches."""

    __slots__ = (
        *("_next", "away", "end", "flying", "identity", "packed", "partition", "queue"),
        "rests_until",
    )

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.queue: deque[Batch] = deque()
        """What was never sent."""
        self.flying: Batch | None = None
        """What was sent and is not known to be kept."""
        self.packed = bytearray()
        """Its bytes, the same for every try."""
        self.identity: Identity | None = None
        self.end = 0
        """Behind the last record that was acknowledged here."""
        self.away = False
        """Whether the last batch did not go through: then one tries, and others are turned away."""
        self.rests_until = 0.0
        self._next = 0

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is on its way."""
        return self.flying is None and not self.queue

    def join(self, count: int, size: int, now: float, within_s: float) -> Batch:
        """Give the batch that an append may join, or a new one."""
        if not self.queue or not self.queue[-1].takes(count, size):
            self.queue.append(Batch(now + within_s))
        return self.queue[-1]

    def take_off(self, identity: Identity) -> Batch:
        """Give the batch to send now: the one that has to be sent again, or the first that waits.

        `identity` is used where this lane has none.
        """
        if self.flying is None:
            self.flying = self.queue.popleft()
            if self.identity is None:
                self.identity, self._next = identity, 0
            self.packed = self.flying.pack(self.identity, self._next)
            self._next = (self._next + self.flying.count) % SEQUENCES
        self.flying.tries += 1
        self.flying.asked = True
        return self.flying

    def land(self) -> None:
        """The batch on its way is kept."""
        self.flying = None
        self.away = False

    def crash(self) -> None:
        """The batch on its way is given up; its numbers are spent, so others have to be used."""
        self.flying = None
        self.identity = None
        self.away = True

    def rest(self, now: float) -> None:
        """Wait before the next try, longer each time."""
        tries = self.flying.tries if self.flying else 1
        self.rests_until = now + min(RETRY_S * 2 ** min(tries - 1, 8), REST_S_MAX)
