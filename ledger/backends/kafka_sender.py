"""Carries appends to the brokers: all partitions of a node in one request, one request at a time.

It is an idempotent producer of its own, because aiokafka's costs 170 µs for each append, and says
neither whether a batch was ever sent nor gives one up. What one answer means is in `_settle`.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from aiokafka.errors import NodeNotReadyError

from ledger import metrics
from ledger.backends.kafka_answers import Verdict, away, in_words, judge, shorter, unsure
from ledger.backends.kafka_cluster import RETRY_S
from ledger.backends.kafka_lane import Batch, Identity, Lane
from ledger.backends.kafka_link import KafkaLink
from ledger.backends.kafka_wire import new_producer, produce
from ledger.errors import Busy, Closed, Diverged, LedgerError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from aiokafka.client import AIOKafkaClient

    from ledger.backends.kafka_cluster import KafkaCluster
    from ledger.backends.kafka_wire import Produced

logger = logging.getLogger(__name__)

APPEND_S: Final = 20.0
"""Longest that an append takes. A cluster needs some ten seconds to replace a broker that died, and
a single broker some fifteen to come back.
"""

PENDING_BYTES_MAX: Final = 16 << 20
"""Most bytes of appends without an outcome: all that a server has on its way at once."""

REQUEST_BYTES_MAX: Final = 4 << 20
"""With how many bytes a request is full: some tens of milliseconds of a broker's time."""

TICK_S: Final = 0.1
"""How often is looked for what has rested or waited long enough."""

RENEW_AFTER_S: Final = 30.0
"""After so long without any broker's answer the bootstrap addresses are asked again."""

CLOSE_S: Final = 5.0
"""How long closing waits for what is on its way."""

ENDED: Final = "the log was closed before it answered"

BUSY_RETRY_AFTER_S: Final = 0.1
"""What an append is told to wait that found no room."""


