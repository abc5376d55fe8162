"""Who is told to end has a bounded time for it, and only the time in which it runs counts."""

import asyncio

from tests.simulation.process import Process
from tests.simulation.programs import Role
from tests.simulation.world import END_MOST_S, World

PROMISE = "who is told to end ends"
STANDS_S = 5.0


def told_to_end(*, takes_s: float, stands_s: float = 0.0) -> World:
    """A world of one program, a second after it was told to end; then it stands still a while."""
    world = World(1)

    async def main(process: Process) -> None:
        try:
            await asyncio.sleep(1_000)
        finally:
            await asyncio.sleep(takes_s)

    role = Role("writer-0", main)
    world.roles = [role]
    world.start(role)
    world.loop.run(1.0)
    world.end(role)
    world.loop.run(2.0)
    assert role.process is not None
    if stands_s:
        world.loop.pause(role.process)
        world.loop.later(world.loop.outside, stands_s, world.loop.resume, role.process)
    return world


def test_who_ends_too_late_breaks_the_promise() -> None:
    """It is found when its time is over, and not before."""
    world = told_to_end(takes_s=100.0)

    world.loop.run(1.0 + END_MOST_S - 0.01)
    assert not world.history.broken
    world.loop.run(1.0 + END_MOST_S + 0.01)

    assert [PROMISE in broken for broken in world.history.broken] == [True]
    world.loop.take_apart()


def test_time_in_which_a_program_stands_still_does_not_count() -> None:
    """One that was to end in time, and stands still until its time is over, may still end."""
    # Two timers of it are due when it wakes: the check, and then its own end.
    world = told_to_end(takes_s=END_MOST_S + 0.5, stands_s=END_MOST_S + 1.0)

    world.loop.run(30.0)

    assert not world.history.broken
    world.loop.take_apart()


def test_who_ends_too_late_is_found_also_where_it_stood_still() -> None:
    """The time to end grows by just the time in which the program stood still."""
    world = told_to_end(takes_s=100.0, stands_s=STANDS_S)

    world.loop.run(1.0 + STANDS_S + END_MOST_S - 0.01)
    assert not world.history.broken
    world.loop.run(1.0 + STANDS_S + END_MOST_S + 0.01)

    assert [PROMISE in broken for broken in world.history.broken] == [True]
    world.loop.take_apart()
