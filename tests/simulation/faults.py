"""Faults: what may go wrong, what is to go wrong next, and how often it did.

Whoever does something asks `fate`. A seed arms faults one by one, so that each of them falls on the
next occasion, and counts those that fell.
"""

from __future__ import annotations

from collections import Counter, deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from ledger.errors import Busy, LedgerError, Uncertain

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from random import Random

BUSY, LOST, KEPT, LATE, SLOW, TWICE, PART = "busy", "lost", "kept", "late", "slow", "twice", "part"

NOT_YET: Final = object()
"""The engine answers later."""

FATES: Final = {
    "log.append": (BUSY, LOST, KEPT, LATE, SLOW, TWICE),
    "log.fetch": (BUSY, LOST, SLOW),
    "log.look": (BUSY, LOST, SLOW),
    "store.put": (BUSY, LOST, KEPT, LATE, SLOW, TWICE, PART),
    "store.mark": (BUSY, LOST, KEPT, LATE, SLOW, TWICE),
    "store.decide": (BUSY, LOST, KEPT, LATE, SLOW, TWICE),
    "store.read": (BUSY, LOST, SLOW),
    "store.lives": (BUSY, LOST, SLOW),
}
"""What may become of one request to an engine. `lost`: it never arrived, and its caller cannot
know. `kept`: it took effect, and the answer was lost. `late`: it takes effect after its caller was
told that nobody knows. `part`: a part of it was kept.
"""

TIMEOUT_S = 0.4
"""After so long a caller is told that nobody knows what became of its request."""

LATE_MOST_S = 1.5
"""How long after that a late request may still take effect."""

SLOW_MOST_S = 0.8
"""Longest time that a slow request takes; longer than the time-out for nobody: it is answered."""


class Timers(Protocol):
    """Who calls back, and where: the simulated loop, or a real one in the contract suites."""

    def time(self) -> float: ...

    def here(self) -> object: ...

    def later(
        self, where: object, delay_s: float, callback: Callable[..., object], *args: object
    ) -> None: ...

    @property
    def outside(self) -> object: ...


class Faults:
    """Armed faults, and how many fell, by their names."""

    def __init__(self) -> None:
        self.fell = Counter[str]()
        self._armed: dict[str, deque[str]] = {}

    def arm(self, what: str, fate: str) -> None:
        """Let the next request of that kind have that fate."""
        self._armed.setdefault(what, deque()).append(fate)

    def fate(self, what: str) -> str | None:
        """Give what becomes of a request; None as a rule."""
        armed = self._armed.get(what)
        if not armed:
            return None
        fate = armed.popleft()
        self.fell[f"{what} {fate}"] += 1
        return fate

    def disarm(self) -> None:
        """Let nothing more go wrong."""
        self._armed.clear()


class Requests:
    """How requests go to an engine and answers come back."""

    def __init__(self, timers: Timers, random: Random, faults: Faults, *, latency_s: float) -> None:
        self.timers = timers
        self.random = random
        self.faults = faults
        self.latency_s = latency_s
        self.away_until_s = 0.0
        """Until then nothing arrives."""

    def some_s(self) -> float:
        """Give one way's time."""
        return self.latency_s * (0.2 + self.random.random())

    def send(
        self,
        what: str,
        effect: Callable[[], object],
        answer: asyncio.Future[object],
        *,
        quiet: Callable[[], object] | None = None,
        part: Callable[[], object] | None = None,
    ) -> None:
        """Let `effect` happen in the engine, and its value or error come back; or let it fail.

        NOT_YET as its value: the engine answers by itself, later. `quiet` is what happens where no
        answer comes back, `part` what happens where only a part of it does.
        """
        quiet = quiet or effect
        timers, out_s = self.timers, self.some_s()
        where, outside = timers.here(), timers.outside
        fate = self.faults.fate(what)
        if timers.time() < self.away_until_s:
            fate = LOST if self.random.random() < 0.7 else BUSY
        if fate is None:
            timers.later(outside, out_s, self._do, where, effect, answer)
        elif fate == BUSY:
            timers.later(where, out_s, fail, answer, busy(what))
        elif fate == SLOW:
            slow_s = SLOW_MOST_S * self.random.random()
            timers.later(outside, slow_s, self._do, where, effect, answer)
        elif fate == TWICE:
            timers.later(outside, self.some_s(), _quietly, quiet)
            timers.later(outside, out_s, self._do, where, effect, answer)
        else:
            timers.later(where, TIMEOUT_S, fail, answer, uncertain(what))
            if fate == LATE:
                timers.later(
                    outside, TIMEOUT_S + LATE_MOST_S * self.random.random(), _quietly, quiet
                )
            elif fate == KEPT:
                timers.later(outside, out_s, _quietly, quiet)
            elif fate == PART and part is not None:
                timers.later(outside, out_s, _quietly, part)

    def _do(
        self, where: object, effect: Callable[[], object], answer: asyncio.Future[object]
    ) -> None:
        try:
            value = effect()
        except Exception as error:  # The engine's answer, whatever it is.
            self.timers.later(where, self.some_s(), fail, answer, error)
        else:
            if value is not NOT_YET:
                self.timers.later(where, self.some_s(), succeed, answer, value)


def _quietly(effect: Callable[[], object]) -> None:
    with suppress(LedgerError):  # Nobody is there to hear it.
        effect()


def succeed(answer: asyncio.Future[object], value: object) -> None:
    """Answer, if somebody still waits."""
    if not answer.done():
        answer.set_result(value)


def fail(answer: asyncio.Future[object], error: Exception) -> None:
    """Answer with an error, if somebody still waits."""
    if not answer.done():
        answer.set_exception(error)


def busy(what: str) -> Busy:
    return Busy(f"{what}: too much at once.", reason="SIMULATED_BUSY", retry_after_s=0.05)


def uncertain(what: str) -> Uncertain:
    return Uncertain(f"{what}: no answer in time.", reason="SIMULATED_TIMEOUT")
