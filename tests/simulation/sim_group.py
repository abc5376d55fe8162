"""Readers of one name share the partitions of the made-up log, as members of a consumer group do.

Any change takes all partitions from all members. Who does not give up in time, because it is paused
or slow, loses them all the same, and learns it late: a zombie.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from ledger.errors import Diverged, LedgerError
from ledger.scan_log import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from random import Random

    from ledger.scan_log import Assignment
    from tests.simulation.faults import Timers
    from tests.simulation.sim_log import LogCluster, SimLog

REBALANCE_S: Final = 3.0
"""How long the others wait for a member that has to finish first."""

WORD_S: Final = 0.01
"""How long a word between the group and a member takes at most."""

RUNS_BYTES_MAX: Final = 4 << 20
"""Where one fetch ends, as in the engines."""


class Group:
    """The members of one name."""

    def __init__(self, timers: Timers, random: Random, partitions: int) -> None:
        self._timers = timers
        self._random = random
        self._partitions = range(partitions)
        self._members: dict[SimFollower, None] = {}
        self._unanswered: dict[SimFollower, None] = {}
        self._epoch = 0

    def tell(self, call: Callable[..., object], *args: object) -> None:
        """A member says something."""
        self._timers.later(self._timers.outside, WORD_S * self._random.random(), call, *args)

    def join(self, member: SimFollower) -> None:
        if not member.has_left:  # That word may have been the faster one.
            self._members[member] = None
            self.rebalance()

    def leave(self, member: SimFollower) -> None:
        if self._members.pop(member, self) is None:
            self.rebalance()

    def expire(self, process: object) -> bool:
        """Take members of a process for dead: it gave no sign of life. It is told, and may hear it
        when it wakes.
        """
        gone = [member for member in self._members if member.process is process]
        for member in gone:
            del self._members[member]
            self._timers.later(process, 0, member.revoke, self._epoch + 1)
        if gone:
            self.rebalance()
        return bool(gone)

    def rebalance(self) -> None:
        """Take all partitions from all members, and share them out anew."""
        self._epoch += 1
        self._unanswered = dict(self._members)
        for member in self._members:
            self._word(member, member.revoke, self._epoch)
        self._timers.later(self._timers.outside, REBALANCE_S, self._give_out, self._epoch)

    def given_up(self, member: SimFollower, epoch: int) -> None:
        if member not in self._members:
            self._word(member, member.expelled)
        elif epoch == self._epoch:
            self._unanswered.pop(member, None)
            if not self._unanswered:
                self._give_out(epoch)

    def _give_out(self, epoch: int) -> None:
        if epoch != self._epoch:
            return
        self._epoch += 1
        for member in self._unanswered:  # The others go on without them.
            del self._members[member]
        self._unanswered = {}
        members = list(self._members)
        shares: list[list[int]] = [[] for _ in members]
        if members:
            self._random.shuffle(shares)
            for number in self._partitions:
                self._random.choice(shares).append(number)
        for member, share in zip(members, shares, strict=True):
            self._word(member, member.assign, self._epoch, tuple(share))

    def _word(self, member: SimFollower, call: Callable[..., object], *args: object) -> None:
        self._timers.later(member.process, WORD_S * self._random.random(), call, *args)


class SimFollower:
    """A `Follower`. It joins its group on the first `next`."""

    def __init__(
        self, log: SimLog, cluster: LogCluster, group: Group, assignment: Assignment
    ) -> None:
        self.log = log
        self.process = cluster.timers.here()
        self._cluster = cluster
        self._group = group
        self._assignment = assignment
        self.has_left = False
        self._joined = False
        self._epoch = 0
        self._assigned: Sequence[int] | None = None
        self._taken: Sequence[int] | None = None
        self._places: dict[int, int] = {}
        self._changed = asyncio.Event()
        self._turn = asyncio.Lock()
        self._fetching: asyncio.Future[object] | None = None
        self._may_be_more = True
        self._failure: Exception | None = None
        self._losing: dict[asyncio.Task[None], None] = {}

    async def next(self, max_records: int) -> Sequence[Run]:
        await asyncio.sleep(0)
        while True:
            self._changed.clear()
            self.log.check_open()
            if self._failure:
                raise self._failure
            if not self._joined:
                self._joined = True
                self._group.tell(self._group.join, self)
            if self._taken is None and self._assigned is not None:
                await self._take(self._assigned)
            if self._fetching is None and self._may_be_more and self._places:
                self._fetch(max_records)
            elif self._fetching is not None and self._fetching.done():
                fetched, self._fetching = self._fetching, None
                if runs := self._arrived(fetched):
                    return runs
                continue
            await self._changed.wait()

    async def leave(self) -> None:
        """Give the partitions up, and let others have them."""
        try:
            if self._losing:
                await asyncio.wait(self._losing)
            await self._lose()
        finally:
            self.has_left = True
            self._group.tell(self._group.leave, self)
        if self._failure:
            raise self._failure

    # --- what the group says ----------------------------------------------------------------------

    def revoke(self, epoch: int) -> None:
        """Others are to get the partitions, unless a later word was faster."""
        if epoch < self._epoch:
            return
        self._epoch = epoch
        self._assigned = None
        task = asyncio.get_running_loop().create_task(self._give_up(epoch))
        self._losing[task] = None
        task.add_done_callback(self._losing.pop)

    def assign(self, epoch: int, partitions: Sequence[int]) -> None:
        """These are ours, unless a later word was faster."""
        if epoch < self._epoch:
            return
        self._epoch = epoch
        self._assigned = partitions
        self._changed.set()

    def expelled(self) -> None:
        """The others went on without us: join again."""
        self._assigned, self._joined = None, False
        self._changed.set()

    def wake(self) -> None:
        """Look again."""
        self._cluster.timers.later(self.process, 0, self._news)

    def wake_for(self, partition: int) -> None:
        """There is something new in a partition."""
        if partition in self._places:
            self._cluster.timers.later(self.process, 0, self._news)

    def _news(self) -> None:
        self._may_be_more = True
        self._changed.set()

    async def _give_up(self, epoch: int) -> None:
        await self._lose()
        self._changed.set()
        self._group.tell(self._group.given_up, self, epoch)

    async def _lose(self) -> None:
        self._places = {}
        async with self._turn:
            taken, self._taken = self._taken, None
            if taken:
                try:
                    await self._assignment.given_up(taken)
                except Exception as error:  # It comes out of `next`.
                    self._failure = error

    async def _take(self, partitions: Sequence[int]) -> None:
        async with self._turn:
            if self._assigned is not partitions:
                return
            places = await self._assignment.taken(partitions) if partitions else {}
            self._taken = partitions
            if self._assigned is partitions:
                self._places = {number: places[number] for number in partitions}
                self._may_be_more = True

    # --- fetching ---------------------------------------------------------------------------------

    def _fetch(self, max_records: int) -> None:
        places = dict(self._places)
        self._may_be_more = False
        answer = self._fetching = asyncio.get_running_loop().create_future()
        answer.add_done_callback(lambda _: self._changed.set())
        self._cluster.requests.send("log.fetch", lambda: self._collect(places, max_records), answer)

    def _collect(self, places: Mapping[int, int], max_records: int) -> object:
        """Read in the log what is durable of partitions, from these places on."""
        runs, size = [], RUNS_BYTES_MAX
        for number, place in places.items():
            end = self._cluster.partitions[number].durable
            if place > end:
                return Diverged(
                    f"Partition {number} ends at index {end}; it cannot be read from {place} on.",
                    reason="LOG_SHORTER_THAN_START",
                )
            if place < end and max_records > 0 and size > 0:
                values = self._cluster.read(number, place, max_records, size)
                runs.append(Run(number, place, values))
                max_records -= len(values)
                size -= sum(map(len, values))
        return runs

    def _arrived(self, fetched: asyncio.Future[object]) -> list[Run]:
        """Take what was fetched of partitions that are still ours."""
        try:
            runs = fetched.result()
        except LedgerError:
            self._may_be_more = True  # It is asked again.
            raise
        if isinstance(runs, Exception):
            raise runs
        assert isinstance(runs, list)
        # Where nothing came there is nothing, but for what was told meanwhile.
        self._may_be_more = self._may_be_more or bool(runs)
        ours = [run for run in runs if self._places.get(run.partition) == run.first_index]
        for run in ours:
            # Behind the others: no partition waits for ever behind a busier one.
            del self._places[run.partition]
            self._places[run.partition] = run.first_index + len(run.values)
        return ours
