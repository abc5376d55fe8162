"""Fetches of many partitions: from each leader all that it leads, one request at a time.

A leader is asked only when nothing of it is left, and answers when it has something, so what is
returned is fresh, and memory holds one answer of each leader at most.
"""

from __future__ import annotations

import asyncio
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from aiokafka.errors import for_code

from ledger.backends.kafka_cluster import RETRY_S
from ledger.backends.kafka_link import KafkaLink, unreachable
from ledger.backends.kafka_records import BATCH_BYTES_MAX, read_batches
from ledger.backends.kafka_wire import Fetched, fetch
from ledger.errors import LedgerError
from ledger.scan_log import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from aiokafka.client import AIOKafkaClient

    from ledger.backends.kafka_cluster import KafkaCluster

FETCH_BYTES_MAX: Final = 4 << 20
"""Most bytes of the answers of all leaders, but for their last batches: some 15,000 records."""

PARTITION_BYTES_MAX: Final = BATCH_BYTES_MAX
"""Most bytes of one partition in an answer, so that others have room in it: the largest batch."""

POLL_MS: Final = 500
"""How long a leader that has nothing keeps a request: so rarely is asked in vain."""

UNREACHABLE_S: Final = 10.0
"""After so long without an answer about a partition it is said that it cannot be reached. A cluster
needs that long to replace a leader.
"""

REST_S: Final = 1.0
"""How often a leader is tried while nobody answers."""

RENEW_S: Final = 30.0
"""After so long without any answer the bootstrap addresses are asked again."""

UNWATCHED_S: Final = 2.0
"""After so long between an answer and the next request a partition is looked at again: nobody would
have seen a broker go, and come back with another disk, or a topic made anew. What an answer has is
kept in less, unless the store is slow; a look costs three requests.
"""

PROBE_S: Final = 5.0
"""How often a follower without partitions asks whether anybody is there."""

NOTHING: Final[Mapping[int, bytes]] = MappingProxyType({})
"""Of no partition is anything known."""

NONE: Final = -1
"""Stands for the cluster among partitions that are silent."""

EPOCH_AT: Final = slice(12, 16)
"""Where a batch says under which leader it was written: each election counts one up."""

OUT_OF_RANGE: Final = 1
"""The answer for an index that is not in the log."""


class _Answer:
    """What came of one partition and was not returned yet."""

    __slots__ = ("at", "batches", "error", "values")

    def __init__(self, batches: Iterator[list[bytes]]) -> None:
        self.batches = batches
        self.values: list[bytes] = []
        self.at = 0
        self.error: LedgerError | None = None

    def take(self, count: int) -> tuple[list[bytes], bool]:
        """Give up to that many values, and whether there may be more. Raises Diverged at a record
        that is not as it was appended, once all before it were given.
        """
        taken: list[bytes] = []
        while len(taken) < count:
            if self.error:
                raise self.error
            if self.at == len(self.values):
                try:
                    batch = next(self.batches, None)
                except LedgerError as error:
                    self.error = error
                    if not taken:
                        raise
                    return taken, True
                if batch is None:
                    return taken, False
                self.values, self.at = batch, 0
            some = self.values[self.at : self.at + count - len(taken)]
            self.at += len(some)
            taken += some
        return taken, True


