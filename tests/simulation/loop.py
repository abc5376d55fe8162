"""One event loop for many processes, with a virtual clock; a seed decides who runs next.

Each process has its own ready queue, first in first out, as asyncio promises; between processes
nothing is promised, so the seed chooses. A process that was killed never runs again, not even its
`finally`; a paused one runs on where it was. Where nobody can run, time jumps to the next timer.
"""

# ruff: noqa: ANN401 - callbacks take whatever they take.

from __future__ import annotations

import asyncio
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, TypeVar

from tests.simulation.process import Handle, Process

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from random import Random

T = TypeVar("T")

BURST_MOST = 6
"""Most callbacks that one process runs before another may have its turn."""

TURN_S = 2e-6
"""Time that a turn takes: who waits for a moment by sums of floats must get there."""

TEARDOWN_STEPS_MOST = 20_000
"""Callbacks after which a world that does not end is a mistake of the simulation."""


class SimTask(asyncio.Task[T]):
    """A task whose hash is a number of ours: sets of tasks then have one order for one seed."""

    def __init__(self, coro: Coroutine[Any, Any, T], *, loop: SimLoop) -> None:
        self._number = loop.tasks_made = loop.tasks_made + 1
        asyncio.Task.__init__(self, coro, loop=loop, name="sim")

    def __hash__(self) -> int:
        return self._number


