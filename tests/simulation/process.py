"""A simulated process: its ready queue, whether it lives or stands still, and its callbacks."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Handle(list[Any]):
    """A callback that waits for its turn, or for its time, and its arguments. A list is made in
    half of the time of an object with an `__init__`, and a seed makes six thousand.
    """

    __slots__ = ()

    def cancel(self) -> None:
        self[:] = None, ()

    def cancelled(self) -> bool:
        return self[0] is None


class Process:
    """What runs, pauses and dies as one."""

    __slots__ = (
        "fuse",
        "is_alive",
        "is_listed",
        "is_paused",
        "may_run",
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
        self.may_run = True
        """Whether it lives and does not stand still: looked at before each callback."""
        self.paused_at_s = 0.0
        self.stood_s = 0.0
        """How long it stood still so far, without the pause it may be in."""
        self.is_listed = False
        self.fuse = -1
        """Callbacks until `on_fuse`: a process dies between two of them, at any await."""
        self.on_fuse: Callable[[], object] = bool

    def __repr__(self) -> str:
        return self.name
