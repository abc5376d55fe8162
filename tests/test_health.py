"""Whether a process lives and is ready: what it notes, and what it makes of engines' answers."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from ledger.app.health import BEAT_S, FAILURES_ENOUGH, STUCK_S, Health
from ledger.errors import Busy, Diverged, LedgerError, Uncertain
from ledger.metrics import REGISTRY

BUSY = Busy("The store is busy.", reason="R", retry_after_s=1)
UNCERTAIN = Uncertain("No broker answers.", reason="R")


def value(name: str, **labels: str) -> float | None:
    """Give a metric."""
    return REGISTRY.get_sample_value(name, labels)


class Engine:
    """Answers as it is told."""

    def __init__(self, *errors: LedgerError | None) -> None:
        self.errors = list(errors)
        self.asked = 0
        self._again = asyncio.Event()

    async def ask(self) -> None:
        """Answer, or fail; the last one for ever."""
        self.asked += 1
        self._again.set()
        error = self.errors.pop(0) if len(self.errors) > 1 else self.errors[0]
        if error:
            raise error

    async def asked_times(self, count: int) -> None:
        """Wait until it has been asked so often."""
        async with asyncio.timeout(10):
            while self.asked < count:
                await self._again.wait()
                self._again.clear()


@contextmanager
def asked(health: Health, engine: Callable[[], object], *, within_s: float = 5) -> Iterator[None]:
    """Ask an engine without a pause."""
    task = asyncio.create_task(
        health.ask_forever("log", engine, every_s=0, within_s=within_s)  # type: ignore[arg-type]
    )
    try:
        yield
    finally:
        task.cancel()


def test_a_process_is_ready_when_it_serves_and_everything_answers() -> None:
    """Until then it says what is missing, each with its reason; the metric says the same."""
    health = Health("writer", engines=("log", "store"))
    seen = [dict(health.why_not_ready)]
    notes: list[Callable[[], None]] = [
        lambda: health.found("log"),
        lambda: health.lost("store", "No node answers."),
        health.serves,
        lambda: health.found("store"),
        health.ends,
    ]
    for note in notes:
        note()
        seen.append(dict(health.why_not_ready))
        assert value("ledger_ready") == health.is_ready == (not seen[-1])

    assert seen == [
        {"process": "it starts", "log": "not asked yet", "store": "not asked yet"},
        {"process": "it starts", "store": "not asked yet"},
        {"process": "it starts", "store": "No node answers."},
        {"store": "No node answers."},
        {},
        {"process": "it ends"},
    ]
    assert value("ledger_engine_reachable", engine="store") == 1


async def test_one_failed_answer_is_a_pause_and_two_are_an_absence() -> None:
    """Then the process is not ready, and says why; one answer makes it ready again."""
    health = Health("ingest", engines=("log",))
    health.serves()
    health.found("log")
    engine = Engine(BUSY, None, BUSY, UNCERTAIN, UNCERTAIN, None)
    seen: list[tuple[bool, object, float | None]] = []

    async def ask() -> None:
        reachable = value("ledger_engine_reachable", engine="log")
        seen.append((health.is_ready, health.why_not_ready.get("log"), reachable))
        await engine.ask()

    with asked(health, ask):
        await engine.asked_times(7)

    there, away = (True, None, 1.0), (False, UNCERTAIN.message, 0.0)
    assert FAILURES_ENOUGH == 2
    assert seen[:7] == [there, there, there, there, away, away, there]


async def test_no_answer_in_time_is_an_absence() -> None:
    """An engine that hangs is asked again, and is not waited for."""
    health = Health("query", engines=("log",))
    health.serves()
    health.found("log")
    with asked(health, asyncio.Event().wait, within_s=0.01):
        async with asyncio.timeout(5):
            while health.is_ready:
                await health.changed()

    assert health.why_not_ready == {"log": "no answer within 0.01 s"}


async def test_what_is_no_absence_comes_out() -> None:
    """A log that is not what it was is nothing to wait for."""
    health = Health("writer", engines=("log",))
    engine = Engine(Diverged("The log is shorter.", reason="R"))

    with pytest.raises(Diverged):
        await health.ask_forever("log", engine.ask)


async def test_an_absence_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """One line when it begins, one when it ends."""
    health = Health("query", engines=("log",))
    health.found("log")
    caplog.set_level(logging.INFO, "ledger")
    engine = Engine(*[UNCERTAIN] * 9, None)
    with asked(health, engine.ask):
        await engine.asked_times(11)

    assert caplog.messages == ["an engine is away", "an engine answers"]


async def test_a_process_lives_while_its_loop_turns() -> None:
    """A loop without a beat for long is stuck; the lateness of beats is measured."""
    now_s = 100.0
    health = Health("up", engines=(), monotonic=lambda: now_s)
    beats = value("ledger_loop_lag_seconds_count") or 0
    late = value("ledger_loop_lag_seconds_sum") or 0
    beating = asyncio.create_task(health.beat_forever())
    await asyncio.sleep(0)
    now_s += STUCK_S - 0.1
    alive = health.is_alive
    now_s += 0.2
    stuck = not health.is_alive
    await asyncio.sleep(BEAT_S * 1.5)
    beating.cancel()

    assert alive
    assert stuck
    assert health.is_alive
    assert value("ledger_loop_lag_seconds_count") == beats + 1
    assert value("ledger_loop_lag_seconds_sum") == pytest.approx(late + STUCK_S + 0.1 - BEAT_S)
