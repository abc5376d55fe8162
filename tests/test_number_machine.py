"""Two issuers on one engine, whose steps Hypothesis interleaves, breaks off and kills."""

import asyncio
import shutil
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from ledger.errors import Busy, LedgerError, NotPossibleNow, Uncertain
from ledger.issuing import BlockRequest, Issuer, NumberBlocks
from ledger.issuing.issuer import numbers_of
from ledger.v1.number_block_pb2 import NumberBlock
from tests.folders import opened
from tests.number_blocks import NOW_NS, RETENTION_NS, small_range, wanted
from tests.scale import scaled

pytestmark = [pytest.mark.slow, pytest.mark.timeout(scaled(200, soak=7_200))]

RANGE = small_range(12)
REQUESTS = [wanted(count, request_id=bytes([at]) * 16) for at, count in enumerate([1, 3, 5, 5, 7])]
PICKS = st.integers(0, 100)

APART = 5
"""Fewest steps of issuers between two crashes: what follows on one at once finds nothing new, and
opening the folder takes longer than all other steps.
"""


class Gated:
    """Passes on to the port; before and behind each call somebody says whether it goes on."""

    def __init__(self, machine: "IssuersMachine") -> None:
        self.machine = machine

    async def space(self, name: str) -> bytes | None:
        """Behind a gate."""
        await self.machine.gate("before")
        return await self.machine.blocks.space(name)

    async def move(self, name: str, before: bytes | None, after: bytes) -> bool:
        """Between two gates."""
        await self.machine.gate("before")
        moved = await self.machine.blocks.move(name, before, after)
        await self.machine.gate("after")
        return moved

    async def given(self, request_id: bytes) -> bytes | None:
        """Behind a gate."""
        await self.machine.gate("before")
        return await self.machine.blocks.given(request_id)

    async def give(self, request_id: bytes, block: bytes) -> bytes:
        """Between two gates."""
        await self.machine.gate("before")
        stands = await self.machine.blocks.give(request_id, block)
        await self.machine.gate("after")
        return stands


class IssuersMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.runner = asyncio.Runner()
        self.now_ns = NOW_NS
        self.tasks: dict[asyncio.Task[NumberBlock], BlockRequest] = {}
        self.gates: list[tuple[str, asyncio.Future[None]]] = []
        self.given: dict[bytes, NumberBlock] = {}
        self.last: dict[str, tuple[bytes, int]] = {}
        self.steps = 0
        """Of issuers, since the folder was opened."""

    @initialize()
    def open(self) -> None:
        """Begin with an empty folder, or with what a crash left; two issuers look at it."""
        self.steps = 0
        self.stack = AsyncExitStack()
        ledger = self.runner.run(self.stack.enter_async_context(opened(self.folder, sync=False)))
        self.blocks: NumberBlocks = ledger.numbers
        self.issuers = [Issuer(Gated(self), [RANGE], now_ns=lambda: self.now_ns) for _ in range(2)]

    async def gate(self, where: str) -> None:
        """Wait until a rule lets it go on, or breaks it off."""
        opened_by: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.gates.append((where, opened_by))
        await opened_by

    @precondition(lambda self: len(self.tasks) < 4)
    @rule(issuer=st.integers(0, 1), request=st.sampled_from(REQUESTS))
    def ask(self, issuer: int, request: BlockRequest) -> None:
        """A request comes, for the first time or again, while others are under way."""

        async def begin() -> asyncio.Task[NumberBlock]:
            return asyncio.create_task(self.issuers[issuer].issue(request))

        self.tasks[self.runner.run(begin())] = request
        self.runner.run(self.settle())

    @precondition(lambda self: self.gates)
    @rule(pick=PICKS, steps=st.integers(1, 6))
    def go_on(self, pick: int, steps: int) -> None:
        """One of them goes on by a few steps."""
        for _ in range(steps):
            if not self.gates:
                return
            _, waits = self.gates.pop(pick % len(self.gates))
            waits.set_result(None)
            self.runner.run(self.settle())

    @precondition(lambda self: self.gates)
    @rule(pick=PICKS)
    def break_off(self, pick: int) -> None:
        """A step fails: nothing happened, or it did and nobody is told."""
        where, waits = self.gates.pop(pick % len(self.gates))
        busy = where == "before" and pick % 2
        error = Busy("", reason="TEST", retry_after_s=0) if busy else Uncertain("", reason="TEST")
        waits.set_exception(error)
        self.runner.run(self.settle())

    @precondition(lambda self: self.steps >= APART)
    @rule()
    def crash(self) -> None:
        """The processes die wherever they are, and others begin with what was kept."""
        self.runner.run(self.end())
        self.open()

    @rule(share=st.integers(1, 8))
    def wait(self, share: int) -> None:
        """Time passes."""
        self.now_ns += share * RETENTION_NS // 7

    async def settle(self) -> None:
        """Wait until all of them are at a gate or done, and look at what came out."""
        self.steps += 1
        while sum(not task.done() for task in self.tasks) > len(self.gates):  # noqa: ASYNC110
            await asyncio.sleep(0)
        for task in [task for task in self.tasks if task.done()]:
            request = self.tasks.pop(task)
            error = task.exception()
            if error is None:
                await self.check(request, task.result())
            else:
                assert isinstance(error, LedgerError)
                assert isinstance(error, Busy | Uncertain | NotPossibleNow)
                if isinstance(error, NotPossibleNow):
                    assert error.reason == "NUMBERS_USED_UP"
                    assert request.request_id not in self.given

    async def check(self, request: BlockRequest, block: NumberBlock) -> None:
        """A request has one block, and nobody else got its numbers within their retention."""
        stands = self.given.setdefault(request.request_id, block)
        assert block == stands
        numbers = await numbers_of(block)
        assert len(set(numbers)) == request.count
        for number in numbers:
            owner, time_ns = self.last.get(number, (request.request_id, block.time_ns))
            if owner != request.request_id:
                assert abs(block.time_ns - time_ns) >= RETENTION_NS
            if block.time_ns >= time_ns:
                self.last[number] = (request.request_id, block.time_ns)

    async def end(self) -> None:
        """End all tasks where they are, and close the folder."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks.clear()
        self.gates.clear()
        await self.stack.aclose()

    def teardown(self) -> None:
        """Remove the folder."""
        if hasattr(self, "stack"):
            self.runner.run(self.end())
        self.runner.close()
        shutil.rmtree(self.folder)


TestIssuersMachine = IssuersMachine.TestCase
TestIssuersMachine.settings = settings(max_examples=scaled(40, soak=2_000), stateful_step_count=60)
