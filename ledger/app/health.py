"""Whether a process lives and whether it is ready, and why not.

It lives while its event loop turns. It is ready while it can do its work: everything that it needs
answers, and it does not end. A process that waits for Kafka lives; starting it again helps nobody.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from ledger.errors import Busy, Uncertain
from ledger.metrics import ENGINE_REACHABLE, LOOP_LAG_SECONDS, READY

logger = logging.getLogger(__name__)

BEAT_S: Final = 0.25
"""How often the event loop shows that it turns."""

STUCK_S: Final = 30.0
"""Seconds without a beat after which the process counts as stuck: ten times the longest pause that
a busy machine has shown, since the cure is to kill it.
"""

ASK_EVERY_S: Final = 2.0
"""How often log and store are asked whether they are there: soon enough for a balancer."""

ANSWER_WITHIN_S: Final = 3.0
"""Longest wait for that answer: an engine that needs longer serves nobody in time."""

FAILURES_ENOUGH: Final = 2
"""Failed answers in a row after which the process is not ready: one alone is a pause somewhere."""

Ask = Callable[[], Awaitable[object]]
"""Asks an engine something small. It raises Busy or Uncertain where the engine is away."""

_STARTING: Final = "it starts"
_ENDING: Final = "it ends"
_PROCESS: Final = "process"


class Health:
    """The state of one process. Changed by its event loop, read by any thread."""

    def __init__(
        self,
        role: str,
        *,
        engines: Sequence[str],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`engines` names what it needs to be ready: `log`, `store`; `monotonic` gives seconds."""
        self.role = role
        self._monotonic = monotonic
        self._beat_s = monotonic()
        self._why = {_PROCESS: _STARTING, **dict.fromkeys(engines, "not asked yet")}
        self._changed = asyncio.Event()
        READY.set(0)
        for engine in engines:
            ENGINE_REACHABLE.labels(engine).set(0)

    @property
    def why_not_ready(self) -> Mapping[str, str]:
        """What is missing, each with its reason. Empty: it is ready."""
        return {name: why for name, why in self._why.copy().items() if why}

    @property
    def is_ready(self) -> bool:
        """Whether it can do its work."""
        return not any(self._why.copy().values())

    @property
    def beat_age_s(self) -> float:
        """Seconds since the event loop last showed that it turns."""
        return self._monotonic() - self._beat_s

    @property
    def is_alive(self) -> bool:
        """Whether the event loop turns."""
        return self.beat_age_s < STUCK_S

    async def changed(self) -> None:
        """Wait until readiness may have changed since the last return."""
        await self._changed.wait()
        self._changed.clear()

    def serves(self) -> None:
        """Note that the process has begun its work."""
        self._set(_PROCESS, "")

    def ends(self) -> None:
        """Note that the process takes no more work."""
        self._set(_PROCESS, _ENDING)

    def found(self, engine: str) -> None:
        """Note that an engine answers."""
        if self._set(engine, ""):
            logger.info("an engine answers", extra={"engine": engine})
        ENGINE_REACHABLE.labels(engine).set(1)

    def lost(self, engine: str, why: str) -> None:
        """Note that an engine is away, and why."""
        if self._set(engine, why):
            logger.warning("an engine is away", extra={"engine": engine, "error": why})
        ENGINE_REACHABLE.labels(engine).set(0)

    async def beat_forever(self) -> None:
        """Show that the event loop turns, and how late it is."""
        while True:
            due_s = self._monotonic() + BEAT_S
            await asyncio.sleep(BEAT_S)
            self._beat_s = self._monotonic()
            LOOP_LAG_SECONDS.observe(max(0.0, self._beat_s - due_s))

    async def ask_forever(
        self,
        engine: str,
        ask: Ask,
        *,
        every_s: float = ASK_EVERY_S,
        within_s: float = ANSWER_WITHIN_S,
    ) -> None:
        """Ask an engine again and again, and note whether it answers. Other errors than Busy and
        Uncertain come out: they are no absence.
        """
        failures = 0
        while True:
            try:
                async with asyncio.timeout(within_s):
                    await ask()
            except TimeoutError:
                failures += 1
                why = f"no answer within {within_s:g} s"
            except (Busy, Uncertain) as error:
                failures += 1
                why = error.message
            else:
                failures, why = 0, ""
                self.found(engine)
            if failures >= FAILURES_ENOUGH:
                self.lost(engine, why)
            await asyncio.sleep(every_s)

    def _set(self, name: str, why: str) -> bool:
        """Note a reason, or none; say whether the part was ready before and is not now, or the
        other way round.
        """
        turned = bool(self._why[name]) != bool(why)
        self._why[name] = why
        READY.set(self.is_ready)
        self._changed.set()
        return turned