class SimLoop(asyncio.AbstractEventLoop):
    """The loop. `outside` is the process of all that is no process: networks, engines, faults."""

    def __init__(self, random: Random) -> None:
        self._random = random.random
        self._now = 0.0
        self._heap: list[tuple[float, int, Handle, Process]] = []
        self._timers = 0
        self._runnable: list[Process] = []
        self.processes: list[Process] = []
        self.outside = self.process("outside")
        self.current = self.outside
        self.steps = 0
        self.signature = 0
        """Follows from who ran when: equal for equal schedules."""
        self.is_over = False
        """Set when the run is decided, and all that is left is to take the world apart."""
        self.unhandled: list[str] = []
        """What nobody caught."""
        self.tasks_made = 0
        self._stopped = False
        self._late: list[asyncio.Task[Any]] | None = None
        """While the world is taken apart: tasks that may not have ended."""

    # --- what asyncio calls -----------------------------------------------------------------------

    def time(self) -> float:
        return self._now

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override] # A name and a context are not needed here.
        self, coro: Coroutine[Any, Any, T], *, name: object = None, context: object = None
    ) -> asyncio.Task[T]:
        task = SimTask(coro, loop=self)
        if self._late is not None:
            self._late.append(task)
        return task

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: object = None
    ) -> Handle:
        handle = Handle((callback, args))
        process = self.current
        process.ready.append(handle)
        if not process.is_listed:
            self._list(process)
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: object = None
    ) -> Handle:
        return self._at(self.current, self._now + delay, callback, args)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: object = None
    ) -> Handle:
        return self._at(self.current, when, callback, args)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self.is_over:
            self.unhandled.append(f"{context.get('message')}: {context.get('exception')!r}")

    # --- processes --------------------------------------------------------------------------------

    def process(self, name: str) -> Process:
        """Make a process."""
        made = Process(name, len(self.processes) + 1)
        self.processes.append(made)
        return made

    def here(self) -> Process:
        """Give the process that runs now."""
        return self.current

    def later(
        self, where: object, delay_s: float, callback: Callable[..., object], *args: Any
    ) -> None:
        """Call in a process, after a time; a dead process hears nothing."""
        assert isinstance(where, Process)
        if delay_s > 0:
            self._at(where, self._now + delay_s, callback, args)
            return
        where.ready.append(Handle((callback, args)))
        if not where.is_listed:
            self._list(where)

    def spawn(self, where: Process, coro: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin a task in a process."""
        before, self.current = self.current, where
        try:
            return self.create_task(coro)
        finally:
            self.current = before

    def pause(self, process: Process) -> None:
        """Let a process stand still; what reaches it waits."""
        if not process.is_paused:
            process.is_paused, process.paused_at_s = True, self._now
            process.may_run = False

    def resume(self, process: Process) -> None:
        """Let it go on; to it no time has passed."""
        if process.is_paused:
            process.is_paused = False
            process.may_run = process.is_alive
            process.stood_s += self._now - process.paused_at_s
        if process.ready:
            self._list(process)

    def kill(self, process: Process) -> None:
        """End a process where it is. Nothing of it runs any more."""
        process.is_alive = process.may_run = False

    # --- the run ----------------------------------------------------------------------------------

    def stop(self) -> None:
        """Return from `run` after the callback that runs now."""
        self._stopped = True

    def run(self, until_s: float) -> bool:
        """Run until `stop`, or until a time. True: it was stopped."""
        self._stopped = False
        runnable, heap, random = self._runnable, self._heap, self._random
        asyncio._set_running_loop(self)
        try:
            while not self._stopped:
                if not runnable:
                    if not heap or heap[0][0] > until_s:
                        self._now = until_s
                        return False
                    self._advance()
                    continue
                now = self._now = self._now + TURN_S
                if heap and heap[0][0] <= now:
                    self._advance()
                count = len(runnable)
                process = runnable[int(random() * count)] if count > 1 else runnable[0]
                self.signature = (self.signature * 31 + process.number) & 0xFFFFFFFFFFFF
                self._turn(process, 1 + int(random() * BURST_MOST))
        finally:
            self.current = self.outside
            asyncio._set_running_loop(None)
        return True

    def take_apart(self) -> None:
        """End every task, of dead processes too. Whatever their `finally` does, nobody looks."""
        self.is_over = True
        self.outside.ready.clear()
        self._heap = [each for each in self._heap if each[3] is not self.outside]
        heapify(self._heap)
        asyncio._set_running_loop(self)
        try:
            for process in self.processes:
                process.is_alive = process.may_run = True
                process.is_paused, process.fuse = False, -1
                if process.ready:
                    self._list(process)
            # To ask for all tasks means to look at those of earlier worlds too: once is enough.
            left = self._late = sorted(asyncio.all_tasks(self), key=hash)
            for task in left:
                task.cancel()
            before = self.steps
            while self._runnable or (self._heap and not all(task.done() for task in left)):
                while self._runnable:
                    self._turn(self._runnable[0], 1_000)
                    assert self.steps - before < TEARDOWN_STEPS_MOST, "the world does not end"
                if self._heap:
                    self._advance()
        finally:
            asyncio._set_running_loop(None)
        self._heap.clear()
        self._late = None

    def _turn(self, process: Process, burst: int) -> None:
        """Let a process run some callbacks."""
        ready = process.ready
        self.current = process
        while ready and burst and process.may_run:
            handle = ready.popleft()
            callback, args = handle
            if callback is None:
                continue
            if process.fuse >= 0 and self._is_burnt(process, handle):
                continue
            burst -= 1
            self.steps += 1
            callback(*args)
            if self._stopped:
                break
        if not ready or not process.may_run:
            self._runnable.remove(process)
            process.is_listed = False

    def _is_burnt(self, process: Process, handle: Handle) -> bool:
        """Count a callback of a process that is to die; whether its moment is before this one."""
        process.fuse -= 1
        if process.fuse >= 0:
            return False
        process.ready.appendleft(handle)
        self.current = self.outside
        process.on_fuse()
        self.current = process
        return True

    def _advance(self) -> None:
        """Go to the time of the next timer, and let all that are due become ready."""
        heap = self._heap
        now = self._now = max(heap[0][0], self._now)
        while heap and heap[0][0] <= now:
            _, _, handle, process = heappop(heap)
            if handle[0] is not None:
                process.ready.append(handle)
                if not process.is_listed:
                    self._list(process)

    def _list(self, process: Process) -> None:
        if process.may_run and not process.is_listed:
            process.is_listed = True
            self._runnable.append(process)

    def _at(
        self, process: Process, when: float, callback: Callable[..., object], args: tuple[Any, ...]
    ) -> Handle:
        handle = Handle((callback, args))
        self._timers += 1
        heappush(self._heap, (when, self._timers, handle, process))
        return handle
