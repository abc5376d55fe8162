"""A simulated process: its ready queue, whether it lives or stands still, and its callbacks."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Handle:
    """A callback that waits for its turn, or for its time."""

    __slots__ = ("_when", "args", "callback", "process")

    def __init__(
        self, process: Process, callback: Callable[..., object] | None, args: tuple[Any, ...]
    ) -> None:
        self.process = process
        self.callback = callback
        self.args = args
        self._when = 0.0

    def cancel(self) -> None:
        self.callback = None
        self.args = ()

    def cancelled(self) -> bool:
        return self.callback is None

    def when(self) -> float:
        return self._when


class Process:
    """What runs, pauses and dies as one."""

    __slots__ = (
        "fuse",
        "is_alive",
        "is_listed",
        "is_paused",
        "name",
        "number",
        "on_fuse",
        "paused_at_s",
        "ready",
        "stood_s",
    )

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.number = number
        self.ready: deque[Handle] = deque()
        self.is_alive = True
        self.is_paused = False
        self.paused_at_s = 0.0
        self.stood_s = 0.0
        """How long it stood still so far, without the pause it may be in."""
        self.is_listed = False
        self.fuse = -1
        """Callbacks until `on_fuse`: a process dies between two of them, at any await."""
        self.on_fuse: Callable[[], object] = bool

    def __repr__(self) -> str:
        return self.name
