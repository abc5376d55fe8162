"""Readers: they ask for pages, past answers and their own writes while everything fails.

Each answer must be one state of the ledger. Past answers are kept, and asked for again at the end.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.numbers import filing_key, partition_of
from ledger.v1.raw_pb2 import RawListScanEventsResponse
from ledger.v1.trail_service_pb2 import ListScanEventsRequest
from tests.simulation.trails import (
    Record,
    Shown,
    expected,
    one_snapshot,
    records_by_key,
    records_of,
    shown,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from tests.simulation.history import History
    from tests.simulation.loop import SimLoop
    from tests.simulation.network import SimChannel
    from tests.simulation.sim_log import LogCluster
    from tests.simulation.sim_store import StoreCluster

LIST = "/ledger.v1.TrailService/ListScanEvents"

ASKED_AGAIN_MOST = 6
"""Past answers that are kept."""

FINE = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.CANCELLED,
}
"""Errors that a reader may see while the world is ill. He asks again."""


class Auditor:
    """One reader, through all lives."""

    def __init__(
        self,
        *,
        loop: SimLoop,
        random: Random,
        history: History,
        log: LogCluster,
        store: StoreCluster,
        items: Sequence[str],
    ) -> None:
        self.answers = 0
        self.is_over = False
        self._loop = loop
        self._random = random
        self._history = history
        self._log = log
        self._store = store
        self._items = items
        self._past: list[tuple[ListScanEventsRequest, list[Shown]]] = []

    async def run(self, channel: SimChannel) -> None:
        """Ask until the world heals."""
        while not self.is_over:
            await asyncio.sleep(self._random.random() * 1.2)
            try:
                if self._history.to_read_back and self._random.random() < 0.5:
                    await self._read_back(channel)
                elif self._random.random() < 0.4:
                    await self._ask_of_the_past(channel)
                else:
                    await self._pages(channel, self._random.choice(self._items))
            except grpc.aio.AioRpcError as error:
                self._judge(error)

    async def final(self, channel: SimChannel) -> None:
        """The world has healed: every trail is what the log says, every past answer is as it was.

        A server may still be starting.
        """
        while True:
            try:
                return await self._final(channel)
            except grpc.aio.AioRpcError as error:
                self._judge(error)
                await asyncio.sleep(0.2)

    async def _final(self, channel: SimChannel) -> None:
        by_key: dict[bytes, list[Record]] = {}
        for partition in range(len(self._log.partitions)):
            by_key |= records_by_key(self._log, partition)
        for number in self._items:
            page = await self._list(channel, ListScanEventsRequest(tracking_number=number))
            got = self._shown(page)
            wanted = expected(by_key.get(filing_key(number), ()), 1 << 40)
            if got != wanted:
                self._history.breaks("a trail is what was acknowledged", _difference(got, wanted))
        for request, before in self._past:
            got = await self._all(channel, request)
            if got != before:
                self._history.breaks("a past answer never changes", _difference(got, before))

    async def _pages(self, channel: SimChannel, number: str) -> None:
        """Walk through the pages of a trail, slowly, while it grows."""
        size = self._random.randint(2, 6)
        request = ListScanEventsRequest(tracking_number=number, page_size=size)
        remembers = self._remembers()
        got = await self._all(channel, request, pause_s=0.3)
        if self._remembers() != remembers or remembers is None:
            return
        if not one_snapshot(got, self._records(number)):
            self._history.breaks("pages are one snapshot", f"{number}: {got}")

    async def _ask_of_the_past(self, channel: SimChannel) -> None:
        """Ask for a trail as of a moment in the past, or once more for one."""
        if self._past and self._random.random() < 0.3:
            request, before = self._random.choice(self._past)
            if (got := await self._all(channel, request)) != before:
                self._history.breaks("a past answer never changes", _difference(got, before))
            return
        entry = self._store.entry_at(1 << 62)
        if entry is None:
            return
        time_ns = entry.time_ns - int(self._random.random() * 2e9)
        seconds, nanos = divmod(max(time_ns, 0), 1_000_000_000)
        request = ListScanEventsRequest(
            tracking_number=self._random.choice(self._items),
            as_of_time=Timestamp(seconds=seconds, nanos=nanos),
        )
        got = await self._all(channel, request)
        if self.is_over:
            return
        if not one_snapshot(got, self._records(request.tracking_number)):
            self._history.breaks("a past answer is one state", f"{request}: {got}")
        if len(self._past) < ASKED_AGAIN_MOST:
            self._past.append((request, got))

    async def _read_back(self, channel: SimChannel) -> None:
        """Ask for a scan by the positions that its acknowledgement gave."""
        scan, positions = self._history.to_read_back.pop()
        request = ListScanEventsRequest(
            tracking_number=scan.number, at_least=positions, at_least_timeout=Duration(seconds=1)
        )
        remembers = self._remembers()
        got = await self._all(channel, request)
        if self._remembers() != remembers or remembers is None:
            return
        seen = [one for one in got if one.event == scan.event and one.source == scan.source]
        if len(seen) != 1:
            self._history.breaks("at_least shows a scan", f"{scan.event!r}: {len(seen)} times")

    def _remembers(self) -> int | None:
        """What does not change while the store has all rows that were put. None: it has not, and
        the writer has not put again yet what it forgot: until then what is readable has gaps. Or
        the world has healed: then the log itself may become another one.
        """
        return None if self._store.missing or self.is_over else self._store.deaths

    async def _all(
        self, channel: SimChannel, request: ListScanEventsRequest, *, pause_s: float = 0.0
    ) -> list[Shown]:
        """Take all pages of an answer."""
        got: list[Shown] = []
        asked = ListScanEventsRequest()
        asked.CopyFrom(request)
        while True:
            page = await self._list(channel, asked)
            got += self._shown(page)
            if not page.next_page_token:
                return got
            asked.page_token = page.next_page_token
            if pause_s:
                await asyncio.sleep(pause_s * self._random.random())

    async def _list(
        self, channel: SimChannel, request: ListScanEventsRequest
    ) -> RawListScanEventsResponse:
        async with asyncio.timeout(20):
            data = await channel.unary(LIST, request.SerializeToString())
        self.answers += 1
        return RawListScanEventsResponse.FromString(data)

    def _shown(self, page: RawListScanEventsResponse) -> list[Shown]:
        return shown(page.entries, self._history.scan_times)

    def _records(self, number: str) -> list[Record]:
        key = filing_key(number)
        partition = partition_of(key, len(self._log.partitions))
        return records_of(self._log, partition, key)

    def _judge(self, error: grpc.aio.AioRpcError) -> None:
        if error.code() not in FINE:
            self._history.breaks("a reader gets an answer or a fair error", f"{error.details()}")


def _difference(got: Sequence[Shown], wanted: Sequence[Shown]) -> str:
    missing = [one for one in wanted if one not in got]
    more = [one for one in got if one not in wanted]
    return f"missing {missing}, too much {more}, {len(got)} shown of {len(wanted)}"
