"""The door out under everything at once, step by step, against the definition of a trail.

Events, retries, conflicts, corrections and late scans arrive for two items of one partition while
pages are walked, watches run and go on elsewhere, and old answers are asked for again.
"""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from unittest import mock

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from ledger.numbers import filing_key, partition_of
from ledger.v1.trail_service_pb2 import TrailOrder, WatchTrailRequest, WatchTrailResponse
from query import progress_view, watches
from tests.asking import asked
from tests.scale import scaled
from tests.trail_oracle import Said, arrival, expected
from tests.trails import NUMBER, PARTITIONS, Arrival, timestamp

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from ledger.v1.trail_service_pb2 import TrailEntry
    from tests.asking import Asked

SCAN_TIME, RECORDED = TrailOrder.TRAIL_ORDER_SCAN_TIME, TrailOrder.TRAIL_ORDER_RECORDED
PARTITION = partition_of(filing_key(NUMBER), PARTITIONS)
OTHER = next(
    number
    for number in (f"AB{i}" for i in range(99))
    if partition_of(filing_key(number), PARTITIONS) == PARTITION
)
T = TypeVar("T")
numbers = st.sampled_from([NUMBER, OTHER])
orders = st.sampled_from([SCAN_TIME, RECORDED])


class Walk:
    """A walk through pages, and what it has to show in the end."""

    def __init__(self, fields: dict[str, object], snapshot: list[Said]) -> None:
        self.fields = fields
        self.snapshot = snapshot
        self.walked: list[Said] = []
        self.token = ""
        self.done = False


class Past(NamedTuple):
    """An answer as of a time: it never changes."""

    number: str
    time_ns: int
    answer: list[Said]


def read(entries: Iterable[TrailEntry]) -> list[Said]:
    """Say what entries show."""
    return [
        Said(
            entry.position.index,
            entry.marks.duplicate_count,
            entry.marks.conflict,
            entry.marks.correction,
            tuple(at.index for at in entry.marks.corrected_by),
        )
        for entry in entries
    ]


