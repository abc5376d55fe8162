"""The service that answers how an item is: `ItemService` of the wire.

It reads as TrailService does, and folds what it reads. A watch is woken as those of trails are, and
by the clock where time alone changes a status.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Final

from ledger.errors import NotPossibleNow
from ledger.v1.item_service_pb2 import (
    BatchGetItemsRequest,
    ExplainItemRequest,
    GetItemRequest,
    GetItemResponse,
    ListContentsRequest,
    ListContentsResponse,
    WatchItemRequest,
    WatchItemResponse,
)
from ledger.v1.trail_service_pb2 import LookupStatus
from query import requests
from query.containers import Ending
from query.contents import Contents
from query.item_answers import put_event, put_time
from query.item_batch import ItemBatch
from query.item_explaining import ItemExplaining
from query.items import Items, Question
from query.methods import generic_handler
from query.naming import name_facilities
from query.progress_view import places_of
from query.revisions import text_of
from query.tokens import contents_digest, read_contents_token, write_contents_token

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    import grpc

    from ledger.facilities import Directory
    from ledger.v1.item_service_pb2 import ItemAnswer
    from ledger.vocabulary import Mappings
    from query import journey
    from query.items import Look
    from query.progress_view import ProgressView, Shown
    from query.reading import TrailReader
    from query.texts import Languages
    from query.watches import Moved, Watches

ITEM_SERVICE: Final = "ledger.v1.ItemService"
"""Full name of the service."""

WATCH_SLEEP_MAX_S: Final = 3_600.0
"""Longest sleep of a watch: the clock may be set meanwhile, and is looked at once an hour."""

PAGE_ITEMS_DEFAULT: Final = 100
"""Items in a page of contents where the request does not say."""

PAGE_ITEMS_MAX: Final = 500
"""Most items in a page of contents: each costs the reading of its trail, some 0.1 s in all."""

_FOUND: Final = LookupStatus.LOOKUP_STATUS_FOUND
_NOT_YET_SEEN: Final = LookupStatus.LOOKUP_STATUS_NOT_YET_SEEN
_SECOND_NS: Final = 1_000_000_000
_CURSOR_BYTES: Final = 18


class ItemService:
    """`ledger.v1.ItemService`: bytes of requests in, bytes of responses out."""

    def __init__(
        self,
        reader: TrailReader,
        *,
        progress: ProgressView,
        watches: Watches,
        mappings: Mappings,
        facilities: Directory,
        languages: Languages,
        now_ns: Callable[[], int],
        monotonic: Callable[[], float],
    ) -> None:
        """`reader`, `progress` and `watches` are those of the process; `languages` are what items
        are explained in; `now_ns` gives nanoseconds since 1970, `monotonic` seconds.
        """
        self._reader = reader
        self._progress = progress
        self._watches = watches
        self._facilities = facilities
        self._now_ns = now_ns
        self._monotonic = monotonic
        self._items = Items(reader, mappings=mappings, facilities=facilities)
        self._explaining = ItemExplaining(
            self._items, progress=progress, facilities=facilities, languages=languages
        )
        self._contents = Contents(reader, mappings=mappings)

    def handler(self) -> grpc.GenericRpcHandler:
        """Give the service to a gRPC server."""
        return generic_handler(
            ITEM_SERVICE,
            unary={
                "GetItem": self.GetItem,
                "ExplainItem": self.ExplainItem,
                "ListContents": self.ListContents,
            },
            streams={"BatchGetItems": self.BatchGetItems, "WatchItem": self.WatchItem},
            monotonic=self._monotonic,
        )

    async def GetItem(self, data: bytes) -> bytes:
        """Answer with one item."""
        request = requests.parse(GetItemRequest, data)
        number = request.tracking_number
        keys = requests.keys_of(number)
        question, shown = await self._asked(request)
        look = await self._items.look_inside(number, keys, shown, question)
        out = GetItemResponse()
        out.answer.tracking_number = number
        named: dict[str, None] = {}
        self._items.answer(look, question, out.answer, named, revision=request.revision)
        name_facilities(out, named, self._facilities)
        return out.SerializeToString()

    async def ExplainItem(self, data: bytes) -> bytes:
        """Answer with one item in words."""
        request = requests.parse(ExplainItemRequest, data)
        question, shown = await self._asked(request)
        out = await self._explaining.explain(request, question, shown, now_ns=self._now_ns())
        return out.SerializeToString()

    async def ListContents(self, data: bytes) -> bytes:
        """Answer with a page of what lies in a container."""
        request = requests.parse(ListContentsRequest, data)
        keys = requests.keys_of(request.tracking_number)
        most = requests.page_size_of(
            request.page_size, default=PAGE_ITEMS_DEFAULT, most=PAGE_ITEMS_MAX
        )
        now_ns, shown, _ = await self._shown(request)
        at_ns, last = now_ns, None
        if request.HasField("at_time"):
            at_ns = min(now_ns, requests.time_ns_of(request.at_time, "at_time"))
        digest = contents_digest(request)
        if request.page_token:
            at_ns, last = read_contents_token(request.page_token, digest)
        page = await self._contents.page(keys, shown, at_ns, most=most, last=last)
        out = ListContentsResponse(more_keys=page.has_more_keys, truncated=page.is_truncated)
        out.tracking_keys.extend([key.decode() for key in page.keys])
        out.status = _FOUND if page.is_known else _NOT_YET_SEEN
        put_time(out.answer_time, at_ns)
        named: dict[str, None] = {}
        for one in page.inside:
            item = out.items.add()
            item.tracking_key = one.key.decode()
            put_event(item.put_in, one, named)
        if page.last is not None:
            out.next_page_token = write_contents_token(digest, at_ns, page.last)
        name_facilities(out, named, self._facilities)
        return out.SerializeToString()

    async def BatchGetItems(self, data: bytes) -> AsyncGenerator[bytes, None]:
        """Answer with many items, in the order of the numbers."""
        request = requests.parse(BatchGetItemsRequest, data)
        requests.refuse_count(len(request.look_ups), "look_ups")
        question, shown = await self._asked(request)
        many = ItemBatch(self._items, self._reader, self._facilities, question)
        async for response in many.answers(request.look_ups, shown):
            yield response.SerializeToString()

    async def WatchItem(self, data: bytes) -> AsyncGenerator[bytes, None]:
        """Answer with how an item is, and then with each change of its status."""
        request = requests.parse(WatchItemRequest, data)
        number = request.tracking_number
        keys = requests.keys_of(number)
        timeline = requests.is_timeline(request.view)
        sent, until_ns = request.resume_after, 0
        known: bytes | None = None
        with self._watches.of_partitions(places_of(keys, self._progress.generations)) as moved:
            while True:
                shown = await self._progress.shown_now()
                question = Question(self._now_ns(), timeline=timeline)
                async with self._watches.reading:
                    look = await self._items.look_inside(number, keys, shown, question)
                # A key that is new here may have moved before this watch was told of its moves.
                moved.of(places_of(look.keys, self._progress.generations))
                news = b""
                # Most times that a partition moved it was another item: then nothing is folded.
                if look.digest != known or 0 < until_ns <= question.now_ns:
                    known = look.digest
                    out, until_ns = self._told(look, question)
                    if out.cursor != sent:
                        sent, news = out.cursor, out.SerializeToString()
                    del out
                # Thousands of watches sleep, or wait for slow readers, and keep no trails.
                del look
                if news:
                    yield news
                await _wait(moved, until_ns - self._now_ns() if until_ns else None)

    def _told(self, look: Look, question: Question) -> tuple[WatchItemResponse, int]:
        """Give what a watch would be sent, and when time alone changes it; 0: never."""
        out = WatchItemResponse()
        out.answer.tracking_number = look.number
        named: dict[str, None] = {}
        folded, until_ns = self._items.answer(look, question, out.answer, named)
        if out.answer.oversized:
            raise _oversized()
        name_facilities(out, named, self._facilities)
        out.cursor = _status_of(out.answer, folded, _run_out(look, question.now_ns))
        return out, until_ns

    async def _asked(
        self, request: GetItemRequest | BatchGetItemsRequest | ExplainItemRequest
    ) -> tuple[Question, Shown]:
        """Give what is asked, and what may be shown for it."""
        timeline = requests.is_timeline(request.view)
        now_ns, shown, is_past = await self._shown(request)
        identity = b"%d" % timeline
        if is_past:
            identity += b" as of %d" % now_ns
        until_ns = None
        if request.HasField("at_time"):
            at_ns = requests.time_ns_of(request.at_time, "at_time")
            identity += b" at %d" % at_ns
            if at_ns < now_ns:
                until_ns, is_past = at_ns, True
        return Question(now_ns, until_ns, is_past, timeline, identity), shown

    async def _shown(
        self,
        request: GetItemRequest | BatchGetItemsRequest | ExplainItemRequest | ListContentsRequest,
    ) -> tuple[int, Shown, bool]:
        """Give the time that is now, what may be shown, and whether that is asked of the past."""
        if request.HasField("as_of_time"):
            now_ns = requests.time_ns_of(request.as_of_time, "as_of_time")
            return now_ns, await self._progress.shown_at(now_ns), True
        now_ns = self._now_ns()
        return now_ns, await self._progress.shown_now(), False


def _run_out(look: Look, now_ns: int) -> Sequence[tuple[bytes, ...]]:
    """Give the containers that it may have left, as nobody knows after so long: no scan says so,
    so nothing else of a status does.
    """
    lain = look.carried.lain if look.carried else ()
    return [
        one.path
        for one in lain
        if one.stay.ending is Ending.TIME and one.end_ns == one.stay.end_ns <= now_ns
    ]


def _status_of(
    answer: ItemAnswer, folded: journey.Item | None, run_out: Sequence[tuple[bytes, ...]]
) -> str:
    """Give what stands for a status: other scans of the same status have the same."""
    if folded is None:
        said: object = answer.status
    else:
        one = folded.instance
        legs = [(str(leg.kind), str(leg.milestone), leg.began.scan_time_ns) for leg in one.legs]
        said = (legs, sorted(map(str, one.flags)), len(folded.others), run_out)
    return text_of(hashlib.sha256(repr(said).encode()).digest()[:_CURSOR_BYTES])


async def _wait(moved: Moved, wait_ns: int | None) -> None:
    """Wait until something has moved, or for so long."""
    if wait_ns is None:
        await moved.wait()
        return
    try:
        async with asyncio.timeout(min(max(wait_ns, 0) / _SECOND_NS, WATCH_SLEEP_MAX_S)):
            await moved.wait()
    except TimeoutError:
        pass  # It is time to look.


def _oversized() -> NotPossibleNow:
    return NotPossibleNow(
        "This trail is too long to be folded, and so to be watched. List it by scan time.",
        reason="TRAIL_OVERSIZED",
        field="tracking_number",
    )
