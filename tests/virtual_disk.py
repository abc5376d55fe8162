"""A disk in memory that is as nasty as a real one may be: what was not synced is lost, torn or
there; a sync that failed may have dropped what it should have kept; any call may be the last one.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

PAGE_BYTES = 16
"""What is lost or kept as one: small, so that a frame has many."""


class Crash(BaseException):
    """The process is gone."""


class File:
    """One file, as the kernel has it and as the disk has it."""

    def __init__(self) -> None:
        self.seen = bytearray()
        self.durable = bytearray()
        self.dirty_from = 0
        """What lies behind it was not synced."""

        self.dropped: set[int] = set()
        """Pages that a failed sync has dropped: in memory they are, and on the disk never."""

    def sync(self) -> None:
        """Put all that is dirty on the disk."""
        kept = bytearray(self.seen)
        for page in self.dropped:
            at = page * PAGE_BYTES
            kept[at : at + PAGE_BYTES] = bytes(len(kept[at : at + PAGE_BYTES]))
        self.durable = kept
        self.dirty_from = len(self.seen)

    def drop(self) -> None:
        """Fail to sync, and take what is dirty for clean from now on."""
        last = (len(self.seen) - 1) // PAGE_BYTES
        # The page that was synced in part is on the disk as far as it was.
        first = -(-self.dirty_from // PAGE_BYTES)
        self.dropped |= set(range(first, last + 1))

    def lose(self, dice: random.Random) -> None:
        """Fall back to what a power cut leaves."""
        kept = bytearray(self.seen)
        end = dice.randint(min(self.dirty_from, len(kept)), len(kept))
        for at in range(self.dirty_from, end):
            page = at // PAGE_BYTES
            if page in self.dropped or dice.random() < 0.02:
                kept[at] = 0
        if dice.random() < 0.5:
            for page in range(-(-self.dirty_from // PAGE_BYTES), -(-end // PAGE_BYTES)):
                if dice.random() < 0.5:
                    at = page * PAGE_BYTES
                    kept[at : at + PAGE_BYTES] = bytes(len(kept[at : at + PAGE_BYTES]))
        shorter = min(len(self.durable), self.dirty_from)
        kept[:shorter] = self.durable[:shorter]
        self.seen = kept[:end]
        self.durable = bytearray(self.seen)
        self.dirty_from = len(self.seen)
        self.dropped.clear()


class VirtualDisk:
    """`Files` with faults. `plan` says what goes wrong at which of the next calls."""

    def __init__(self, dice: random.Random) -> None:
        self.calls = 0
        self.plan: dict[int, str] = {}
        """By number of the call: `before` or `after` (the process dies), `torn` (it dies in the
        middle), `full` (no space), `fails` (an error of the device).
        """

        self.fell: list[str] = []
        """What went wrong, and in which call."""

        self._dice = dice
        self._names: dict[str, File] = {}
        self._durable: dict[str, File] = {}

    def in_calls(self, count: int, fault: str) -> None:
        """Plan a fault for the call after so many others."""
        self.plan = {self.calls + count: fault}

    def cut_power(self) -> None:
        """Forget what was not synced; of the names that changed any may have stayed."""
        names = dict(self._durable)
        for name in sorted({*self._names, *self._durable}):  # The same order for the same dice.
            if self._names.get(name) is self._durable.get(name) or self._dice.random() < 0.5:
                continue
            if name in self._names:
                names[name] = self._names[name]
            else:
                names.pop(name)
        self._names = names
        for file in dict.fromkeys(names.values()):
            file.lose(self._dice)
        self._durable = dict(names)

    def content(self, name: str) -> bytearray:
        """Give a file's bytes, to be damaged."""
        return self._names[name].seen

    # What a spool calls.

    def names(self) -> Sequence[str]:
        """As in Files."""
        return list(self._names)

    def size(self, name: str) -> int:
        """As in Files."""
        return len(self._names[name].seen) if name in self._names else 0

    def read(self, name: str, offset: int, size: int) -> bytes:
        """As in Files."""
        return bytes(self._file(name).seen[offset : offset + size])

    def append(self, name: str, data: bytes) -> None:
        """As in Files."""
        fault = self._fault("append")
        file = self._names.setdefault(name, File())
        if fault in {"torn", "full", "fails"}:
            data = data[: self._dice.randrange(len(data))]
        first = len(file.seen) // PAGE_BYTES
        file.seen += data
        file.dropped -= set(range(first, len(file.seen) // PAGE_BYTES + 1))  # Dirty again.
        self._end(fault)

    def sync(self, name: str) -> None:
        """As in Files."""
        fault = self._fault("sync")
        if fault in {"full", "fails", "torn"}:
            self._file(name).drop()
        else:
            self._file(name).sync()
        self._end(fault)

    def cut(self, name: str, size: int) -> None:
        """As in Files."""
        fault = self._fault("cut")
        file = self._file(name)
        if fault != "fails":
            del file.seen[size:]
            file.dirty_from = min(file.dirty_from, size)
            file.dropped -= set(range(-(-size // PAGE_BYTES), max(file.dropped, default=0) + 1))
        self._end(fault)

    def rename(self, old: str, new: str) -> None:
        """As in Files."""
        fault = self._fault("rename")
        if fault != "fails":
            self._names[new] = self._names.pop(old)
        self._end(fault)

    def remove(self, name: str) -> None:
        """As in Files."""
        fault = self._fault("remove")
        if fault != "fails":
            del self._names[name]
        self._end(fault)

    def sync_names(self) -> None:
        """As in Files."""
        fault = self._fault("sync_names")
        if fault != "fails":
            self._durable = dict(self._names)
        self._end(fault)

    def _file(self, name: str) -> File:
        if name not in self._names:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        return self._names[name]

    def _fault(self, call: str) -> str:
        fault = self.plan.pop(self.calls, "")
        self.calls += 1
        if fault:
            self.fell.append(f"{fault} {call}")
        if fault == "before":
            raise Crash
        return fault

    def _end(self, fault: str) -> None:
        if fault in {"after", "torn"}:
            raise Crash
        if fault in {"full", "fails"}:
            number = errno.ENOSPC if fault == "full" else errno.EIO
            raise OSError(number, os.strerror(number))