class KafkaSender:
    """Takes appends, and tells each where its records are, or what became of them."""

    def __init__(
        self,
        cluster: KafkaCluster,
        topic: str,
        partitions: int,
        *,
        log: str,
        monotonic: Callable[[], float],
    ) -> None:
        self._topic = topic
        self._link = KafkaLink(cluster, topic)
        self._monotonic = monotonic
        self._appended = metrics.LOG_APPENDED.labels(log)
        self._lanes = [Lane(partition) for partition in range(partitions)]
        self._waiting: dict[int, Lane] = {}
        """Lanes with something to send; those that had no turn for longest come first."""
        self._identity: Identity | None = None
        self._preparing: asyncio.Task[None] | None = None
        self._requests: dict[int, asyncio.Task[None]] = {}
        """By node, what is on its way."""
        self._pending_bytes = 0
        self._answered = 0.0
        """When a broker last answered."""
        self._why = "nothing was tried yet"
        self._idle = asyncio.Event()
        self._idle.set()
        self._pump: asyncio.Handle | None = None
        self._ticking: asyncio.TimerHandle | None = None
        self._failure: LedgerError | None = None

    async def append(
        self, partition: int, keys: Sequence[bytes], values: Sequence[bytes], size: int
    ) -> int:
        """Append records of `size` bytes together; return the index of the first."""
        if self._failure:
            raise self._failure
        lane = self._lanes[partition]
        if self._pending_bytes + size > PENDING_BYTES_MAX:
            raise Busy(
                f"{self._pending_bytes} bytes wait to be written already.",
                reason="LOG_BUSY",
                retry_after_s=BUSY_RETRY_AFTER_S,
            )
        if lane.away and not lane.is_idle:
            raise away(partition, self._why)
        if lane.flying is None:
            self._waiting.setdefault(partition, lane)
        size = max(size, 1)  # Also what is empty is pending.
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        lane.join(len(values), size, self._monotonic(), APPEND_S).add(keys, values, size, done)
        self._add_pending(size)
        self._pump_soon()
        return await done

    async def close(self) -> None:
        """Wait a little for what is on its way, give the rest up, and close the connections."""
        closed = Closed("The log has been closed.", reason="CLOSED")
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._idle.wait()
        self._fail(closed)
        if self._ticking is not None:
            self._ticking.cancel()
        tasks = [*self._requests.values(), *([self._preparing] if self._preparing else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._link.close()

    def _add_pending(self, size: int) -> None:
        if not self._pending_bytes:
            self._answered = self._monotonic()
            self._idle.clear()
            self._tick_later()
        self._pending_bytes += size

    def _take_pending(self, batch: Batch) -> None:
        self._pending_bytes -= batch.bytes
        if not self._pending_bytes:
            self._idle.set()

    def _pump_soon(self) -> None:
        # Not at once: appends of other partitions, made in the same turn of the loop, go along.
        if self._pump is None:
            self._pump = asyncio.get_running_loop().call_soon(self._send_what_waits)

    def _tick_later(self) -> None:
        if self._ticking is None:
            self._ticking = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def _tick(self) -> None:
        self._ticking = None
        if not self._pending_bytes:
            return
        now = self._monotonic()
        for lane in self._lanes:
            if lane.flying and lane.flying.deadline <= now:
                self._give_up(lane, self._why)
            while lane.queue and lane.queue[0].deadline <= now:
                lane.away = True
                self._reject(lane.queue.popleft(), away(lane.partition, self._why))
        if now - self._answered > RENEW_AFTER_S:
            self._answered = now
            self._link.renew()
        self._pump_soon()
        self._tick_later()

    def _send_what_waits(self) -> None:
        self._pump = None
        client, identity = self._link.client, self._identity
        if client is None or identity is None:
            if self._preparing is None and self._waiting and not self._failure:
                self._preparing = asyncio.create_task(self._prepare())
            return
        for node, lanes in self._ready().items():
            flights = {lane.partition: (lane, lane.take_off(identity)) for lane in lanes}
            self._requests[node] = asyncio.create_task(self._deliver(client, node, flights))

    def _ready(self) -> dict[int, list[Lane]]:
        """Take the lanes that may be sent now, by node."""
        now = self._monotonic()
        lanes: dict[int, list[Lane]] = {}
        sizes: dict[int, int] = {}
        for partition, lane in list(self._waiting.items()):
            if lane.is_idle:
                del self._waiting[partition]
                continue
            node = self._link.leader(partition)
            if lane.rests_until > now or node in self._requests:
                continue
            if node is None:
                self._why = f"partition {partition} has no leader"
                lane.rest(now)
                self._link.look_again()
                continue
            size = sizes.get(node, 0)
            if size < REQUEST_BYTES_MAX:
                del self._waiting[partition]
                sizes[node] = size + (lane.flying or lane.queue[0]).bytes
                lanes.setdefault(node, []).append(lane)
        return lanes

    async def _prepare(self) -> None:
        """Connect, and get an identity."""
        try:
            self._identity = Identity(*await new_producer(await self._link.connect()))
        except Exception as error:
            self._why = str(error) or repr(error)
            await asyncio.sleep(RETRY_S)
        finally:
            self._preparing = None
            self._pump_soon()

    async def _deliver(
        self, client: AIOKafkaClient, node: int, flights: Mapping[int, tuple[Lane, Batch]]
    ) -> None:
        """Make one request, and settle each of its batches."""
        batches = [(partition, lane.packed) for partition, (lane, _) in flights.items()]
        try:
            answers = await produce(client, node, self._topic, batches)
        except NodeNotReadyError as error:
            for lane, batch in flights.values():
                self._try_again(lane, batch, str(error))
        except Exception as error:
            # Whatever it was, the request may have arrived.
            for lane, batch in flights.values():
                batch.perhaps = True
                self._try_again(lane, batch, str(error))
        else:
            self._answered = self._monotonic()
            for answer in answers:
                self._settle(*flights[answer.partition], answer)
        finally:
            del self._requests[node]
            self._pump_soon()

    def _settle(self, lane: Lane, batch: Batch, answer: Produced) -> None:
        """Do what the broker's answer for a partition asks for."""
        verdict = judge(answer.code, answer.offset)
        if verdict in {Verdict.TRY_AGAIN_PERHAPS_KEPT, Verdict.PERHAPS_KEPT}:
            batch.perhaps = True
        if verdict in {Verdict.TRY_AGAIN, Verdict.TRY_AGAIN_PERHAPS_KEPT}:
            self._try_again(lane, batch, in_words(answer.code))
            return
        batch.asked = False
        if lane.flying is not batch:
            return  # Given up before the answer came: those who waited were told.
        if verdict is not Verdict.KEPT:
            self._give_up(lane, in_words(answer.code))
        elif answer.offset < lane.end:
            self._fail(shorter(lane.partition, answer.offset, lane.end))
        else:
            if lane.away:
                logger.info("a partition takes records again", extra={"partition": lane.partition})
            lane.end = answer.offset + batch.count
            lane.land()
            batch.succeed(answer.offset)
            self._take_pending(batch)
            self._appended.inc(batch.count)
            if lane.queue:
                self._waiting[lane.partition] = lane

    def _try_again(self, lane: Lane, batch: Batch, why: str) -> None:
        self._why = why
        batch.asked = False
        if lane.flying is batch:
            lane.rest(self._monotonic())
            self._waiting[lane.partition] = lane
            self._link.look_again()

    def _give_up(self, lane: Lane, why: str) -> None:
        """End a batch that was sent. Its numbers are spent: the lane gets a new identity, since
        the broker would refuse whatever came after a gap.
        """
        self._why = why
        batch = lane.flying
        assert batch is not None
        if lane.identity is self._identity:
            self._identity = None
            metrics.LOG_PRODUCERS_REPLACED.inc()
        if not lane.away:
            logger.warning(
                "a partition takes nothing", extra={"partition": lane.partition, "why": why}
            )
        lane.crash()
        if lane.queue:
            self._waiting[lane.partition] = lane
        unknown = batch.asked or batch.perhaps
        self._reject(batch, (unsure if unknown else away)(lane.partition, why))

    def _reject(self, batch: Batch, error: LedgerError) -> None:
        batch.fail(error)
        self._take_pending(batch)

    def _fail(self, failure: LedgerError) -> None:
        """End everything: nothing more is acknowledged."""
        self._failure = failure
        for lane in self._lanes:
            if batch := lane.flying:
                lane.crash()
                sent = failure if isinstance(failure, Diverged) else unsure(lane.partition, ENDED)
                self._reject(batch, sent)
            while lane.queue:
                self._reject(lane.queue.popleft(), failure)
        self._waiting.clear()