class DoorOut(RuleBasedStateMachine):
    """One ledger, its door, and a model of both."""

    walks: Bundle[Walk] = Bundle("walks")
    pasts: Bundle[Past] = Bundle("pasts")

    @initialize(ones=st.lists(numbers.flatmap(arrival), min_size=4, max_size=12))
    def open(self, ones: list[Arrival]) -> None:
        """Open a ledger, with watches that look often, and reads that are never behind."""
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        self.stack.enter_context(mock.patch.object(watches, "WATCH_INTERVAL_S", 0.005))
        self.stack.enter_context(mock.patch.object(progress_view, "MARKS_AGE_MAX_S", 0.0))
        self.door: Asked = self.go(self.stack.enter_async_context(asked(Path(folder) / "ledger")))
        self.arrived: dict[int, Arrival] = {}
        self.readable = 0
        self.history: list[tuple[int, int]] = []
        self.cursor = ""
        self.watched: list[int] = []
        self.arrive(ones, True)  # Else most runs would ask an empty ledger.

    def teardown(self) -> None:
        """Close everything."""
        if hasattr(self, "runner"):
            self.go(self.stack.aclose())
            self.runner.close()

    def go(self, call: Coroutine[object, object, T]) -> T:
        """Run one call."""
        return self.runner.run(call)

    def trail(self, number: str, count: int) -> list[Said]:
        """Say what the trail of a number is, of the first so many records."""
        return expected(
            {
                at: one
                for at, one in self.arrived.items()
                if at < count and one.event.tracking_number == number
            }
        )

    # --- what arrives

    @rule(ones=st.lists(numbers.flatmap(arrival), min_size=1, max_size=4), readable=st.booleans())
    def arrive(self, ones: list[Arrival], readable: bool) -> None:
        """Events, conflicts and corrections reach the store, and may become readable."""
        self.go(self.door.shelf.put(*ones, readable=readable))
        self.arrived |= enumerate(ones, len(self.arrived))
        if readable:
            self.readable = len(self.arrived)

    @precondition(lambda self: self.arrived)
    @rule(data=st.data(), readable=st.booleans())
    def retry(self, data: st.DataObject, readable: bool) -> None:
        """An event reaches the store once more."""
        at = data.draw(st.integers(0, len(self.arrived) - 1))
        self.arrive([self.arrived[at]], readable)

    @rule()
    def settle(self) -> None:
        """What has arrived becomes settled, and the history has an entry more."""
        time_ns = self.go(self.door.shelf.settle())
        self.readable = len(self.arrived)
        self.history.append((time_ns, self.readable))

    # --- what is asked

    @rule(number=numbers, order=orders, descending=st.booleans())
    def list_all(self, number: str, order: TrailOrder.ValueType, descending: bool) -> None:
        """A trail is what the definition says."""
        answer = self.go(self.door.list(tracking_number=number, order=order, descending=descending))
        said = self.trail(number, self.readable)
        assert read(answer.entries) == arranged(said, order, descending=descending)

    @rule(target=walks, number=numbers, order=orders, descending=st.booleans())
    def begin_walk(self, number: str, order: TrailOrder.ValueType, descending: bool) -> Walk:
        """A walk begins; what it shows is decided now."""
        fields = {
            "tracking_number": number,
            "order": order,
            "descending": descending,
        }
        said = self.trail(number, self.readable)
        walk = Walk(fields, arranged(said, order, descending=descending))
        self.walk_on(walk, 1)
        return walk

    @rule(walk=walks, size=st.integers(1, 4))
    def walk_on(self, walk: Walk, size: int) -> None:
        """The next page of a walk continues the snapshot, whatever has arrived meanwhile."""
        if walk.done:
            return
        page = self.go(self.door.list(**walk.fields, page_size=size, page_token=walk.token))
        walk.walked += read(page.entries)
        walk.token = page.next_page_token
        walk.done = not walk.token
        assert walk.walked == walk.snapshot[: len(walk.walked)]
        assert walk.done == (len(walk.walked) == len(walk.snapshot))

    @precondition(lambda self: self.history)
    @rule(target=pasts, number=numbers, data=st.data())
    def ask_as_of(self, number: str, data: st.DataObject) -> Past:
        """As of a time, a trail is what was settled in the last entry before it."""
        time_ns = data.draw(st.integers(self.history[0][0] - 10**9, self.history[-1][0]))
        count = max((count for at_ns, count in self.history if at_ns <= time_ns), default=0)
        past = Past(number, time_ns, self.trail(number, count))
        self.ask_again(past)
        return past

    @rule(past=pasts)
    def ask_again(self, past: Past) -> None:
        """An answer as of a time never changes."""
        answer = self.go(
            self.door.list(tracking_number=past.number, as_of_time=timestamp(past.time_ns))
        )
        assert read(answer.entries) == past.answer

    @rule(messages=st.integers(1, 2))
    def watch_on(self, messages: int) -> None:
        """A watch goes on behind its cursor for some messages, and is cut."""

        async def watch() -> None:
            known = {said.at for said in self.trail(NUMBER, self.readable)}
            request = WatchTrailRequest(tracking_number=NUMBER, resume_after=self.cursor)
            call = self.door.trails.WatchTrail(request)
            async with asyncio.timeout(10):
                for number in range(messages):
                    if number and known <= set(self.watched):
                        break
                    message = await call.read()
                    assert isinstance(message, WatchTrailResponse)
                    self.watched += [entry.position.index for entry in message.entries]
                    self.cursor = message.cursor
            call.cancel()

        self.go(watch())

    @invariant()
    def watched_is_listed(self) -> None:
        """A watch has sent a beginning of the trail by position: no gap, and nothing twice."""
        if hasattr(self, "watched"):
            listed = sorted(said.at for said in self.trail(NUMBER, self.readable))
            assert self.watched == listed[: len(self.watched)]


def arranged(said: list[Said], order: TrailOrder.ValueType, *, descending: bool) -> list[Said]:
    """Put what is expected, given by scan time, in an order."""
    if order == RECORDED:
        said = sorted(said, key=lambda one: one.at)
    return said[::-1] if descending else said


TestDoorOut = pytest.mark.slow(DoorOut.TestCase)
TestDoorOut.settings = settings(
    max_examples=scaled(100, soak=5_000), stateful_step_count=scaled(40, soak=100), deadline=None
)
