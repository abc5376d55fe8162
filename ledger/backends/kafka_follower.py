"""One reader's place in the log: a member of a group, what it fetches, and whose it is.

Partitions come and go in the group's own time, in another task. So whoever takes them or gives them
up has the turn, and what was fetched before is forgotten when they go.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from ledger.backends.kafka_fetching import Fetching
from ledger.backends.kafka_membership import Membership
from ledger.errors import Busy, Diverged

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ledger.backends.kafka_cluster import KafkaCluster
    from ledger.scan_log import Assignment, LogIdentity, Run

COMMIT_EVERY_S: Final = 5.0
"""How often the group is told how far we are. It is not the truth: lag tools look at it, and ingest
slows senders by it.
"""

COMMIT_AGAIN_S: Final = 60.0
"""How often it is told the same again: a word may have been lost, and brokers forget a group that
says nothing for days.
"""

COMMIT_S: Final = 2.0
"""How long the last such word may take on leaving."""

LOOK_AGAIN_S: Final = 0.5
"""Longest wait for a change before everything is looked at again."""


class OpenLog(Protocol):
    """What a follower needs of its log."""

    @property
    def identity(self) -> LogIdentity:
        """Which log this is."""

    def check_open(self) -> None:
        """Raise Closed after the end."""

    async def check_within(self, partition: int, index: int) -> None:
        """Raise Diverged unless a record is at that index, or will be next."""

    async def check_same(self, partition: int, index: int, value: bytes) -> None:
        """Raise Diverged where the record at an index is another one."""

    async def read(self, partition: int, index: int, max_records: int) -> Sequence[bytes]:
        """Read values from an index on."""


class KafkaFollower:
    """A `Follower`. It joins the group on the first `next`."""

    def __init__(
        self,
        log: OpenLog,
        cluster: KafkaCluster,
        reader: str,
        assignment: Assignment,
        *,
        monotonic: Callable[[], float],
    ) -> None:
        self._log = log
        identity = log.identity
        self._partitions = identity.partitions
        self._topic = cluster.topic(identity.name, identity.generation)
        self._assignment = assignment
        self._monotonic = monotonic
        self._changed = asyncio.Event()
        self._fetching = Fetching(
            cluster,
            self._topic,
            on_change=self.wake,
            monotonic=monotonic,
        )
        self._membership = Membership(
            cluster,
            self._topic,
            cluster.group(reader, identity.name),
            on_lost=self._lose,
            on_change=self.wake,
            monotonic=monotonic,
        )
        self._turn = asyncio.Lock()
        self._taken: Sequence[int] | None = None
        """What `taken` returned for; None where partitions came since, or none are ours."""
        self._failure: Exception | None = None
        """What went wrong while partitions were given up."""
        self._committing: asyncio.Task[None] | None = None
        self._committed: Mapping[int, int] = {}
        self._committed_at = monotonic()

    async def next(self, max_records: int) -> Sequence[Run]:
        """Wait for partitions, then for records."""
        # A reader that is far behind never waits below; the others get their turn here.
        await asyncio.sleep(0)
        while True:
            self._changed.clear()
            self._log.check_open()
            # Also while nothing comes: the last records before a pause count too.
            self._commit_now_and_then()
            if self._failure:
                raise self._failure
            await self._membership.join()
            if self._taken is None and self._membership.assigned is not None:
                await self._take(self._membership.assigned)
            await self._make_sure()
            if runs := self._fetching.collect(max_records):
                return runs
            await self._settle_doubts()
            await self._fetching.ask()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN_S):
                    await self._changed.wait()

    async def leave(self) -> None:
        """Give the partitions up, and let others have them."""
        places = dict(self._fetching.places)
        try:
            await self._lose()
            if self._committing is not None:
                self._committing.cancel()
                await asyncio.wait([self._committing])
            with suppress(TimeoutError):
                async with asyncio.timeout(COMMIT_S):
                    await self._membership.commit(places)
        finally:
            await self._membership.stop()
            await self._fetching.close()
        if self._failure:
            raise self._failure

    def wake(self) -> None:
        """Look again."""
        self._changed.set()

    async def _take(self, partitions: Sequence[int]) -> None:
        if partitions and max(partitions) >= self._partitions:
            raise Diverged(
                f"The topic `{self._topic}` has partitions beyond the {self._partitions} of the "
                f"log: {partitions}. Records would be filed under other partitions. Nothing more "
                f"is read.",
                reason="LOG_HAS_OTHER_PARTITIONS",
            )
        async with self._turn:
            if self._membership.assigned is not partitions:
                return
            places = await self._assignment.taken(partitions) if partitions else {}
            last = await self._before(places)
            self._taken = partitions
            # They may have gone in the meantime: then they are given up in a moment.
            if self._membership.assigned is partitions:
                self._fetching.begin({one: places[one] for one in partitions}, last)

    async def _lose(self) -> None:
        self._fetching.begin({})
        async with self._turn:
            taken, self._taken = self._taken, None
            if taken:
                try:
                    await self._assignment.given_up(taken)
                except Exception as error:
                    # The group's task must not end of it; it comes out of `next`, or on leaving.
                    self._failure = error

    async def _before(self, places: Mapping[int, int]) -> Mapping[int, bytes]:
        """Read what stands before these places, so that it is known again."""

        async def read(partition: int) -> Sequence[bytes]:
            try:
                return await self._log.read(partition, places[partition] - 1, 1)
            except (Busy, Diverged):
                return ()  # A log that cannot be reached, or is trimmed or cut, says so later.

        behind = [partition for partition, place in places.items() if place]
        found = zip(behind, await asyncio.gather(*map(read, behind)), strict=True)
        return {partition: values[0] for partition, values in found if values}

    async def _make_sure(self) -> None:
        """Look whether a log that was away, or has another leader, is still the one that was read:
        it may have been cut and have grown again.
        """
        for partition, index, value in self._fetching.to_check():
            self._fetching.unsure.discard(partition)  # What comes while we look is a new doubt.
            try:
                await self._log.check_same(partition, index, value)
            except BaseException:
                self._fetching.ask_again(partition)
                raise

    async def _settle_doubts(self) -> None:
        for partition in list(self._fetching.doubtful):
            if partition in self._fetching.places:
                await self._log.check_within(partition, self._fetching.places[partition])
            self._fetching.doubtful.discard(partition)

    def _commit_now_and_then(self) -> None:
        now, places = self._monotonic(), self._fetching.places
        due_s = COMMIT_AGAIN_S if places == self._committed else COMMIT_EVERY_S
        if now - self._committed_at < due_s:
            return
        if self._committing is None or self._committing.done():
            self._committed, self._committed_at = dict(places), now
            self._committing = asyncio.create_task(self._membership.commit(self._committed))
