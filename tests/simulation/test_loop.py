"""The simulation's own loop: what asyncio promises holds in it, and a death is one."""

import asyncio
from functools import partial
from random import Random

from tests.simulation.loop import SimLoop


def loop_of(seed: int = 1) -> SimLoop:
    """A loop."""
    return SimLoop(Random(seed))  # type: ignore[abstract] # It has what is used.


def test_time_passes_only_where_nobody_can_run() -> None:
    """An hour of sleep takes no time, and the clock says that it has passed."""
    loop = loop_of()

    async def sleeps() -> float:
        await asyncio.sleep(3_600)
        return loop.time()

    task = loop.spawn(loop.process("one"), sleeps())
    loop.run(10_000)

    assert 3_600 <= task.result() < 3_600.001


def test_one_process_runs_first_in_first_out() -> None:
    """Callbacks of one process run in the order in which they were registered."""
    for seed in range(20):
        loop, seen = loop_of(seed), list[int]()
        process = loop.process("one")
        for number in range(30):
            loop.later(process, 0, seen.append, number)
        loop.run(1)

        assert seen == list(range(30))


def test_a_seed_chooses_between_processes() -> None:
    """Between processes there is no order: different seeds give different ones."""

    def order(seed: int) -> str:
        loop, seen = loop_of(seed), list[str]()
        for name in "abc":
            process = loop.process(name)
            for _ in range(20):
                loop.later(process, 0, seen.append, name)
        loop.run(1)
        return "".join(seen)

    assert len({order(seed) for seed in range(10)}) == 10
    assert order(3) == order(3)


def test_a_killed_process_does_nothing_any_more() -> None:
    """Not even `finally` runs, and what was to wake it does not."""
    loop, seen = loop_of(), list[str]()
    process = loop.process("one")

    async def lives() -> None:
        try:
            seen.append("began")
            await asyncio.sleep(1)
            seen.append("went on")
        finally:
            if not loop.is_over:
                seen.append("cleaned up")

    loop.spawn(process, lives())
    loop.run(0.5)
    loop.kill(process)
    loop.run(10)

    assert seen == ["began"]
    loop.take_apart()
    assert not asyncio.all_tasks(loop)


def test_a_process_dies_between_any_two_steps() -> None:
    """A fuse counts the callbacks of a process and then calls."""
    for steps in range(5):
        loop, seen = loop_of(), list[int]()
        process = loop.process("one")
        process.fuse, process.on_fuse = steps, partial(loop.kill, process)
        for number in range(9):
            loop.later(process, 0, seen.append, number)
        loop.run(1)

        assert seen == list(range(steps))


def test_a_paused_process_goes_on_where_it_was() -> None:
    """What reached it waits, and its timers are late."""
    loop = loop_of()
    process = loop.process("one")

    async def sleeps() -> float:
        await asyncio.sleep(1)
        return loop.time()

    task = loop.spawn(process, sleeps())
    loop.run(0.5)
    loop.pause(process)
    loop.run(5)
    assert not task.done()
    loop.resume(process)
    loop.run(6)

    assert 5 <= task.result() < 5.001


def test_asyncio_itself_works_in_it() -> None:
    """Task groups, time-outs, locks and queues do what they do elsewhere."""
    loop = loop_of()

    async def works() -> list[int]:
        queue, got = asyncio.Queue[int](1), list[int]()

        async def puts() -> None:
            for number in range(5):
                await queue.put(number)

        async def gets() -> None:
            while len(got) < 5:
                got.append(await queue.get())

        async with asyncio.TaskGroup() as group:
            group.create_task(puts())
            group.create_task(gets())
        try:
            async with asyncio.timeout(0.1):
                await queue.get()
        except TimeoutError:
            got.append(-1)
        return got

    task = loop.spawn(loop.process("one"), works())
    loop.run(1)

    assert task.result() == [0, 1, 2, 3, 4, -1]
