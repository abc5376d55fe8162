"""The service that answers what happened to an item: `TrailService` of the wire.

It reads the trail store and knows nothing of the log. Nothing is shown before the writer's mark
says that it is readable, so every answer is one state of the ledger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger import metrics
from ledger.v1.raw_pb2 import RawListScanEventsResponse, RawWatchTrailResponse
from ledger.v1.trail_service_pb2 import (
    BatchGetTrailsRequest,
    ListScanEventsRequest,
    WatchTrailRequest,
)
from query import requests
from query.answers import PAGE_BYTES_MAX, PAGE_ENTRIES_MAX, fill
from query.batch import BatchLookUp
from query.listing import Question, answer
from query.methods import generic_handler
from query.progress_view import places_of, shown_by
from query.tokens import (
    page_digest,
    read_cursor,
    read_page_token,
    watch_digest,
    write_cursor,
    write_page_token,
)
from query.watching import Sent, news

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    import grpc

    from ledger.facilities import Directory
    from ledger.vocabulary import Mappings
    from query.progress_view import ProgressView, Shown
    from query.reading import TrailReader
    from query.watches import Watches

TRAIL_SERVICE: Final = "ledger.v1.TrailService"
"""Full name of the service."""


class TrailService:
    """`ledger.v1.TrailService`: bytes of requests in, bytes of responses out."""

    def __init__(
        self,
        reader: TrailReader,
        *,
        progress: ProgressView,
        watches: Watches,
        mappings: Mappings,
        facilities: Directory,
        monotonic: Callable[[], float],
    ) -> None:
        """`reader`, `progress` and `watches` are those of the process; `mappings` explain sources'
        own codes, `facilities` are looked up beside trails; `monotonic` gives seconds.
        """
        self._progress = progress
        self._watches = watches
        self._mappings = mappings
        self._facilities = facilities
        self._monotonic = monotonic
        self._reader = reader

    def handler(self) -> grpc.GenericRpcHandler:
        """Give the service to a gRPC server."""
        return generic_handler(
            TRAIL_SERVICE,
            unary={"ListScanEvents": self.ListScanEvents},
            streams={"BatchGetTrails": self.BatchGetTrails, "WatchTrail": self.WatchTrail},
            monotonic=self._monotonic,
        )

    async def ListScanEvents(self, data: bytes) -> bytes:
        """Answer with one page of one trail."""
        request = requests.parse(ListScanEventsRequest, data)
        question = _question(request, self._mappings, self._facilities)
        last = None
        if request.page_token:
            pins, last = read_page_token(request.page_token, page_digest(request))
            shown = shown_by(pins, self._progress.generations)
        else:
            shown = await self._shown(request)
        out = RawListScanEventsResponse()
        more = await answer(self._reader, question, shown, out, last=last)
        if more:
            out.next_page_token = write_page_token(page_digest(request), more.pins, more.place)
        metrics.QUERY_ENTRIES.inc(len(out.entries))
        return out.SerializeToString()

    async def BatchGetTrails(self, data: bytes) -> AsyncGenerator[bytes, None]:
        """Answer with one message for each number, in the order of the numbers."""
        request = requests.parse(BatchGetTrailsRequest, data)
        requests.refuse_count(len(request.tracking_numbers))
        look_up = BatchLookUp(
            self._reader, request, mappings=self._mappings, facilities=self._facilities
        )
        if request.HasField("as_of_time"):
            as_of_ns = requests.time_ns_of(request.as_of_time, "as_of_time")
            shown = await self._progress.shown_at(as_of_ns)
        else:
            shown = await self._progress.shown_now()
        async for response in look_up.answers(shown):
            metrics.QUERY_ENTRIES.inc(len(response.entries))
            yield response.SerializeToString()

    async def WatchTrail(self, data: bytes) -> AsyncGenerator[bytes, None]:
        """Answer with what is in a trail, and then with what comes."""
        request = requests.parse(WatchTrailRequest, data)
        requests.refuse_inherited(request.include_inherited)
        keys = requests.keys_of(request.tracking_number)
        full = requests.is_full(request.view)
        digest = watch_digest(request)
        oldest = keys[-1]  # By the first rule: it stays the same whatever rule is added.
        cursor = request.resume_after
        sent = Sent(read_cursor(cursor, digest, oldest) if cursor else {})
        with self._watches.of_partitions(places_of(keys, self._progress.generations)) as moved:
            first = True
            while True:
                shown = await self._progress.shown_now()
                async with self._watches.reading:
                    item, entries = await news(self._reader, keys, shown, sent)
                # A key that is new here may have moved before this watch was told of its moves.
                moved.of(places_of(item.keys, self._progress.generations))
                out = RawWatchTrailResponse(more_keys=item.has_more_keys)
                count = fill(
                    out,
                    entries,
                    mappings=self._mappings,
                    facilities=self._facilities,
                    most=PAGE_ENTRIES_MAX,
                    bytes_max=PAGE_BYTES_MAX,
                    full=full,
                )
                out.caught_up = count == len(entries)
                last = None if out.caught_up else entries[count - 1].position
                sent.advance({key: shown.pins([key]) for key in item.keys}, last)
                if count or first:
                    out.cursor = write_cursor(digest, oldest, sent.pins)
                    metrics.QUERY_ENTRIES.inc(count)
                    yield out.SerializeToString()
                    first = False
                # Nothing is kept for a slow reader: what is left is read again.
                if out.caught_up:
                    del out, entries, item
                    await moved.wait()

    async def _shown(self, request: ListScanEventsRequest) -> Shown:
        at_least = requests.positions_of(request.at_least, self._progress.generations)
        timeout_s = requests.AT_LEAST_TIMEOUT_S
        if request.HasField("at_least_timeout"):
            timeout_s = requests.timeout_s_of(request.at_least_timeout)
        if at_least:
            await self._progress.wait_for(at_least, timeout_s)
        if not request.HasField("as_of_time"):
            return await self._progress.shown_now()
        as_of_ns = requests.time_ns_of(request.as_of_time, "as_of_time")
        return await self._progress.shown_at(as_of_ns)


def _question(
    request: ListScanEventsRequest, mappings: Mappings, facilities: Directory
) -> Question:
    requests.refuse_inherited(request.include_inherited)
    return Question(
        keys=requests.keys_of(request.tracking_number),
        recorded=requests.is_recorded(request.order),
        descending=request.descending,
        full=requests.is_full(request.view),
        most=requests.page_size_of(request.page_size),
        bytes_max=PAGE_BYTES_MAX,
        mappings=mappings,
        facilities=facilities,
        start_ns=(
            requests.time_ns_of(request.start_time, "start_time")
            if request.HasField("start_time")
            else None
        ),
        end_ns=(
            requests.time_ns_of(request.end_time, "end_time")
            if request.HasField("end_time")
            else None
        ),
    )