class Fetching:
    """Fetches what follows on a place in each partition."""

    def __init__(
        self,
        cluster: KafkaCluster,
        topic: str,
        *,
        on_change: Callable[[], None],
        monotonic: Callable[[], float],
    ) -> None:
        """`on_change` is called when it is worth to look again."""
        self._topic = topic
        self._link = KafkaLink(cluster, topic)
        self._on_change = on_change
        self._monotonic = monotonic
        self._answers: dict[int, _Answer] = {}
        self._asked: dict[int, asyncio.Task[None]] = {}
        """By leader, the request that is on its way."""
        self._silent: dict[int, float] = {}
        """Since when a partition does not answer."""
        self._why = ""
        self._heard = monotonic()
        self.places: dict[int, int] = {}
        """The next index of each partition; the one that had no turn for longest comes first."""
        self.doubtful: set[int] = set()
        """Partitions whose leader says that their place is not in the log."""
        self.unsure: set[int] = set()
        """Partitions that did not answer, were not asked for a while, had no such place, or have
        another leader: their log may be another one since, cut and grown again. Nothing of them is
        given until somebody has looked.
        """
        self.last: dict[int, bytes] = {}
        """The value before the place of each partition, as far as it is known."""
        self._leaders: dict[int, tuple[int, bytes]] = {}
        """Who gave it, and the epoch that its batch was written in."""
        self._answered: dict[int, float] = {}
        """When each partition answered last, or was begun."""

    def begin(self, places: Mapping[int, int], last: Mapping[int, bytes] = NOTHING) -> None:
        """Go on from these places, behind these values, and forget all others."""
        self.places = dict(places)
        self.last = dict(last)
        self.doubtful.clear()
        self.unsure.clear()
        self._leaders.clear()
        self._answered = dict.fromkeys(places, self._monotonic())
        self._answers.clear()
        self._silent.clear()

    def to_check(self) -> Sequence[tuple[int, int, bytes]]:
        """Give what is to be looked at before more is collected: partition, index and value. Only
        of those that have answered again: a partition that is silent must not hold up the others.
        """
        found = []
        for partition in self.unsure & self._answers.keys():
            if partition in self.last:
                found.append((partition, self.places[partition] - 1, self.last[partition]))
            else:
                self.unsure.discard(partition)
        return found

    def ask_again(self, partition: int) -> None:
        """Forget what came of a partition that could not be looked at: it is unsure still, and must
        not hold up the others while its leader is away.
        """
        self._answers.pop(partition, None)
        self.unsure.add(partition)

    def collect(self, max_records: int) -> Sequence[Run]:
        """Give what came. Raises Diverged where a record is not as it was appended."""
        runs: list[Run] = []
        for partition, place in list(self.places.items()) if self._answers else ():
            answer = self._answers.get(partition)
            if answer is None or partition in self.unsure:
                continue
            try:
                values, more = answer.take(max_records)
            except LedgerError:
                if not runs:
                    raise
                return runs  # It has the first turn next time.
            if not more:
                del self._answers[partition]
            if values:
                runs.append(Run(partition, place, values))
                # Put it behind the others.
                del self.places[partition]
                self.places[partition] = place + len(values)
                self.last[partition] = values[-1]
                max_records -= len(values)
                if max_records <= 0:
                    break
        return runs

    async def ask(self) -> None:
        """Ask every leader of which nothing is left. Raises Busy where one is silent for long."""
        client = await self._link.connect()
        by_leader: dict[int, list[int]] = {}
        for partition in self.places:
            node = self._link.leader(partition)
            if node is None:
                self._note_silence([partition], f"partition {partition} has no leader")
            else:
                by_leader.setdefault(node, []).append(partition)
        size = max(FETCH_BYTES_MAX // max(1, len(by_leader)), PARTITION_BYTES_MAX)
        for node, partitions in by_leader.items():
            if node not in self._asked and not any(one in self._answers for one in partitions):
                wanted = [(one, self.places[one], PARTITION_BYTES_MAX) for one in partitions]
                self._asked[node] = asyncio.create_task(self._ask(client, node, wanted, size))
        if not self.places and self._monotonic() - self._heard > PROBE_S:
            if await self._link.answers():
                self._note_answer([NONE])
            else:
                self._note_silence([NONE], "no broker answers")
        self._raise_silence()

    async def close(self) -> None:
        """Forget what is on its way, and close the connections."""
        tasks = list(self._asked.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._link.close()

    async def _ask(
        self,
        client: AIOKafkaClient,
        node: int,
        wanted: Sequence[tuple[int, int, int]],
        max_bytes: int,
    ) -> None:
        """Ask one leader, and keep what it says about partitions whose place is still the same."""
        watched_s = self._monotonic() - UNWATCHED_S
        self.unsure.update(one for one, _, _ in wanted if self._answered.get(one, 0.0) < watched_s)
        try:
            answers = await fetch(
                client, node, self._topic, wanted, max_wait_ms=POLL_MS, max_bytes=max_bytes
            )
        except Exception as error:
            self._note_silence([partition for partition, _, _ in wanted], str(error) or repr(error))
            await self._rest()
        else:
            places = {partition: place for partition, place, _ in wanted}
            kept = [self._keep(answer, places[answer.partition], node) for answer in answers]
            if not all(kept):
                await self._rest()
        finally:
            del self._asked[node]
            self._on_change()

    async def _rest(self) -> None:
        """Wait before a leader is asked again that did not answer: longer where all are silent."""
        alone = self._monotonic() - self._heard > REST_S
        await asyncio.sleep(REST_S if alone else RETRY_S)

    def _keep(self, answer: Fetched, place: int, node: int) -> bool:
        """Keep an answer; tell whether it was one."""
        partition, code, _, data = answer
        if self.places.get(partition) != place:
            return True  # Given up, or taken anew, since it was asked.
        if code == OUT_OF_RANGE:
            self.doubtful.add(partition)
            self.unsure.add(partition)  # By the time that we look it may have grown again.
        elif code:
            self._note_silence([partition], for_code(code).__name__)
            return False
        elif data:
            leader = node, data[EPOCH_AT]
            if self._leaders.setdefault(partition, leader) != leader:
                self._leaders[partition] = leader
                self.unsure.add(partition)
            batches = read_batches(data, partition, place)
            self._answers[partition] = _Answer(batches)
        self._note_answer([partition])
        return True

    def _note_answer(self, partitions: Sequence[int]) -> None:
        self._heard = self._monotonic()
        for partition in partitions:
            self._silent.pop(partition, None)
            self._answered[partition] = self._heard

    def _note_silence(self, partitions: Sequence[int], why: str) -> None:
        now = self._monotonic()
        for partition in partitions:
            self._silent.setdefault(partition, now)
        self.unsure.update(self.places.keys() & set(partitions))
        self._why = why
        if now - self._heard > RENEW_S:
            self._heard = now
            self._link.renew()
        self._link.look_again()

    def _raise_silence(self) -> None:
        now = self._monotonic()
        silent = sorted(one for one, since in self._silent.items() if now - since > UNREACHABLE_S)
        if silent:
            # It is said once in a while; in between the other partitions are read.
            self._silent.clear()
            where = f"partitions {silent}: " if silent != [NONE] else ""
            raise unreachable(f"{where}{self._why}")
