"""Beginnings of trails that are asked for at the same time share a request, and nothing else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from ledger.backends.cassandra_gathering import KEYS_MAX, UNDER_WAY_ENOUGH, Begun, Gathering
from ledger.errors import Busy
from ledger.trail_store import StoredRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Asked:
    """What a store is asked, each request until it is answered by the test."""

    def __init__(self) -> None:
        self.requests: list[tuple[Sequence[bytes], int, asyncio.Future[None]]] = []
        self.gathering = Gathering(one=self._one, many=self._many, replicas_of=lambda key: key[0])

    async def _one(self, key: bytes, limit: int) -> Begun:
        await self._answered([key], limit)
        return begun(key, limit)

    async def _many(self, keys: Sequence[bytes], limit: int) -> Mapping[bytes, Begun]:
        await self._answered(keys, limit)
        return {key: begun(key, limit) for key in keys}

    async def _answered(self, keys: Sequence[bytes], limit: int) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.requests.append((keys, limit, future))
        await future

    def ask(self, *keys: bytes, limit: int = 10) -> list[asyncio.Task[Begun]]:
        return [asyncio.create_task(self.gathering.begin(key, limit)) for key in keys]

    def together(self) -> list[list[bytes]]:
        return [list(keys) for keys, _, _ in self.requests]

    async def answer(self, number: int, error: Exception | None = None) -> None:
        future = self.requests[number][2]
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
        await settle()


def begun(key: bytes, limit: int) -> Begun:
    return Begun([StoredRow(b"order", key)], limit)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def names(count: int, replicas: bytes = b"a") -> list[bytes]:
    return [replicas + b"%d" % number for number in range(count)]


def busy() -> Busy:
    return Busy("the store is away", reason="AWAY", retry_after_s=1.0)


async def test_few_are_asked_for_at_once_and_alone() -> None:
    """A trail waits for nobody while few requests are under way."""
    asked = Asked()
    keys = names(UNDER_WAY_ENOUGH)
    tasks = asked.ask(*keys)
    await settle()

    assert asked.together() == [[key] for key in keys]
    for number in range(len(keys)):
        await asked.answer(number)
    assert [await task for task in tasks] == [begun(key, 10) for key in keys]


async def test_those_who_wait_go_together() -> None:
    """What came meanwhile is one request, with the largest limit, and each gets its own rows."""
    asked = Asked()
    asked.ask(*names(UNDER_WAY_ENOUGH))
    await settle()
    waiting = asked.ask(b"ax", b"ay", limit=7) + asked.ask(b"az", limit=30)
    await settle()
    assert len(asked.requests) == UNDER_WAY_ENOUGH

    await asked.answer(0)

    assert asked.requests[UNDER_WAY_ENOUGH][:2] == ([b"ax", b"ay", b"az"], 30)
    await asked.answer(UNDER_WAY_ENOUGH)
    assert [await task for task in waiting] == [begun(key, 30) for key in (b"ax", b"ay", b"az")]


async def test_what_was_asked_for_later_is_read_later() -> None:
    """Nobody joins a request that is under way: it may have been read before the question."""
    asked = Asked()
    asked.ask(*names(UNDER_WAY_ENOUGH + 1))
    await settle()
    await asked.answer(0)  # The one who waited is under way now.
    late = asked.ask(b"a%d" % UNDER_WAY_ENOUGH)
    await settle()
    await asked.answer(UNDER_WAY_ENOUGH)

    assert not late[0].done()
    await asked.answer(1)
    await asked.answer(UNDER_WAY_ENOUGH + 1)
    assert late[0].done()


async def test_other_replicas_are_other_requests() -> None:
    """Trails that lie elsewhere neither wait for these nor go with them."""
    asked = Asked()
    asked.ask(*names(UNDER_WAY_ENOUGH + 2))
    asked.ask(*names(UNDER_WAY_ENOUGH, b"b"))
    await settle()

    assert asked.together() == [
        [key] for key in names(UNDER_WAY_ENOUGH) + names(UNDER_WAY_ENOUGH, b"b")
    ]


async def test_a_request_has_a_bound() -> None:
    """Never more than KEYS_MAX trails in one request; the others are the next one."""
    asked = Asked()
    tasks = asked.ask(*names(UNDER_WAY_ENOUGH + KEYS_MAX + 3))
    await settle()
    number = 0
    while number < len(asked.requests):
        await asked.answer(number)
        number += 1

    assert [len(keys) for keys in asked.together()] == [1] * UNDER_WAY_ENOUGH + [KEYS_MAX, 3]
    assert all(task.done() for task in tasks)


async def test_where_many_fail_each_is_asked_for_alone() -> None:
    """The fault of one trail is not that of its neighbours; an error of its own reaches each."""
    asked = Asked()
    asked.ask(*names(UNDER_WAY_ENOUGH))
    await settle()
    waiting = asked.ask(b"ax", b"ay")
    await settle()
    await asked.answer(0)
    await asked.answer(UNDER_WAY_ENOUGH, busy())
    alone = {keys[0]: number for number, (keys, _, _) in enumerate(asked.requests)}

    await asked.answer(alone[b"ax"], busy())
    await asked.answer(alone[b"ay"])

    with pytest.raises(Busy):
        await waiting[0]
    assert await waiting[1] == begun(b"ay", 10)


async def test_one_who_gives_up_leaves_the_others_in_their_place() -> None:
    """A caller that is cancelled while it asks for all, or is about to, hands that on."""
    asked = Asked()
    first = asked.ask(*names(UNDER_WAY_ENOUGH))
    await settle()
    waiting = asked.ask(b"ax", b"ay", b"az")
    await settle()
    await asked.answer(0)
    assert asked.together()[-1] == [b"ax", b"ay", b"az"]

    waiting[0].cancel()  # It asks for all three.
    for number in range(1, UNDER_WAY_ENOUGH):
        await asked.answer(number)
    assert asked.together()[-1] == [b"ay", b"az"]

    waiting += asked.ask(b"av", b"aw")
    await settle()
    asked.requests[-1][2].set_result(None)
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # `av` is told to ask, and does not know it yet.
    waiting[3].cancel()
    await settle()
    for number in range(2, len(asked.requests) + 1):
        if number < len(asked.requests) and not asked.requests[number][2].done():
            await asked.answer(number)

    assert [task.done() for task in (*first, *waiting)] == [True] * len([*first, *waiting])
    assert await waiting[4] == begun(b"aw", 10)
    again = asked.ask(b"au")
    await settle()
    assert asked.together()[-1] == [b"au"]
    again[0].cancel()


async def test_where_several_ask_one_request_is_enough() -> None:
    """Beside a request others gather once the last ones were for several trails, and no longer when
    they were for one each.
    """
    asked = Asked()
    asked.ask(*names(UNDER_WAY_ENOUGH), b"ax", b"ay")
    await settle()
    for number in range(UNDER_WAY_ENOUGH):
        await asked.answer(number)
    assert asked.together()[-1] == [b"ax", b"ay"]
    await asked.answer(UNDER_WAY_ENOUGH)

    tasks = asked.ask(b"au", b"av")
    await settle()
    assert asked.together()[-1] == [b"au"]  # Alone, and nothing beside it.
    await asked.answer(UNDER_WAY_ENOUGH + 1)
    assert asked.together()[-1] == [b"av"]
    tasks += asked.ask(b"aw")
    await settle()

    assert asked.together()[-2:] == [[b"av"], [b"aw"]]
    for number in (-2, -1):
        await asked.answer(number)
    assert [task.done() for task in tasks] == [True] * 3
