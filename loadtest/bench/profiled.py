"""Runs a module as `python -m` would, and writes down where the CPU time of its threads went.

`python -m loadtest.bench.profiled FILE MODULE ARGUMENTS...`. Whenever the process has used some
milliseconds of CPU, what each thread has used since is put on the stack that it has then: on the
line that calls, where it is C code that works. It costs a few percent, and needs no other tool.
"""

from __future__ import annotations

import runpy
import signal
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import FrameType

LOOK_EVERY_S: Final = 0.005
"""CPU time between two looks."""

LINES: Final = 40
"""Functions that are listed."""

DEPTH_MAX: Final = 60
"""Frames of one stack that are kept."""

Seconds = defaultdict[str, float]


class Sampler:
    """Looks at all threads of this process from its main thread."""

    def __init__(self) -> None:
        self.threads: Seconds = defaultdict(float)
        self.own: Seconds = defaultdict(float)
        self.within: Seconds = defaultdict(float)
        self.stacks: Seconds = defaultdict(float)
        self._used: dict[int, float] = {}

    def start(self) -> None:
        """Begin to look."""
        signal.signal(signal.SIGPROF, self._look)
        signal.setitimer(signal.ITIMER_PROF, LOOK_EVERY_S, LOOK_EVERY_S)

    def stop(self) -> None:
        """End."""
        signal.setitimer(signal.ITIMER_PROF, 0)

    def report(self) -> str:
        """Write what was seen."""
        python_s = sum(self.threads.values())
        outside_s = max(0.0, time.process_time() - python_s)
        lines = [f"{python_s:.2f} s of CPU in threads of Python, {outside_s:.2f} s in others"]
        for title, found in (
            ("by thread", self.threads),
            ("in the function itself", self.own),
            ("in the function and what it calls", self.within),
        ):
            lines += ["", title]
            lines += [f"{used:9.2f} s  {name}" for name, used in _most(found)[:LINES]]
        lines += ["", "stacks, for tools that draw flames (microseconds)"]
        lines += [f"{stack} {used * 1e6:.0f}" for stack, used in _most(self.stacks)]
        return "\n".join(lines) + "\n"

    def _look(self, _signal: int, here: FrameType | None) -> None:
        names = {one.ident: one.name for one in threading.enumerate()}
        me = threading.get_ident()
        for ident, frame in sys._current_frames().items():
            if ident in names:
                # This function is no part of what is looked at.
                self._put(ident, names[ident], here if ident == me else frame)

    def _put(self, ident: int, name: str, frame: FrameType | None) -> None:
        try:
            now_s = time.clock_gettime(time.pthread_getcpuclockid(ident))
        except OSError:
            return  # It has ended since.
        used_s = now_s - self._used.get(ident, 0.0)
        self._used[ident] = now_s
        if used_s <= 0 or frame is None:
            return
        stack: list[str] = []
        at: FrameType | None = frame
        while at is not None and len(stack) < DEPTH_MAX:
            stack.append(f"{Path(at.f_code.co_filename).stem}.{at.f_code.co_qualname}")
            at = at.f_back
        self.threads[name] += used_s
        self.own[stack[0]] += used_s
        for one in set(stack):
            self.within[one] += used_s
        self.stacks[";".join(reversed(stack))] += used_s


def _most(found: Seconds) -> list[tuple[str, float]]:
    return sorted(found.items(), key=lambda one: -one[1])


def main() -> None:
    """Run the module; write the report when it ends, however it ends."""
    _, target, module, *arguments = sys.argv
    sys.argv = [module, *arguments]
    sampler = Sampler()
    sampler.start()
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        sampler.stop()
        Path(target).write_text(sampler.report(), encoding="utf-8")


if __name__ == "__main__":
    main()
